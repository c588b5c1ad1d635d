"""Backups: the whole database in one file, by SQLite's own means, so that a run may go on meanwhile."""

import sqlite3
from pathlib import Path

from pipeline.errors import file_reason
from pipeline.files import PRIVATE_FOLDER
from pipeline.store.database import DatabaseError, connect, create_private, translate_errors, uri
from pipeline.store.reader import Reader


def backup(database: Path, file: Path) -> int:
    """Copy the database, check the copy, and return its size in bytes.

    Written beside and renamed at the end, so that FILE is whole or absent. Raise DatabaseError if it exists already, or
    if either file fails.
    """
    partial = _room_for(file)
    with Reader.open(database):
        pass  # it is ours, and there
    create_private(partial)
    try:
        with connect(database, "ro") as source, translate_errors(partial):
            copy = sqlite3.connect(uri(partial, "rw"), uri=True, isolation_level=None)
            try:
                source.backup(copy)  # in one step: a writer in between would make it begin again
                # One file, without a WAL beside it, is what people carry about.
                copy.execute("PRAGMA journal_mode = DELETE")
                (verdict,) = copy.execute("PRAGMA quick_check").fetchone()
            finally:
                copy.close()
        if verdict != "ok":
            raise DatabaseError(f"{database}: the copy is not sound: {verdict}")
        partial.rename(file)
    finally:
        partial.unlink(missing_ok=True)
    return file.stat().st_size


def _room_for(file: Path) -> Path:
    """Return where the copy is written first; what a backup that was killed has left there is removed."""
    try:
        if file.is_dir():
            raise DatabaseError(f"{file} is a folder: name a file in it")
        partial = file.with_name(f"{file.name}.partial")
        file.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        if file.exists():
            raise DatabaseError(f"{file} exists: choose another name, or move it away")
        partial.unlink(missing_ok=True)
    except OSError as error:
        raise DatabaseError(f"{file} cannot be made: {file_reason(error)}") from None
    return partial
