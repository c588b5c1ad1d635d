"""Migrations: brings a database to the newest schema by numbered scripts.

A migration in SQL is one transaction: it is applied whole or not at all. One in Python, for changes that take minutes,
is many small transactions, each of which also writes its position into the file (`UNDER_WAY`). After a kill it
continues from there; until it is done, everything but `migrate` refuses the file.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pipeline import instants
from pipeline.files import is_present
from pipeline.store.database import (
    APPLICATION_ID,
    OLDEST_SQLITE,
    DatabaseError,
    check_durable,
    connect,
    create_private,
)
from pipeline.store.marker import record_gone
from pipeline.store.migration_files import FOLDER, Migration, read_migrations
from pipeline.store.migration_steps import Step, split_statements
from pipeline.store.schema import UnderWay, read_schema
from pipeline.store.schema_objects import MIGRATIONS_TABLE, UNDER_WAY, refuse_triggers

TRANSACTION_ROWS = 10_000
"""Rows after which a migration in Python commits: a fifth of a second of work."""

_UNDER_WAY_TABLE = f"""
    CREATE TABLE IF NOT EXISTS {UNDER_WAY} (
        version INTEGER PRIMARY KEY,
        checksum TEXT NOT NULL,
        step INTEGER NOT NULL,
        after TEXT,
        done INTEGER NOT NULL,
        total INTEGER NOT NULL
    ) STRICT
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How many rows of a migration are done. A migration that takes no time has none."""

    migration: Migration
    done: int
    total: int
    is_complete: bool


OnProgress = Callable[[Progress], object]
"""Called after each transaction of a migration. What it raises stops the migration there, to be continued later."""


def no_progress(_progress: Progress) -> None:
    """Show no progress."""


def migrate(
    path: Path, *, now: datetime, folder: Path = FOLDER, may_begin: bool = True, on_progress: OnProgress = no_progress
) -> tuple[Migration, ...]:
    """Bring the database to this program's schema; create it if it is missing. Return the migrations applied.

    A migration that was interrupted is continued. Raise DatabaseError for a file of another program or of a newer
    version, which stays untouched, and for one that was made by other migrations; RecordGone for a file that is missing
    or empty, unless a record `may_begin`. The caller holds the lock.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise DatabaseError(
            f"SQLite {sqlite3.sqlite_version} is too old", remedy=f"use a Python with SQLite {oldest} or newer"
        )
    migrations = read_migrations(folder)
    if not may_begin and not is_present(path):
        raise record_gone(path)
    create_private(path)
    with connect(path, "rw") as db:
        schema = read_schema(db, path, migrations)
        if not (schema.version or may_begin):
            raise record_gone(path)
        refuse_triggers(db, path)
        # Nothing was written before this check: the file is ours, or empty.
        (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
        db.execute("PRAGMA synchronous = FULL")
        (synchronous,) = db.execute("PRAGMA synchronous").fetchone()
        db.execute("SELECT 1 FROM sqlite_master").fetchone()  # opens the log, which has a name then
        check_durable(path, mode, synchronous)
        under_way = schema.under_way
        pending = migrations[schema.version :]
        for migration in pending:
            if migration.is_stepwise:
                _apply_stepwise(db, migration, under_way, now, on_progress)
            else:
                with _transaction(db):
                    for statement in split_statements(migration.source):
                        db.execute(statement)
                    _record(db, migration, now)
                on_progress(Progress(migration, 0, 0, is_complete=True))
            under_way = None
    return pending


def _apply_stepwise(
    db: sqlite3.Connection, migration: Migration, under_way: UnderWay | None, now: datetime, on_progress: OnProgress
) -> None:
    """Apply a migration in Python, or continue it: in transactions, each of which also writes how far it has come."""
    steps = migration.steps()
    db.execute("PRAGMA cache_size = -65536")  # 64 MB: digests are all over the file
    while True:
        with _transaction(db):
            position = under_way or UnderWay(0, None, 0, total=sum(step.count(db) for step in steps))
            position = _work(db, steps, position)
            is_complete = position.step == len(steps)
            if is_complete:
                db.execute(f"DROP TABLE IF EXISTS {UNDER_WAY}")
                _record(db, migration, now)
            else:
                _save(db, migration, position)
        on_progress(Progress(migration, position.done, position.total, is_complete))
        if is_complete:
            return
        under_way = position


def _work(db: sqlite3.Connection, steps: Sequence[Step], position: UnderWay) -> UnderWay:
    """Do as many batches as fit into a transaction, and return the position after them."""
    end = position.done + TRANSACTION_ROWS
    while position.step < len(steps) and position.done < end:
        batch = steps[position.step].work(db, position.after)
        step = position.step + (batch.after is None)
        position = replace(position, step=step, after=batch.after, done=position.done + batch.rows)
    return replace(position, done=min(position.done, position.total))  # a step may have counted too few


def _save(db: sqlite3.Connection, migration: Migration, position: UnderWay) -> None:
    db.execute(_UNDER_WAY_TABLE)
    db.execute(
        f"INSERT OR REPLACE INTO {UNDER_WAY} (version, checksum, step, after, done, total) VALUES (?, ?, ?, ?, ?, ?)",
        (migration.version, migration.checksum, position.step, position.after, position.done, position.total),
    )
    _mark(db, migration.version)


def _record(db: sqlite3.Connection, migration: Migration, now: datetime) -> None:
    """Record that a migration is applied."""
    db.execute(MIGRATIONS_TABLE)
    db.execute(
        "INSERT INTO migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
        (migration.version, migration.name, migration.checksum, instants.to_text(now)),
    )
    _mark(db, migration.version)


def _mark(db: sqlite3.Connection, version: int) -> None:
    """Write into the file's header that it is ours, and its version."""
    # Pragmas take no parameters; both numbers come from this program.
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {version}")


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Do what is in the block as one transaction: killed at any time, all of it is done or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
