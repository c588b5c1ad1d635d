"""Reading: the file opened for questions, once it is known to be a record of ours, and of this version."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.database import DatabaseError, opened
from pipeline.migrate import check, shipped


class NoRecord(DatabaseError):
    """There is nothing to read yet."""


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file read-only. Raise DatabaseError where it is absent, empty, not ours, or of another version."""
    if not path.exists():
        raise NoRecord(f"there is no record yet at {path}: pipeline collect begins one")
    with opened(path, "ro") as db:
        migrations = shipped()
        version = check(db, path, migrations)
        if version == 0:
            raise NoRecord(f"{path} is empty: pipeline collect begins the record")
        if version < len(migrations):
            raise DatabaseError(f"{path} is of an older version: the next pipeline collect brings it up to date")
        yield db
