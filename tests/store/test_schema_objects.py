"""Schema objects: a file whose tables are not plain tables is refused before anything of it is read."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.store.backup import backup_into
from pipeline.store.database import DatabaseError
from pipeline.store.log_place import followed, holds_own_record
from pipeline.store.marker import LastRun, Marker, write_marker
from pipeline.store.migrate import migrate
from pipeline.store.migration_files import FOLDER, read_migrations, shipped_migrations
from pipeline.store.older_copy import is_behind
from pipeline.store.reader import Reader, open_any_version
from pipeline.store.schema_objects import NEWEST_DIGEST, NEWEST_NAMES, apply_to_empty, digest, made_by
from pipeline.store.stored_symbols import holds_invented_data
from tests.support.clocks import START
from tests.support.commands import NEEDED, call
from tests.support.database import earlier_migrations

ENDLESS = (
    "WITH RECURSIVE endless(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless)"
    " SELECT n AS {} FROM endless WHERE n < 0"
)
"""It has no first row, either."""


@pytest.fixture
def db(database: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        yield connection


def replace_by_endless_view(db: sqlite3.Connection, name: str) -> None:
    """Replace a table, whatever refers to it, by a view that never ends."""
    columns = [column for _, column, *_ in db.execute(f"PRAGMA table_info({name})")]
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("PRAGMA legacy_alter_table = ON")
    db.execute(f"ALTER TABLE {name} RENAME TO {name}_before")
    db.execute(f"CREATE VIEW {name} AS {ENDLESS.format(', n AS '.join(columns))}")


TABLES = sorted(name for name, made in made_by(shipped_migrations()).objects.items() if made.kind == "table")


@pytest.mark.parametrize("name", TABLES)
def test_a_view_in_place_of_a_table_is_refused_and_not_read(db: sqlite3.Connection, database: Path, name: str) -> None:
    replace_by_endless_view(db, name)

    with pytest.raises(DatabaseError, match=rf"{name} is .*restore a backup"), open_any_version(database):
        pass
    with pytest.raises(DatabaseError, match=rf"{name} is "):
        migrate(database, now=START)


@pytest.mark.parametrize("command", ["status", "doctor", "plan", "symbols", "runs", "health", "history", "backup"])
def test_no_command_waits_for_a_view_that_never_ends(db: sqlite3.Connection, database: Path, command: str) -> None:
    replace_by_endless_view(db, "snapshots")

    (database.parent / "config").mkdir()
    (database.parent / "config" / "pipeline.toml").write_text('[symbols]\nlist = ["IBM"]\n')
    ended = call(database.parent, command, *NEEDED.get(command, []), "--database", str(database))

    assert ended.code != 0
    assert "Traceback" not in ended.err
    assert "snapshots is a view" in ended.out + ended.err


def write_down_as_endless(db: sqlite3.Connection, name: str) -> None:
    """Write into the schema that a table, which may be SQLite's own, is a view that never ends."""
    columns = [column for _, column, *_ in db.execute(f"PRAGMA table_info({name})")]
    view = f"CREATE VIEW {name} AS {ENDLESS.format(', n AS '.join(columns))}"
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA writable_schema = ON")
    db.execute("DELETE FROM sqlite_master WHERE type = 'index' AND tbl_name = ?", (name,))
    db.execute("UPDATE sqlite_master SET type = 'view', rootpage = 0, sql = ? WHERE name = ?", (view, name))


LOOKED_AT = ("migrations", "followed", "runs", "symbols", "profiles", "sqlite_sequence")
"""Tables that are read to learn one thing of a file; the last is SQLite's own."""


def hostile_copies(database: Path) -> Iterator[Path]:
    """Yield the file with an endless view in place of one table after another."""
    whole = database.read_bytes()
    for name in LOOKED_AT:
        database.write_bytes(whole)
        with closing(sqlite3.connect(database, isolation_level=None)) as db:
            write_down_as_endless(db, name)
        yield database


def read_unmigrated(path: Path) -> None:
    with open_any_version(path):
        pass


@pytest.mark.parametrize("look", [followed, holds_own_record, read_unmigrated])
def test_a_look_at_one_table_refuses_the_file_as_well(database: Path, look: Callable[[Path], object]) -> None:
    for path in hostile_copies(database):
        with pytest.raises(DatabaseError, match="restore a backup"):
            look(path)


@pytest.mark.parametrize(("look", "unknown"), [(is_behind, False), (holds_invented_data, None)])
def test_a_look_that_may_fail_learns_nothing_of_it(
    database: Path, look: Callable[[Path], object], unknown: object
) -> None:
    write_marker(database, Marker(last_run=LastRun(id=1, record="another", state="begun")))

    assert [look(path) for path in hostile_copies(database)] == [unknown] * len(LOOKED_AT)


