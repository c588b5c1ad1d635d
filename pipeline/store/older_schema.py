"""Databases of an older version: brought up to date on request, after a backup, or in a temporary copy for reading."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline.partials import scratch_folder
from pipeline.store.backup import Backup, backup_beside, copy_database, remove_half_written
from pipeline.store.database import DatabaseError, create_private
from pipeline.store.migrate import OnProgress, migrate
from pipeline.store.migration_files import Migration, shipped_migrations
from pipeline.store.reader import open_any_version

_LABEL = "schema-"
"""With the version: of the copy that is made before."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """What was done to a database: its versions before and after, and the backup that was made before, if any."""

    before: int
    after: int
    applied: tuple[Migration, ...]
    backup: Backup | None


def bring_up_to_date(database: Path, *, now: datetime, keeps_backup: bool, on_progress: OnProgress) -> Migrated:
    """Apply the migrations that a database lacks, first copying it to a file beside it.

    A half-migrated database is not copied: its migration is completed. The caller holds the lock. Raise NoData where
    there is no database, and DatabaseError as `open_any_version`, `migrate` and `backup` do.
    """
    with open_any_version(database) as (_, schema):
        version = schema.version
    remove_half_written(database, _LABEL)  # also if another command has migrated meanwhile
    newest = len(shipped_migrations())
    if version == newest:
        return Migrated(version, version, (), None)
    is_whole = schema.under_way is None
    made = backup_beside(database, f"{_LABEL}{version}", now=now) if keeps_backup and is_whole else None
    applied = migrate(database, now=now, may_begin=False, on_progress=on_progress)
    return Migrated(version, newest, tuple(applied), made)


@contextmanager
def migrated_copy(database: Path, *, now: datetime, on_progress: OnProgress) -> Iterator[Path]:
    """Yield a temporary copy of the database with all migrations applied, and remove it at the end of the block.

    What is damaged in the database is damaged in the copy, which answers what it can. A DatabaseError of the copy
    names the database instead.
    """
    with scratch_folder("migrated") as folder:
        copy = folder / database.name
        create_private(copy)
        try:
            copy_database(database, copy)
            migrate(copy, now=now, may_begin=False, on_progress=on_progress)
            yield copy
        except DatabaseError as error:
            error.problem = error.problem.replace(str(copy), str(database))
            error.args = (str(error).replace(str(copy), str(database)),)
            raise
