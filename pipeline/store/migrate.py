"""Migrations: numbered SQL files, each applied whole or not at all, and never altered once applied."""

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline import files, instants
from pipeline.store.database import (
    APPLICATION_ID,
    OLDEST_SQLITE,
    DatabaseError,
    connect,
    create_private,
    schema_version,
)

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
    """One step of the schema, as shipped."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def shipped_migrations(folder: Path = FOLDER) -> list[Migration]:
    """Return the migrations of this program, in order."""
    files = sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    return [Migration(int(file.name[:4]), file.stem[5:], file.read_text(encoding="utf-8")) for file in files]


def migrate(path: Path, *, now: datetime, folder: Path = FOLDER) -> list[Migration]:
    """Bring the file to this program's schema, making it if need be. Return the migrations applied.

    Raise DatabaseError for a file of another program or of a newer version, which is left untouched, and for one whose
    migrations were not those that are shipped. The caller holds the lock.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        raise DatabaseError(f"SQLite {sqlite3.sqlite_version} is too old: Python needs one of {wanted} or newer")
    migrations = shipped_migrations(folder)
    create_private(path)
    with connect(path, "rw") as db:
        version = check_schema(db, path, migrations)
        # Only a file that is ours, or empty, is ever written to.
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        pending = migrations[version:]
        for migration in pending:
            _apply(db, migration, now)
    return pending


def check_schema(db: sqlite3.Connection, path: Path, migrations: list[Migration]) -> int:
    """Return the version of the file. Raise DatabaseError unless these migrations, in part or whole, made it."""
    version = schema_version(db, path)
    if version > len(migrations):
        raise DatabaseError(
            f"{path} was written by a newer overview-pipeline (schema {version}, this one knows {len(migrations)}):"
            " install that version"
        )
    if version:
        applied = db.execute("SELECT version, checksum FROM migrations ORDER BY version").fetchall()
        if applied != [(migration.version, migration.checksum) for migration in migrations[:version]]:
            raise DatabaseError(f"{path}: its migrations are not those of this program: restore a backup")
    return version


def _apply(db: sqlite3.Connection, migration: Migration, now: datetime) -> None:
    """Apply one migration and its version number in one transaction: killed at any instant, it is whole or absent."""
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute(_MIGRATIONS_TABLE)
        for statement in split_statements(migration.sql):
            db.execute(statement)
        db.execute(
            "INSERT INTO migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
            (migration.version, migration.name, migration.checksum, instants.to_text(now)),
        )
        # Pragmas take no parameters; both numbers are ours.
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {migration.version}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def split_statements(sql: str) -> Iterator[str]:
    """Yield the statements of a script, one by one: executescript would commit between them."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if any(line.strip() and not line.lstrip().startswith("--") for line in statement.splitlines()):
        raise ValueError(f"no end to the statement that begins {statement.strip()[:60]!r}")
