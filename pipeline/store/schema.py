"""The schema of a file: which migrations made it, and which one, if any, is half done."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.store.database import DatabaseError, connect, damaged, schema_version
from pipeline.store.migration_files import Migration, shipped_migrations
from pipeline.store.schema_objects import UNDER_WAY, check_objects, check_unfinished, is_under_way


class HalfMigrated(DatabaseError):
    """The file is between two versions of the schema: only `migrate` may read or write it."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """How far a migration in Python has come: `done` of `total` rows, and where it continues."""

    step: int
    """Its current step's place among its steps."""
    after: str | None
    """The step's position, as the step wrote it."""
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Schema:
    """The version that a file is whole in, 0 for an empty file, and the migration under way to the next."""

    version: int
    under_way: UnderWay | None = None


@contextmanager
def connect_checked(path: Path) -> Iterator[tuple[sqlite3.Connection, Schema]]:
    """Open an existing file read-only, and yield it with its schema, once its tables are known to be tables.

    Raise DatabaseError as `connect` and `read_schema` do.
    """
    with connect(path, "ro") as db:
        yield db, read_schema(db, path, shipped_migrations())


def read_schema(db: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> Schema:
    """Return the schema of a file. Raise DatabaseError unless the first of these migrations made it as it is.

    Nothing of the file is read before its tables are known to be tables.
    """
    if db.in_transaction:
        return _read_schema(db, path, migrations)
    db.execute("BEGIN")  # a migration may commit between two of these queries
    try:
        return _read_schema(db, path, migrations)
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _read_schema(db: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> Schema:
    version = schema_version(db, path)
    if version > len(migrations):
        raise DatabaseError(
            f"{path} was written by a newer overview-pipeline (its schema is {version}, ours {len(migrations)})",
            remedy="upgrade this one",
        )
    if not version:
        return Schema(0)
    is_half_done = is_under_way(db, path)
    applied = db.execute("SELECT version, checksum FROM migrations ORDER BY version").fetchall()
    under_way = None
    if is_half_done:
        row = db.execute(f"SELECT version, checksum, step, after, done, total FROM {UNDER_WAY}").fetchone()
        if row is None:
            raise damaged(path, f"{UNDER_WAY} is empty")
        number, checksum, *position = row
        applied.append((number, checksum))
        under_way = UnderWay(*position)
    if applied != [(migration.version, migration.checksum) for migration in migrations[:version]]:
        raise DatabaseError(f"{path} was made by migrations other than this program's", remedy="restore a backup")
    if under_way is not None:
        check_unfinished(db, path, migrations[: version - 1])
        return Schema(version - 1, under_way)
    is_newest = version == len(migrations) and tuple(migrations) == shipped_migrations()
    check_objects(db, path, migrations[:version], is_newest=is_newest)
    return Schema(version)


def check_schema(db: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> int:
    """Return the schema version of the file, 0 if it is empty.

    Raise DatabaseError unless the first of these migrations made it, and HalfMigrated if it is between two versions.
    """
    schema = read_schema(db, path, migrations)
    refuse_half_migrated(schema, path)
    return schema.version


def refuse_half_migrated(schema: Schema, path: Path) -> None:
    """Raise HalfMigrated if a migration of the file has begun and not ended."""
    if schema.under_way is not None:
        raise HalfMigrated(
            f"{path} is being brought from schema {schema.version} to {schema.version + 1}"
            f" ({schema.under_way.done:,} of {schema.under_way.total:,} rows)",
            remedy="wait until it is done; if it was interrupted, pipeline migrate continues it",
        )
