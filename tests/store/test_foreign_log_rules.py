"""A log beside the database that is not its own is refused before it is replayed; its own one never is."""

import fcntl
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.store.backup import backup
from pipeline.store.database import DatabaseError
from pipeline.store.foreign_log import foreign_log
from pipeline.store.lock import lock_path
from pipeline.store.migrate import migrate
from pipeline.store.reader import Reader
from tests.support.clocks import START
from tests.support.killed import copy_files, killed_while_writing


def is_foreign(database: Path) -> bool:
    wal, journal = (database.with_name(f"{database.name}{suffix}") for suffix in ("-wal", "-journal"))
    return foreign_log(database, wal=wal, journal=journal) is not None


def backed_up(database: Path, copy: Path) -> None:
    """Make a backup: it is in rollback mode."""
    backup(database, copy, now=START)


def copied_plainly(database: Path, copy: Path) -> None:
    """Copy the file alone while nobody uses it: it stays in WAL mode."""
    shutil.copy(database, copy)


GROWTH = ["CREATE TABLE more{} (n)"]
"""Changes the first page, and makes the file longer."""
FIRST_PAGE = ["PRAGMA user_version = 1{}"]
CONTENT = ["UPDATE layouts SET keys = '[{}]'"]
"""Changes neither the first page nor the size."""


def restored_by_hand(
    database: Path,
    folder: Path,
    copying: Callable[[Path, Path], object],
    *,
    before: Sequence[str],
    in_log: Sequence[str],
) -> Path:
    """Return a copy of the database, in place beside the log that its successor left when it was killed.

    The statements `before` reached the successor's file after the copy was made; those `in_log` did not.
    """
    folder.mkdir()
    restored = folder / "overviews.db"
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("INSERT INTO layouts (digest, keys) VALUES (x'00', '[]')")
    copying(database, folder / "copy.db")
    for number in range(3):  # each in a connection of its own: one that stays counts its changes once
        with closing(sqlite3.connect(database, isolation_level=None)) as db:
            for statement in before:
                db.execute(statement.format(number))
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        for statement in in_log:
            db.execute(statement.format(9))
        db.execute("PRAGMA cache_size = 1")  # so that the log ends in frames that were never committed
        db.execute("BEGIN")
        db.executemany("INSERT INTO looks VALUES (?, ?)", [(f"S{number}", "x" * 100) for number in range(1_000)])
        copy_files(database, restored)
    (folder / "copy.db").replace(restored)
    return restored


@pytest.mark.parametrize(
    ("copying", "before", "in_log"),
    [
        (backed_up, CONTENT, CONTENT),
        (copied_plainly, FIRST_PAGE, FIRST_PAGE),
        (copied_plainly, GROWTH, CONTENT),
        (copied_plainly, GROWTH, GROWTH),
    ],
    ids=["a backup", "its first page is older", "it is shorter", "both"],
)
def test_a_copy_beside_the_log_of_its_successor_is_not_opened(
    database: Path,
    tmp_path: Path,
    copying: Callable[[Path, Path], object],
    before: Sequence[str],
    in_log: Sequence[str],
) -> None:
    restored = restored_by_hand(database, tmp_path / "live", copying, before=before, in_log=in_log)
    content = restored.read_bytes()
    wal = restored.with_name("overviews.db-wal")

    for opening in (lambda: Reader.open(restored).__enter__(), lambda: migrate(restored, now=START)):
        with pytest.raises(DatabaseError, match=r"overviews\.db-wal was left by another file.*pipeline restore"):
            opening()

    assert restored.read_bytes() == content
    wal.rename(wal.with_name("elsewhere"))
    migrate(restored, now=START)
    with Reader.open(restored) as reader:
        assert reader.runs(1) == []


def test_a_copy_beside_the_journal_of_a_killed_first_start_is_not_emptied(database: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.db"
    restored = tmp_path / "restored.db"
    with closing(sqlite3.connect(new, isolation_level=None)) as db:
        db.execute("PRAGMA cache_size = 1")
        db.execute("BEGIN")
        db.execute("CREATE TABLE half_done (n)")
        db.executemany("INSERT INTO half_done VALUES (?)", [("x" * 100,)] * 1_000)
        shutil.copy(new.with_name("new.db-journal"), restored.with_name("restored.db-journal"))
    backed_up(database, restored)

    with pytest.raises(DatabaseError, match=r"restored\.db-journal was left by another file"), Reader.open(restored):
        pass

    assert restored.stat().st_size > 0


def test_a_copy_beside_the_journal_of_its_successor_is_not_opened(database: Path, tmp_path: Path) -> None:
    backed_up(database, tmp_path / "copy.db")
    with closing(sqlite3.connect(database)) as db:
        for number in range(3):
            db.execute(f"CREATE TABLE more{number} (n)")
    killed = killed_while_writing(database, tmp_path / "killed.db")
    assert not is_foreign(killed)
    (tmp_path / "copy.db").replace(killed)

    assert is_foreign(killed)


def test_where_a_process_collects_its_changing_files_are_not_judged(database: Path, tmp_path: Path) -> None:
    restored = restored_by_hand(database, tmp_path / "live", backed_up, before=CONTENT, in_log=CONTENT)
    with lock_path(restored).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        with Reader.open(restored) as reader:
            assert reader.runs(1) == []


@pytest.mark.parametrize("content", [b"", b"\x00" * 32, b"x" * 5_000, b"\x37\x7f\x06\x82" + b"\x00" * 5_000])
def test_what_sqlite_does_not_replay_is_not_judged(database: Path, content: bytes) -> None:
    for suffix in ("-wal", "-journal"):
        database.with_name(f"overviews.db{suffix}").write_bytes(content)

    assert not is_foreign(database)


def test_an_own_log_is_never_refused_however_the_process_was_killed(tmp_path: Path) -> None:
    chance = random.Random(1)
    for _ in range(12):
        live, killed = tmp_path / "live.db", tmp_path / "killed.db"
        with closing(sqlite3.connect(live, isolation_level=None)) as db:
            db.execute(f"PRAGMA page_size = {chance.choice([512, 4096])}")
            db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA wal_autocheckpoint = {chance.choice([0, 3, 1000])}")
            db.execute("PRAGMA cache_size = 5")
            for _ in range(12):
                _change(db, chance)
                for suffix in ("", "-wal"):
                    killed.with_name(f"killed.db{suffix}").unlink(missing_ok=True)
                copy_files(live, killed)
                assert not is_foreign(killed)
        live.unlink()


def _change(db: sqlite3.Connection, chance: random.Random) -> None:
    if chance.random() < 0.3:
        db.execute(f"PRAGMA wal_checkpoint({chance.choice(['PASSIVE', 'RESTART', 'TRUNCATE'])})")
        return
    db.execute("BEGIN")
    for _ in range(chance.randint(1, 5)):
        match chance.randint(0, 2):
            case 0:
                db.execute("INSERT INTO t (x) VALUES (?)", (os.urandom(chance.choice([10, 3_000])),))
            case 1:
                db.execute("DELETE FROM t WHERE id IN (SELECT id FROM t ORDER BY id DESC LIMIT 3)")
            case 2:
                db.execute("CREATE TABLE IF NOT EXISTS u (x)")
                db.execute("INSERT INTO u VALUES (?)", (os.urandom(2_000),))
                db.execute("DROP TABLE u")
    db.execute(chance.choice(["COMMIT", "ROLLBACK"]))
