"""Files in use: what a process has open stays locked, so that another one that closes it does not delete its log."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Thread

import pytest
from aiosqlite import Connection

from pipeline.store import foreign_log
from pipeline.store.database import connect, file_id
from pipeline.store.in_use import in_use
from pipeline.store.reader import Reader
from pipeline.store.writer import open_writer

_OTHER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("INSERT INTO keys (id, name) VALUES (?1, ?1)", (sys.argv[2],))
print("written", flush=True)
sys.stdin.readline()
db.close()
"""


@contextmanager
def written_by_another(database: Path, key: str) -> Iterator[None]:
    """Let another process write a key before the block, and close the database after it."""
    with subprocess.Popen(
        [sys.executable, "-c", _OTHER, database, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "written\n"
        yield
        other.stdin.close()
        assert other.wait() == 0


async def write_keys(db: Connection, keys: Sequence[str]) -> Sequence[None]:
    await db.executemany("INSERT INTO keys (id, name) VALUES (?1, ?1)", [(key,) for key in keys])
    return [None] * len(keys)


def keys_in_a_copy(database: Path, copy: Path) -> list[str]:
    """Return the keys that are in the files, as after a kill of all that have them open."""
    for suffix in ("", "-wal"):
        Path(f"{copy}{suffix}").write_bytes(Path(f"{database}{suffix}").read_bytes())
    with closing(sqlite3.connect(copy)) as db:
        return [key for (key,) in db.execute("SELECT id FROM keys ORDER BY id")]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "copy.db"


@pytest.mark.process
async def test_what_a_writer_commits_is_in_the_files_whoever_reads_and_closes_them(database: Path, copy: Path) -> None:
    async with open_writer(database) as writer:
        await writer.write(write_keys, "a")
        with Reader.open(database):  # there is a log by now
            pass
        with written_by_another(database, "b"):
            pass
        await writer.write(write_keys, "c")

        assert keys_in_a_copy(database, copy) == ["a", "b", "c"]


@pytest.mark.process
def test_a_reader_keeps_the_log_of_others(database: Path, copy: Path) -> None:
    with connect(database, "ro") as reading:
        reading.execute("SELECT id FROM keys").fetchall()
        with written_by_another(database, "a"), connect(database, "ro") as other:
            assert other.execute("SELECT id FROM keys").fetchall() == [("a",)]

        assert keys_in_a_copy(database, copy) == ["a"]


def test_a_file_is_read_as_a_plain_file_only_while_it_is_not_in_use(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("INSERT INTO keys (id, name) VALUES ('a', 'a')")
        looks: list[Path] = []
        look = foreign_log._read_database

        def noted(path: Path) -> object:
            looks.append(path)
            return look(path)

        monkeypatch.setattr(foreign_log, "_read_database", noted)
        with ExitStack() as used:
            used.enter_context(in_use(file_id(database)))
            with connect(database, "ro"):
                pass
            assert not looks
        with connect(database, "ro"):
            pass
        assert looks


def test_what_was_forgotten_can_be_closed_while_another_file_is_looked_at() -> None:
    """As the garbage collector does, at any time and in any thread, with a history in a cycle that nobody closed."""
    reached: list[bool] = []

    def look() -> None:
        with ExitStack() as forgotten:
            forgotten.enter_context(in_use((0, 1)))
            with in_use((0, 2), before=forgotten.close):
                reached.append(True)

    looking = Thread(target=look, daemon=True)
    looking.start()
    looking.join(timeout=10)

    assert reached
