"""Migrations: brings a database to the newest schema by numbered SQL files, each applied whole or not at all."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from pipeline import files, instants
from pipeline.files import is_present
from pipeline.store.database import (
    APPLICATION_ID,
    OLDEST_SQLITE,
    DatabaseError,
    connect,
    create_private,
    schema_version,
)
from pipeline.store.marker import record_gone

FOLDER = files.shipped("migrations", "migrations")

_MIGRATIONS_TABLE = """
    CREATE TABLE IF NOT EXISTS migrations (
        version INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        checksum TEXT NOT NULL,
        applied_at TEXT NOT NULL
    ) STRICT
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered SQL file, such as `0002_ask.sql`. Once released it is never edited."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Return the SHA-256 of its SQL, by which an edited migration is noticed."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@cache
def shipped_migrations() -> tuple[Migration, ...]:
    """Return the migrations that this program comes with, in order. They are read once a process."""
    return read_migrations(FOLDER)


def read_migrations(folder: Path) -> tuple[Migration, ...]:
    """Return the migrations in a folder, in order."""
    paths = sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    return tuple(Migration(int(path.name[:4]), path.stem[5:], path.read_text(encoding="utf-8")) for path in paths)


def _ignore(_migration: Migration) -> None:
    """Show no progress."""


def migrate(
    path: Path,
    *,
    now: datetime,
    folder: Path = FOLDER,
    may_begin: bool = True,
    on_step: Callable[[Migration], object] = _ignore,
) -> tuple[Migration, ...]:
    """Bring the database to this program's schema; create it if it is missing. Return the migrations applied.

    `on_step` is called after each. Raise DatabaseError for a file of another program or of a newer version, which stays
    untouched, and for one that was made by other migrations; RecordGone for a file that is missing or empty, unless a
    record `may_begin`. The caller holds the lock.
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
        version = check_schema(db, path, migrations)
        if not (version or may_begin):
            raise record_gone(path)
        # Only now, because the file is ours or empty, is it written to.
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        pending = migrations[version:]
        for migration in pending:
            _apply(db, migration, now)
            on_step(migration)
    return pending


def check_schema(db: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> int:
    """Return the schema version of the file. Raise DatabaseError unless the first of these migrations made it."""
    version = schema_version(db, path)
    if version > len(migrations):
        raise DatabaseError(
            f"{path} was written by a newer overview-pipeline (its schema is {version}, ours {len(migrations)})",
            remedy="upgrade this one",
        )
    if version:
        applied = db.execute("SELECT version, checksum FROM migrations ORDER BY version").fetchall()
        if applied != [(migration.version, migration.checksum) for migration in migrations[:version]]:
            raise DatabaseError(f"{path} was made by migrations other than this program's", remedy="restore a backup")
    return version


def _apply(db: sqlite3.Connection, migration: Migration, now: datetime) -> None:
    """Apply one migration and its version number in one transaction: killed at any time, it is applied or not."""
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute(_MIGRATIONS_TABLE)
        for statement in split_statements(migration.sql):
            db.execute(statement)
        db.execute(
            "INSERT INTO migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
            (migration.version, migration.name, migration.checksum, instants.to_text(now)),
        )
        # Pragmas take no parameters; both numbers come from this program.
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {migration.version}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def split_statements(sql: str) -> Iterator[str]:
    """Yield the statements of a script, one by one, as executescript would commit between them.

    Raise ValueError if the last one is cut off.
    """
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if any(line.strip() and not line.lstrip().startswith("--") for line in statement.splitlines()):
        raise ValueError(f"incomplete SQL statement: {statement.strip()[:60]!r}")
