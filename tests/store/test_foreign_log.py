"""A log that is not the file's own is refused by whatever opens it, also by a command that holds the lock itself."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.store.backup import backup
from pipeline.store.database import DatabaseError
from pipeline.store.lock import hold_lock, lock_path
from pipeline.store.reader import Reader
from pipeline.store.writer import open_writer
from tests.support.clocks import START, ManualClock
from tests.support.commands import call
from tests.support.killed import copy_files

COMMANDS = {
    "status": ["status"],
    "as-of": ["as-of", "now", "IBM"],
    "doctor": ["doctor"],
    "collect": ["collect", "IBM"],
    "migrate": ["migrate"],
    "import": ["import", "IBM.json", "--observed-at", "2026-03-01"],
    "backup": ["backup", "other.db"],
}


@pytest.fixture
def put_back(tmp_path: Path, database: Path) -> Path:
    """Return a database over which a backup was copied, beside the log of a process that was killed."""
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "pipeline.toml").write_text('database = "data/overviews.db"\nsymbols.list = ["IBM"]\n')
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        backup(database, tmp_path / "copy.db", now=START)
        for number in range(300):
            db.execute("INSERT INTO looks VALUES (?, ?)", (f"S{number}", "x" * 200))
        copy_files(database, folder / "overviews.db")
        shutil.copy(f"{database}-shm", folder / "overviews.db-shm")
    shutil.copyfile(tmp_path / "copy.db", folder / "overviews.db")
    return folder / "overviews.db"


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_replays_it(tmp_path: Path, put_back: Path, command: str) -> None:
    (tmp_path / "IBM.json").write_text('{"Symbol": "IBM", "PERatio": "10"}')
    before = put_back.read_bytes(), put_back.with_name("overviews.db-wal").read_bytes()

    ended = call(tmp_path, *COMMANDS[command], ALPHAVANTAGE_API_KEY="S3CR3TK3YS3CR3TK")

    assert ended.code != 0
    (line,) = (one for one in (ended.out + ended.err).splitlines() if "was left by another file" in one)
    assert "pipeline restore" in ended.out + ended.err
    assert "Traceback" not in line
    assert (put_back.read_bytes(), put_back.with_name("overviews.db-wal").read_bytes()) == before


def test_restoring_that_backup_puts_it_right(tmp_path: Path, put_back: Path) -> None:
    assert call(tmp_path, "restore", "copy.db").code == 0

    with closing(sqlite3.connect(put_back)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT count(*) FROM looks").fetchall() == [(0,)]


def test_a_process_that_has_read_the_file_with_its_own_log_looks_again(put_back: Path, database: Path) -> None:
    """As a daemon does, which opens the file for each run."""
    foreign = [Path(f"{put_back}{suffix}").read_bytes() for suffix in ("", "-wal")]
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("DELETE FROM looks")
        copy_files(database, put_back)
    with Reader.open(put_back):
        assert put_back.with_name("overviews.db-wal").stat().st_size
    number = put_back.stat().st_ino

    for suffix, content in zip(("", "-wal"), foreign, strict=True):
        Path(f"{put_back}{suffix}").write_bytes(content)

    assert put_back.stat().st_ino == number
    with pytest.raises(DatabaseError, match="was left by another file"), Reader.open(put_back):
        pass


async def test_who_holds_the_lock_looks_too(put_back: Path, clock: ManualClock) -> None:
    """To itself its own lock looks like that of another process, which is changing the files."""
    async with hold_lock(
        put_back, "collect", max_wait=None, now=lambda: clock.wall, sleep=clock.sleep, on_wait=lambda _line: None
    ):
        with pytest.raises(DatabaseError, match="was left by another file"):
            async with open_writer(put_back):
                pass
        with pytest.raises(DatabaseError, match="was left by another file"), Reader.open(put_back):
            pass
    assert lock_path(put_back).exists()
