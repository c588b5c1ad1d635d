"""Data version: every write changes it, also one in this process, and another file in its place; nothing else does."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.store.data_version import DataVersion
from tests.support.observations import database_of, seen


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return Path(shutil.copy(database_of([seen(0, PERatio="10")]), tmp_path / "overviews.db"))


@pytest.fixture
def version(database: Path) -> Iterator[DataVersion]:
    version = DataVersion(database)
    yield version
    version.close()


def test_every_write_changes_it_and_reading_does_not(database: Path, version: DataVersion) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        states = []
        for _ in range(3):
            db.execute("UPDATE symbols SET snapshots = snapshots + 1")
            db.execute("SELECT count(*) FROM snapshots").fetchone()
            states.append(version.read())
            assert version.read() == states[-1] is not None
    assert len(set(states)) == 3


def test_what_is_not_committed_does_not_change_it(database: Path, version: DataVersion) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        before = version.read()
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE symbols SET snapshots = 7")
        assert version.read() == before


def test_another_file_in_its_place_changes_it(database: Path, version: DataVersion) -> None:
    before = version.read()
    other = Path(shutil.copy(database, database.with_name("other.db")))
    other.replace(database)
    assert version.read() not in (before, None)


def test_it_is_unknown_where_there_is_no_database_and_known_when_one_appears(tmp_path: Path, database: Path) -> None:
    path = tmp_path / "later.db"
    version = DataVersion(path)
    assert version.read() is None
    path.write_bytes(b"no database" * 100)
    assert version.read() is None
    shutil.copy(database, path)
    assert version.read() is not None
    path.unlink()
    assert version.read() is None
    version.close()
