"""Backups: the whole database or nothing, in one file, and never over another."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.files import path_of
from pipeline.partials import partial_file
from pipeline.store import backup as module
from pipeline.store.backup import Backup, backup, backup_beside, backup_into, checked, note_backup
from pipeline.store.database import DatabaseError
from pipeline.store.migrate import migrate
from pipeline.store.noted_backups import NO_BACKUPS
from pipeline.store.reader import NoData, Reader
from tests.support.clocks import START as NOW
from tests.support.database import earlier_migrations


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
    made = backup(database, tmp_path / "copy.db", now=NOW)

    assert rows(tmp_path / "copy.db") == 1_000
    assert made.size == (tmp_path / "copy.db").stat().st_size


def test_the_copy_is_one_private_file(database: Path, writer: sqlite3.Connection, tmp_path: Path) -> None:
    (tmp_path / "copies").mkdir()

    backup(database, tmp_path / "copies" / "copy.db", now=NOW)

    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["copy.db"]
    with closing(sqlite3.connect(tmp_path / "copies" / "copy.db")) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert stat.S_IMODE((tmp_path / "copies" / "copy.db").stat().st_mode) == 0o600


def test_a_backup_is_taken_while_a_transaction_is_open(
    database: Path, writer: sqlite3.Connection, tmp_path: Path
) -> None:
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO looks VALUES ('B', '2026')")

    backup(database, tmp_path / "copy.db", now=NOW)
    writer.execute("COMMIT")

    assert rows(tmp_path / "copy.db") == 1_000
    assert rows(database) == 1_001


def test_the_copy_can_be_read_as_a_database(database: Path, tmp_path: Path) -> None:
    backup(database, tmp_path / "copy.db", now=NOW)

    with Reader.open(tmp_path / "copy.db") as record:
        assert record.runs(1) == []


def test_an_existing_file_is_never_overwritten(database: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_bytes(b"precious")

    with pytest.raises(DatabaseError, match=r"copy\.db exists: .*another name"):
        backup(database, tmp_path / "copy.db", now=NOW)

    assert (tmp_path / "copy.db").read_bytes() == b"precious"
    assert list(tmp_path.glob("copy*")) == [tmp_path / "copy.db"]


def test_a_file_that_appears_while_it_copies_is_not_overwritten(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "copy.db"

    def then_appears(copy: Path) -> str:
        target.write_text("mine")
        return checked(copy)

    monkeypatch.setattr(module, "checked", then_appears)

    with pytest.raises(DatabaseError, match="exists"):
        backup(database, target, now=NOW)
    assert target.read_text() == "mine"
    assert not [*tmp_path.glob("*.partial")]


def test_a_copy_that_another_command_removes_meanwhile_does_no_harm(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(3):
        backup_into(database, tmp_path, keep=9, now=NOW + timedelta(days=day))
    oldest = min(tmp_path.glob("overviews-*.db"))

    judge = module._began_at

    def then_removed(path: Path) -> str | None:
        began_at = judge(path)
        if path == oldest:
            path.unlink()
        return began_at

    monkeypatch.setattr(module, "_began_at", then_removed)

    made, _ = backup_into(database, tmp_path, keep=1, now=NOW + timedelta(days=3))

    assert [*tmp_path.glob("overviews-*.db")] == [made.file]


def test_the_database_is_never_its_own_backup(database: Path) -> None:
    with pytest.raises(DatabaseError, match="exists"):
        backup(database, database, now=NOW)

    assert rows(database) == 0


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal", ".lock"])
def test_a_name_that_belongs_to_the_database_is_refused_though_it_is_free(database: Path, suffix: str) -> None:
    """SQLite would take the copy for its own log, and remove it."""
    file = database.with_name(f"{database.name}{suffix}")

    with pytest.raises(DatabaseError, match="belongs to the database itself"):
        backup(database, file, now=NOW)

    assert not file.exists()


def test_what_a_killed_backup_left_is_removed(database: Path, tmp_path: Path) -> None:
    for name in ("copy.db.01234567.partial", "copy.db.01234567.partial-journal"):
        (tmp_path / name).write_bytes(b"half of it")
    before = list(tmp_path.glob("copy*"))

    backup(database, tmp_path / "copy.db", now=NOW)

    assert rows(tmp_path / "copy.db") == 0
    assert len(before) == 2
    assert list(tmp_path.glob("copy*")) == [tmp_path / "copy.db"]


def test_a_copy_beside_the_database_has_a_free_name_and_replaces_what_a_killed_one_left(database: Path) -> None:
    dead = database.with_name(f"{database.stem}-before-2026-01-01T000000Z.db.01234567.partial")
    others = database.with_name("theirs-before-2026-01-01T000000Z.db.01234567.partial")
    dead.touch()
    others.touch()

    first, second = (backup_beside(database, "before", now=NOW) for _ in range(2))

    assert first.file != second.file
    assert [rows(one.file) for one in (first, second)] == [0, 0]
    assert not dead.exists()
    assert others.exists()


def test_without_a_database_nothing_is_created(tmp_path: Path) -> None:
    with pytest.raises(NoData, match=r"absent\.db: .*pipeline collect"):
        backup(tmp_path / "absent.db", tmp_path / "copy.db", now=NOW)

    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_gives_no_backup(database: Path, writer: sqlite3.Connection, tmp_path: Path) -> None:
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    writer.close()
    damage(database)

    with pytest.raises(DatabaseError, match=r"damaged"):
        backup(database, tmp_path / "copy.db", now=NOW)

    assert sorted(path.suffix for path in tmp_path.iterdir() if "copy" in path.name) == []


@pytest.mark.parametrize("folder", ["absent", "absent/too", "file"])
def test_a_folder_is_never_created_for_it_may_be_one_that_is_not_mounted(
    database: Path, tmp_path: Path, folder: str
) -> None:
    (tmp_path / "file").touch()
    before = sorted(tmp_path.iterdir())

    with pytest.raises(DatabaseError, match="mkdir -p") as refused:
        backup(database, tmp_path / folder / "copy.db", now=NOW)
    with pytest.raises(DatabaseError, match="mkdir -p"):
        backup_into(database, tmp_path / folder, keep=1, now=NOW)

    assert str(tmp_path / folder) in str(refused.value)
    assert sorted(tmp_path.iterdir()) == before


def test_a_database_of_an_older_version_is_copied_as_it_is(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    migrate(old, now=NOW, folder=earlier_migrations(tmp_path, 3))

    backup(old, tmp_path / "copy.db", now=NOW)

    with closing(sqlite3.connect(tmp_path / "copy.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (3,)


# A folder of dated copies


def test_the_newest_copies_are_kept_and_nothing_else_is_touched(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    others = {
        "overviews.db",
        "overviews-2020-01-01.db",
        "other-2020-01-01T000000Z.db",
        "overviews-2020-01-01T000000Z.dbx",
    }
    for name in others:
        (folder / name).touch()

    removed = [backup_into(database, folder, keep=2, now=NOW + timedelta(days=day))[1] for day in range(4)]

    dated = [f"{database.stem}-{NOW + timedelta(days=day):%Y-%m-%dT%H%M%SZ}.db" for day in range(4)]
    assert {path.name for path in folder.iterdir()} == others | {*dated[2:]}
    assert removed == [[], [], [folder / dated[0]], [folder / dated[1]]]


def test_copies_of_one_second_are_dated_one_after_the_other(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()

    made = [backup_into(database, folder, keep=2, now=NOW)[0] for _ in range(3)]

    dated = [f"{database.stem}-{NOW + timedelta(seconds=number):%Y-%m-%dT%H%M%SZ}.db" for number in range(3)]
    assert [one.file.name for one in made] == dated
    assert {path.name for path in folder.iterdir()} == {*dated[1:]}
    assert {one.at for one in made} == {NOW}


def test_a_dated_copy_that_appears_while_it_copies_is_not_overwritten(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / f"{database.stem}-{NOW:%Y-%m-%dT%H%M%SZ}.db"

    def then_appears(copy: Path) -> str:
        theirs.write_text("theirs")
        return checked(copy)

    monkeypatch.setattr(module, "checked", then_appears)

    made, _ = backup_into(database, tmp_path, keep=1, now=NOW)

    assert theirs.read_text() == "theirs"
    assert made.file == theirs.with_name(f"{database.stem}-{NOW + timedelta(seconds=1):%Y-%m-%dT%H%M%SZ}.db")


def test_of_two_databases_of_one_name_each_removes_its_own_copies_only(database: Path, tmp_path: Path) -> None:
    folder, other = tmp_path / "copies", tmp_path / "other" / database.name
    folder.mkdir()
    migrate(other, now=NOW - timedelta(days=365))
    theirs, _ = backup_into(other, folder, keep=1, now=NOW)

    ours = [backup_into(database, folder, keep=1, now=NOW + timedelta(days=day))[0].file for day in (1, 2)]

    assert set(folder.iterdir()) == {theirs.file, ours[1]}


def test_no_copy_is_removed_where_the_new_one_fails(database: Path, writer: sqlite3.Connection, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    first, _ = backup_into(database, folder, keep=1, now=NOW)
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    writer.close()
    damage(database)

    with pytest.raises(DatabaseError):
        backup_into(database, folder, keep=1, now=NOW + timedelta(days=1))

    assert list(folder.iterdir()) == [first.file]


def test_what_killed_backups_left_in_the_folder_is_removed(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    dead = folder / f"{database.stem}-2026-01-01T000000Z.db.01234567.partial"
    dead.touch()

    with partial_file(folder / f"{database.stem}-2026-01-02T000000Z.db", 0o600) as living:
        made, removed = backup_into(database, folder, keep=1, now=NOW)

        assert removed == [dead]
        assert sorted(folder.iterdir()) == sorted([living.path, made.file])


def test_a_copy_from_the_future_does_not_have_the_new_one_removed(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    ahead, _ = backup_into(database, folder, keep=1, now=NOW + timedelta(days=365))
    made, removed = backup_into(database, folder, keep=1, now=NOW)

    assert removed == [ahead.file]
    assert list(folder.iterdir()) == [made.file]


# The note in the database


def test_the_database_knows_its_last_backup(database: Path, tmp_path: Path) -> None:
    with Reader.open(database) as reader:
        assert reader.backups(until=NOW) == NO_BACKUPS

    for days in (3, 1, 2):
        note_backup(database, Backup(NOW + timedelta(days=days), tmp_path / "copy.db", 5))

    with Reader.open(database) as reader:
        whole = reader.backups(until=NOW + timedelta(days=3))
        seen = reader.backups(until=NOW + timedelta(days=2))
        none = reader.backups(until=NOW)
    assert (whole.last, whole.ahead) == (NOW + timedelta(days=3), None)
    assert (seen.last, seen.ahead) == (NOW + timedelta(days=2), NOW + timedelta(days=3))
    assert (none.last, none.ahead) == (None, NOW + timedelta(days=3))


def test_a_backup_whose_name_is_not_utf_8_is_noted(database: Path, tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"caf\xe9") / os.fsdecode(b"b\xff.db")

    note_backup(database, Backup(NOW, file, 5))

    with Reader.open(database) as reader:
        noted = reader.backups(until=NOW)
    assert noted.last == NOW
    assert path_of(str(noted.file)) == file


def test_an_older_database_is_not_written_to(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    migrate(old, now=NOW, folder=earlier_migrations(tmp_path, 3))

    with pytest.raises(DatabaseError, match="older schema: pipeline migrate"):
        note_backup(old, Backup(NOW, tmp_path / "copy.db", 5))


def test_what_is_wrong_with_a_copy_is_said_without_a_headline(database: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.executescript(
            "CREATE TABLE lost (x); PRAGMA writable_schema = ON; DELETE FROM sqlite_master WHERE name = 'lost'"
        )

    with pytest.raises(DatabaseError, match=r"the copy is damaged: Page [0-9]+.*restore an earlier"):
        backup(database, tmp_path / "copy.db", now=NOW)


@pytest.mark.parametrize("name", ["x" * 300])
def test_a_file_that_cannot_be_created_is_refused(database: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(DatabaseError, match="cannot be created"):
        backup(database, tmp_path / name, now=NOW)


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
        backup(database, Path(name), now=NOW)
