"""What a killed process leaves beside the database is recovered first, whoever opens it; or the error says why not."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from pipeline.query.history import History
from pipeline.store.backup import backup
from pipeline.store.database import DatabaseError, refuse_foreign
from pipeline.store.migrate import migrate
from pipeline.store.reader import Reader
from tests.support.clocks import START
from tests.support.killed import killed_after_commit, killed_while_writing
from tests.support.rights import open_to_all, read_only


@pytest.fixture
def killed(database: Path, tmp_path: Path) -> Path:
    """Return a database as a kill in the middle of a transaction leaves it."""
    path = killed_while_writing(database, tmp_path / "killed.db")
    assert tables(path, "?mode=ro&immutable=1") == {"damaged"}
    return path


@pytest.fixture
def shared() -> Iterator[Path]:
    with open_to_all() as folder:
        yield folder


def tables(path: Path, query: str = "") -> set[str]:
    with closing(sqlite3.connect(f"{path.as_uri()}{query}", uri=True)) as db:
        try:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except (AssertionError, sqlite3.DatabaseError):
            return {"damaged"}


@pytest.mark.parametrize("opening", [Reader.open, History.open])
def test_a_reader_undoes_what_is_half_written(
    killed: Path, opening: Callable[[Path], AbstractContextManager[object]]
) -> None:
    with opening(killed):
        pass

    assert "half_done" not in tables(killed)
    assert {"runs", "requests"} <= tables(killed)
    assert not killed.with_name("killed.db-journal").exists()


def test_the_check_before_collecting_undoes_what_is_half_written(killed: Path) -> None:
    refuse_foreign(killed)
    migrate(killed, now=START)

    assert {"runs", "requests"} <= tables(killed)


def test_a_backup_of_a_half_written_database_is_whole(killed: Path, tmp_path: Path) -> None:
    backup(killed, tmp_path / "copy.db", now=START)

    assert tables(tmp_path / "copy.db") == tables(killed)


def test_a_journal_that_cannot_be_undone_is_named(killed: Path, shared: Path) -> None:
    for name in ("killed.db", "killed.db-journal"):
        shutil.copy(killed.with_name(name), shared / name)

    problem = r"killed\.db: a killed process left .* half-written.*read-only.*status"
    with read_only(shared), pytest.raises(DatabaseError, match=problem), Reader.open(shared / "killed.db"):
        pass


def test_a_wal_that_cannot_be_read_is_named(database: Path, shared: Path) -> None:
    left = killed_after_commit(database, shared / "left.db")

    problem = r"left\.db: the changes in left\.db-wal cannot be read here.*backup"
    with read_only(shared), pytest.raises(DatabaseError, match=problem), Reader.open(left):
        pass


def test_an_empty_wal_hides_nothing(database: Path, shared: Path) -> None:
    left = killed_after_commit(database, shared / "left.db")
    with closing(sqlite3.connect(left)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    left.with_name("left.db-wal").touch()

    with read_only(shared), Reader.open(left) as reader:
        assert len(reader.runs(9)) == 1


def test_what_is_in_the_wal_of_a_killed_process_is_read(database: Path, tmp_path: Path) -> None:
    left = killed_after_commit(database, tmp_path / "left.db")

    with Reader.open(left) as reader:
        assert len(reader.runs(9)) == 1
