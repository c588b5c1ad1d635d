"""Migrations: whole or not at all, never edited, and never applied to another program's file."""

import errno
import hashlib
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiosqlite import Connection
from hypothesis import given
from hypothesis import strategies as st

from pipeline import instants
from pipeline.model.fields import CATALOGUE, DAILY_FIELDS, PROFILE_FIELDS, REPORTED_FIELDS, Field
from pipeline.store.catalogue_views import SQL_TYPES
from pipeline.store.database import APPLICATION_ID, DatabaseError, check_durable
from pipeline.store.migrate import migrate
from pipeline.store.migration_files import FOLDER, shipped_migrations
from pipeline.store.migration_steps import split_statements
from pipeline.store.reader import NoData, Reader
from pipeline.store.symbol_states import derive_states
from pipeline.store.writer import open_writer
from tests.support.clocks import START
from tests.support.database import documents, earlier_migrations


@contextmanager
def open_for_reading(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        yield db


def tables(path: Path) -> list[str]:
    with open_for_reading(path) as db:
        return [name for (name,) in db.execute("SELECT name FROM sqlite_master ORDER BY name")]


def version(path: Path) -> int:
    with open_for_reading(path) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def columns(path: Path, table: str) -> list[tuple[str, str]]:
    with open_for_reading(path) as db:
        return [(name, kind) for _, name, kind, *_ in db.execute(f"PRAGMA table_info({table})")]


def typed(fields: tuple[Field, ...]) -> list[tuple[str, str]]:
    return [(field.column, SQL_TYPES[field.kind]) for field in fields]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of migrations."""
    path = tmp_path / "migrations"
    path.mkdir()
    (path / "0001_first.sql").write_text("CREATE TABLE one (a TEXT);\nCREATE TABLE two (b TEXT);\n")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "overviews.db"


def test_a_database_is_created_with_its_folder_and_is_private(path: Path) -> None:
    applied = migrate(path, now=START)

    assert [migration.version for migration in applied] == list(range(1, len(shipped_migrations()) + 1))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_database_is_ours_in_wal_mode_and_of_the_newest_version(path: Path) -> None:
    migrate(path, now=START)

    with open_for_reading(path) as db:
        assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert db.execute("PRAGMA user_version").fetchone() == (len(shipped_migrations()),)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("SELECT DISTINCT applied_at FROM migrations").fetchall() == [(instants.to_text(START),)]


def test_applying_twice_changes_nothing(path: Path) -> None:
    migrate(path, now=START)
    before = digest(path)

    assert migrate(path, now=START) == ()
    assert digest(path) == before


def test_only_what_is_missing_is_applied(path: Path, folder: Path) -> None:
    migrate(path, now=START, folder=folder)
    (folder / "0002_second.sql").write_text("CREATE TABLE three (c TEXT);\n")

    applied = migrate(path, now=START, folder=folder)

    assert [(migration.version, migration.name) for migration in applied] == [(2, "second")]
    assert tables(path) == ["migrations", "one", "three", "two"]


def test_a_migration_that_fails_midway_leaves_nothing(path: Path, folder: Path) -> None:
    (folder / "0001_first.sql").write_text("CREATE TABLE one (a TEXT);\nCREATE TABLE one (b TEXT);\n")

    with pytest.raises(DatabaseError, match=r"overviews\.db: table one already exists"):
        migrate(path, now=START, folder=folder)

    assert tables(path) == []
    assert version(path) == 0


def test_a_migration_that_fails_leaves_those_before_it(path: Path, folder: Path) -> None:
    (folder / "0002_second.sql").write_text("CREATE TABLE three (c TEXT);\nINSERT INTO nowhere VALUES (1);\n")

    with pytest.raises(DatabaseError, match="nowhere"):
        migrate(path, now=START, folder=folder)

    assert tables(path) == ["migrations", "one", "two"]
    assert version(path) == 1


FIRST = shipped_migrations()[0]
STATEMENTS = list(split_statements(FIRST.source))


@pytest.mark.parametrize("kept", range(len(STATEMENTS)))
def test_a_shipped_migration_broken_off_after_any_statement_leaves_nothing(path: Path, folder: Path, kept: int) -> None:
    broken = "".join(STATEMENTS[:kept])
    (folder / "0001_first.sql").write_text(f"{broken}\nINSERT INTO nowhere VALUES (1);\n")

    with pytest.raises(DatabaseError, match="nowhere"):
        migrate(path, now=START, folder=folder)

    assert tables(path) == []
    assert migrate(path, now=START) == shipped_migrations()


def test_a_migration_cut_off_within_a_statement_leaves_nothing(path: Path, folder: Path) -> None:
    (folder / "0001_first.sql").write_text("CREATE TABLE one (a TEXT);\nCREATE TABLE two (b")

    with pytest.raises(ValueError, match="incomplete SQL statement: 'CREATE TABLE two"):
        migrate(path, now=START, folder=folder)

    assert tables(path) == []


def test_a_migration_altered_since_it_was_applied_is_refused(path: Path, folder: Path) -> None:
    migrate(path, now=START, folder=folder)
    (folder / "0001_first.sql").write_text("CREATE TABLE one (a TEXT);\nCREATE TABLE two (c TEXT);\n")
    (folder / "0002_second.sql").write_text("CREATE TABLE three (c TEXT);\n")
    before = digest(path)

    with pytest.raises(DatabaseError, match=r"overviews\.db .*migrations.*restore a backup"):
        migrate(path, now=START, folder=folder)

    assert digest(path) == before


def test_a_file_of_a_newer_version_is_refused_and_untouched(database: Path) -> None:
    with open_for_reading(database) as db:
        db.execute("PRAGMA user_version = 999")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = digest(database)

    with pytest.raises(DatabaseError, match=r"newer overview-pipeline .*999.*upgrade"):
        migrate(database, now=START)
    with pytest.raises(DatabaseError, match="newer"), Reader.open(database):
        pass

    assert digest(database) == before


def test_a_file_of_another_program_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with open_for_reading(path) as db:
        db.execute("CREATE TABLE theirs (a)")
    before = digest(path)

    with pytest.raises(DatabaseError, match="belongs to another program: name another file"):
        migrate(path, now=START)

    assert digest(path) == before
    assert [file.name for file in tmp_path.iterdir()] == ["theirs.db"]


def test_a_file_that_is_not_a_database_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(bytes(range(256)) * 16)
    before = digest(path)

    with pytest.raises(DatabaseError, match="not a database; name another file"):
        migrate(path, now=START)

    assert digest(path) == before


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="is a folder: name a file in it"):
        migrate(tmp_path, now=START)


def test_a_file_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DatabaseError, match=r"file is not a folder|cannot be created"):
        migrate(tmp_path / "file" / "overviews.db", now=START)


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    """It is what a process that was killed before its first migration leaves."""
    path.parent.mkdir()
    path.touch()

    with pytest.raises(NoData, match=r"overviews\.db is empty: .*pipeline collect"), Reader.open(path):
        pass
    assert migrate(path, now=START) == shipped_migrations()


def test_a_semicolon_within_a_string_ends_no_statement() -> None:
    assert [text.strip() for text in split_statements("INSERT INTO a VALUES (';\n');\nSELECT 1;\n")] == [
        "INSERT INTO a VALUES (';\n');",
        "SELECT 1;",
    ]


# The schema


def test_the_columns_of_the_parts_follow_the_catalogue(database: Path) -> None:
    assert sorted(columns(database, "profiles")[2:]) == sorted(typed(PROFILE_FIELDS))
    assert sorted(columns(database, "statements")[2:]) == sorted(typed(REPORTED_FIELDS))
    daily = typed(DAILY_FIELDS)
    assert {*daily} <= {*columns(database, "snapshots")}
    assert [name for name, _ in columns(database, "snapshots") if (name, _) not in daily] == [
        "symbol", "observed_at", "reconfirmed_at", "profile_id", "statement_id", "layout_id", "extra", "checksum",
    ]  # fmt: skip


@pytest.mark.parametrize("view", ["overviews", "latest_overviews"])
def test_the_views_show_every_field_in_the_apis_order(database: Path, view: str) -> None:
    symbol, *others = typed(CATALOGUE)

    assert columns(database, view) == [
        symbol,
        ("observed_at", "TEXT"),
        ("confirmed_at", ""),  # an expression, to which SQLite gives no type
        *others,
        ("extra", "TEXT"),
    ]


def test_every_table_is_strict(database: Path) -> None:
    with open_for_reading(database) as db:
        loose = db.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT strict"
            " AND name NOT LIKE 'sqlite_%'"
        ).fetchall()

    assert loose == []


INSTANTS = st.datetimes(datetime(1000, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC))


@given(one=INSTANTS, other=INSTANTS)
def test_instants_sort_as_text_as_they_do_in_time(one: datetime, other: datetime) -> None:
    to_the_millisecond = [at.replace(microsecond=at.microsecond // 1000 * 1000) for at in (one, other)]
    texts = [instants.to_text(at) for at in (one, other)]

    assert (texts[0] < texts[1]) == (to_the_millisecond[0] < to_the_millisecond[1])
    assert [instants.from_text(text) for text in texts] == to_the_millisecond


def test_a_database_of_the_first_version_keeps_its_content(tmp_path: Path) -> None:
    path, first = tmp_path / "old.db", tmp_path / "first"
    first.mkdir()
    shutil.copy(FOLDER / "0001_record.sql", first)
    migrate(path, now=START, folder=first)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO profiles (digest, name) VALUES (x'01', 'International Business Machines')")
        db.execute("INSERT INTO statements (digest, latest_quarter) VALUES (x'01', '2025-12-31')")
        db.execute("INSERT INTO layouts (digest, keys) VALUES (x'01', ?)", ('["Symbol", "Address"]',))
        db.execute("INSERT INTO symbols (symbol, state, snapshots) VALUES ('IBM', 'covered', 2)")
        for observed, confirmed, extra in (
            ("2026-01-01", "2026-01-01", None),
            ("2026-01-02", "2026-01-05", '{"Address": "NONE"}'),
        ):
            db.execute(
                "INSERT INTO snapshots"
                " (symbol, observed_at, confirmed_at, profile_id, statement_id, layout_id, eps, extra)"
                " VALUES ('IBM', ?, ?, 1, 1, 1, 6.5, ?)",
                (observed, confirmed, extra),
            )
        db.execute("INSERT INTO runs (id, trigger, status) VALUES (1, 'manual', 'complete')")
        db.execute("INSERT INTO outcomes VALUES (1, 'ZZZ', 'unknown', 1, '2026-01-03', NULL)")
    migrate(path, now=START)

    with open_for_reading(path) as db:
        kept = db.execute(
            "SELECT symbol, name, latest_quarter, eps, observed_at, confirmed_at FROM overviews"
        ).fetchall()
        gone = db.execute("SELECT symbol, at FROM uncovered").fetchall()
    who = ("IBM", "International Business Machines", "2025-12-31", 6.5)
    assert kept == [(*who, "2026-01-01", "2026-01-01"), (*who, "2026-01-02", "2026-01-05")]
    assert gone == [("ZZZ", "2026-01-03")]
    assert documents(path, "IBM") == [{"Symbol": "IBM", "Address": "None"}, {"Symbol": "IBM", "Address": "NONE"}]


async def test_a_state_derived_under_the_old_rule_is_what_the_new_one_derives(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    migrate(path, now=START, folder=earlier_migrations(tmp_path, 4))
    histories: dict[str, tuple[float | None, Sequence[float]]] = {
        "NEVER": (None, [1, 2, 4]),
        "WEEK": (0, [1, 2, 3]),
        "LONGER": (0, [1, 2, 4, 7.99, 8, 9, 11]),
        "WELL": (5, [1, 2]),
        "FOREVER": (0, range(1, 400, 30)),
    }
    with closing(sqlite3.connect(path)) as db, db:
        for table in ("profiles", "statements"):
            db.execute(f"INSERT INTO {table} (id, digest) VALUES (1, x'01')")
        db.execute("INSERT INTO layouts (id, digest, keys) VALUES (1, x'01', '[]')")
        for symbol, (seen, gone) in histories.items():
            if seen is not None:
                db.execute(
                    "INSERT INTO snapshots (symbol, observed_at, profile_id, statement_id, layout_id)"
                    " VALUES (?, ?, 1, 1, 1)",
                    (symbol, day(seen)),
                )
            db.executemany("INSERT INTO uncovered VALUES (?, ?)", [(symbol, day(number)) for number in gone])
            is_covered = seen is not None and seen > max(gone)
            last = day(seen) if is_covered and seen is not None else day(max(gone))
            db.execute(
                "INSERT INTO symbols VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    symbol, "covered" if is_covered else "unknown", last if is_covered else day(min(gone)), last,
                    None if is_covered else instants.to_text(instants.from_text(last) + timedelta(days=4)), last,
                    "stored" if is_covered else "unknown", int(seen is not None),
                ),
            )  # fmt: skip

    migrate(path, now=START)

    with Reader.open(path) as reader:
        migrated = reader.symbol_states()
    async with open_writer(path) as writer:
        await writer.write(_derive, list(histories))
    with Reader.open(path) as reader:
        derived = reader.symbol_states()
    assert derived == migrated
    assert migrated["WEEK"].next_try is None


async def _derive(db: Connection, batches: Sequence[Sequence[str]]) -> Sequence[None]:
    for symbols in batches:
        await derive_states(db, symbols)
    return [None] * len(batches)


def day(number: float) -> str:
    return instants.to_text(START + timedelta(days=number))


@pytest.mark.parametrize(("journal_mode", "synchronous"), [("delete", 2), ("wal", 1), (None, 2)])
def test_a_connection_that_is_not_durable_is_refused(
    journal_mode: str | None, synchronous: int, tmp_path: Path
) -> None:
    with pytest.raises(DatabaseError, match=r"cannot write durably.*local disk"):
        check_durable(tmp_path / "overviews.db", journal_mode, synchronous)


def test_nothing_is_migrated_where_a_power_cut_could_lose_the_log(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DatabaseError, match=r"cannot be synced: input/output error"):
        migrate(database, now=START)