def test_a_backup_does_not_read_a_hostile_copy_among_those_of_the_database(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    whole = database.read_bytes()
    copies = [
        Path(shutil.copy(path, folder / f"{database.stem}-2026-01-01T0000{number:02}Z.db"))
        for number, path in enumerate(hostile_copies(database))
    ]
    database.write_bytes(whole)

    _, removed = backup_into(database, folder, keep=1, now=START)

    assert removed == []
    assert all(path.exists() for path in copies)


@pytest.mark.parametrize("name", ["profiles", "snapshots", "sqlite_sequence"])
def test_a_half_migrated_file_is_not_continued_with_a_view_in_place_of_a_table(tmp_path: Path, name: str) -> None:
    database = tmp_path / "old.db"
    before, after = earlier_migrations(tmp_path, 11), earlier_migrations(tmp_path, 12)
    migrate(database, now=START, folder=before)
    digests = read_migrations(after)[-1]
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.executescript(
            "CREATE TABLE migration_under_way (version, checksum, step, after, done, total); PRAGMA user_version = 12"
        )
        db.execute("INSERT INTO migration_under_way VALUES (12, ?, 0, NULL, 0, 1)", (digests.checksum,))
        write_down_as_endless(db, name)

    with pytest.raises(DatabaseError, match=f"{name} is not"):
        migrate(database, now=START, folder=after)


CHANGES = {
    "another view": "DROP VIEW overviews; CREATE VIEW overviews AS SELECT 1 AS symbol",
    "a missing view": "DROP VIEW latest_overviews",
    "a missing table": "DROP TABLE backups",
    "a virtual table": "DROP TABLE backups; CREATE VIRTUAL TABLE backups USING fts5(at, file, bytes)",
    "a computed column": "ALTER TABLE looks ADD COLUMN x BLOB AS (zeroblob(1000000000))",
    "a computed column in our table": "ALTER TABLE snapshots ADD COLUMN x BLOB AS (length(hex(zeroblob(100000000))))",
    "a missing column": "ALTER TABLE runs DROP COLUMN detail",
    "our computed column, computed otherwise": "PRAGMA writable_schema = ON;"
    "UPDATE sqlite_master SET sql = replace(sql, 'coalesce(', 'coalesce(hex(zeroblob(9)), ') WHERE name = 'snapshots'",
    "another type": "DROP TABLE keys; CREATE TABLE keys (id BLOB PRIMARY KEY, name TEXT)",
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_as_we_make_it_is_refused(db: sqlite3.Connection, database: Path, change: str) -> None:
    db.executescript(CHANGES[change])

    with pytest.raises(DatabaseError, match="restore a backup"), Reader.open(database):
        pass


def test_the_list_of_migrations_may_not_be_computed(db: sqlite3.Connection, database: Path) -> None:
    db.executescript(
        "ALTER TABLE migrations RENAME TO before;"
        "CREATE TABLE migrations (version INT, checksum TEXT, x AS/**/(length(hex(zeroblob(100000000)))))"
    )

    with pytest.raises(DatabaseError, match="migrations is not a plain table"), Reader.open(database):
        pass


ADDED = {
    "a table": "CREATE TABLE theirs (x)",
    "a view": "CREATE VIEW theirs AS SELECT * FROM overviews",
    "an endless view": f"CREATE VIEW theirs AS {ENDLESS.format('x')}",
    "an index": "CREATE INDEX theirs ON looks (at)",
    "full text": "CREATE VIRTUAL TABLE theirs USING fts5(name, content='profiles')",
    "a column": "ALTER TABLE looks ADD COLUMN theirs TEXT",
    "a column beside one that we compute": "ALTER TABLE snapshots ADD COLUMN theirs TEXT",
}


@pytest.mark.parametrize("added", ADDED)
def test_what_users_add_is_allowed(db: sqlite3.Connection, database: Path, added: str) -> None:
    db.execute(ADDED[added])

    migrate(database, now=START)
    with Reader.open(database) as reader:
        assert reader.runs(1) == []


def test_a_trigger_is_no_reason_not_to_read_but_nothing_is_written_through_it(
    db: sqlite3.Connection, database: Path
) -> None:
    db.execute("CREATE TRIGGER theirs AFTER INSERT ON Looks BEGIN DELETE FROM looks; END")

    with Reader.open(database):
        pass
    with pytest.raises(DatabaseError, match=r"trigger theirs.*DROP TRIGGER"):
        migrate(database, now=START)


@pytest.mark.parametrize("version", range(1, len(shipped_migrations()) + 1))
def test_files_of_every_version_pass_and_are_brought_up_to_date(tmp_path: Path, version: int) -> None:
    database = tmp_path / "old.db"
    migrate(database, now=START, folder=earlier_migrations(tmp_path, version))
    with open_any_version(database) as (_, schema):
        assert schema.version == version

    migrate(database, now=START)

    with Reader.open(database):
        pass


@pytest.mark.parametrize("version", [1, 8, 16])
def test_an_older_file_with_another_view_or_table_is_refused(tmp_path: Path, version: int) -> None:
    database = tmp_path / "old.db"
    migrate(database, now=START, folder=earlier_migrations(tmp_path, version))
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        replace_by_endless_view(db, "statements")

    with pytest.raises(DatabaseError, match="statements is a view"):
        migrate(database, now=START)


def test_the_newest_schema_is_recognized_at_a_glance() -> None:
    """Where this fails after a migration was added, the numbers on its left are the new ones."""
    migrations = read_migrations(FOLDER)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        apply_to_empty(db, migrations)
        names = tuple(sorted(made_by(migrations).objects))
        assert (names, digest(db, names)) == (NEWEST_NAMES, NEWEST_DIGEST)


def test_a_new_file_is_recognized_at_a_glance(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.store.schema_objects.made_by", None)  # which takes time

    with Reader.open(database):
        pass


def test_the_text_of_a_table_may_be_quoted_in_another_way(database: Path, db: sqlite3.Connection) -> None:
    """As versions of SQLite do where a migration renames one."""
    db.execute("PRAGMA writable_schema = ON")
    db.execute("UPDATE sqlite_master SET sql = replace(sql, '\"snapshots\"', 'snapshots')")
    db.execute("PRAGMA writable_schema = RESET")

    with Reader.open(database):
        pass
