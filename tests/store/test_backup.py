"""Backups: the whole database or nothing, in one file, and never over another."""

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.store.backup import backup
from pipeline.store.database import DatabaseError
from pipeline.store.reader import NoData, Reader


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT count(*) FROM looks").fetchone()[0])


@pytest.fixture
def writer(database: Path) -> Iterator[sqlite3.Connection]:
    """A connection that has written a thousand rows, all of them still in the WAL."""
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("BEGIN")
        db.executemany("INSERT INTO looks VALUES (?, ?)", [(f"A{number}", "2026") for number in range(1_000)])
        db.execute("COMMIT")
        yield db


def test_the_copy_is_whole_though_much_is_still_in_the_wal(
    database: Path, writer: sqlite3.Connection, tmp_path: Path
) -> None:
    size = backup(database, tmp_path / "copy.db")

    assert rows(tmp_path / "copy.db") == 1_000
    assert size == (tmp_path / "copy.db").stat().st_size


def test_the_copy_is_one_private_file(database: Path, writer: sqlite3.Connection, tmp_path: Path) -> None:
    backup(database, tmp_path / "copies" / "copy.db")

    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["copy.db"]
    with closing(sqlite3.connect(tmp_path / "copies" / "copy.db")) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert stat.S_IMODE((tmp_path / "copies" / "copy.db").stat().st_mode) == 0o600


def test_a_backup_is_taken_while_a_transaction_is_open(
    database: Path, writer: sqlite3.Connection, tmp_path: Path
) -> None:
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO looks VALUES ('B', '2026')")

    backup(database, tmp_path / "copy.db")
    writer.execute("COMMIT")

    assert rows(tmp_path / "copy.db") == 1_000
    assert rows(database) == 1_001


def test_the_copy_can_be_read_as_a_database(database: Path, tmp_path: Path) -> None:
    backup(database, tmp_path / "copy.db")

    with Reader.open(tmp_path / "copy.db") as record:
        assert record.runs(1) == []


def test_an_existing_file_is_never_overwritten(database: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_bytes(b"precious")

    with pytest.raises(DatabaseError, match=r"copy\.db exists: .*another name"):
        backup(database, tmp_path / "copy.db")

    assert (tmp_path / "copy.db").read_bytes() == b"precious"
    assert not (tmp_path / "copy.db.partial").exists()


def test_the_database_is_never_its_own_backup(database: Path) -> None:
    with pytest.raises(DatabaseError, match="exists"):
        backup(database, database)

    assert rows(database) == 0


def test_what_a_killed_backup_left_is_removed(database: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.db.partial").write_bytes(b"half of it")

    backup(database, tmp_path / "copy.db")

    assert rows(tmp_path / "copy.db") == 0
    assert not (tmp_path / "copy.db.partial").exists()


def test_without_a_database_nothing_is_created(tmp_path: Path) -> None:
    with pytest.raises(NoData, match=r"absent\.db: .*pipeline collect"):
        backup(tmp_path / "absent.db", tmp_path / "copy.db")

    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_gives_no_backup(database: Path, writer: sqlite3.Connection, tmp_path: Path) -> None:
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    writer.close()
    damage(database)

    with pytest.raises(DatabaseError, match=r"damaged"):
        backup(database, tmp_path / "copy.db")

    assert sorted(path.suffix for path in tmp_path.iterdir() if "copy" in path.name) == []


@pytest.mark.parametrize("name", ["file/copy.db", "x" * 300])
def test_a_file_that_cannot_be_created_is_refused(database: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DatabaseError, match="cannot be created"):
        backup(database, tmp_path / name)


def damage(path: Path) -> None:
    """Overwrite the pages that the table is on, as a dying disk would."""
    with closing(sqlite3.connect(path)) as db:
        (size,) = db.execute("PRAGMA page_size").fetchone()
        pages = [page for (page,) in db.execute("SELECT rootpage FROM sqlite_master WHERE name IN ('looks', 'runs')")]
    content = bytearray(path.read_bytes())
    for page in pages:
        content[(page - 1) * size : page * size] = b"\xa5" * size
    path.write_bytes(content)


@pytest.mark.parametrize("name", [".", "/", ".."])
def test_a_folder_is_not_replaced_by_a_backup(database: Path, name: str) -> None:
    with pytest.raises(DatabaseError, match="is a folder"):
        backup(database, Path(name))
