"""Backups: copies the whole database into one file by SQLite's own means, while a run may be under way."""

import sqlite3
from pathlib import Path

from pipeline.errors import file_reason
from pipeline.files import PRIVATE_FOLDER, is_present, renaming
from pipeline.store.database import DatabaseError, connect, create_private, translate_errors, uri
from pipeline.store.reader import Reader


def backup(database: Path, file: Path) -> int:
    """Copy the database, check the copy, and return its size in bytes.

    Raise NoData if there is no database, and DatabaseError if the file exists already or either file fails: then no
    file is left.
    """
    partial = _partial_file(file)
    with Reader.open(database):
        pass  # it exists, and is ours
    create_private(partial)
    with renaming(partial, file):
        verdict = _copy(database, partial)
        if verdict != "ok":
            raise DatabaseError(f"{database}: the copy is damaged: {verdict}", remedy="restore an earlier backup")
    return file.stat().st_size


def _copy(database: Path, target: Path) -> str:
    """Copy the database into an empty file, and return what SQLite's check says of the copy: `ok`, or its problems."""
    with connect(database, "ro") as source, translate_errors(target):
        copy = sqlite3.connect(uri(target, "rw"), uri=True, isolation_level=None)
        try:
            source.backup(copy)  # in one step: a write in between would make it start over
            # A copy is moved around as one file: it must not need a WAL beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
            (verdict,) = copy.execute("PRAGMA quick_check").fetchone()
        finally:
            copy.close()
    return str(verdict)


def _partial_file(file: Path) -> Path:
    """Return where the copy is written before it is renamed, without what a killed backup left there."""
    try:
        if file.is_dir():
            raise DatabaseError(f"{file} is a folder", remedy="name a file in it")
        partial = file.with_name(f"{file.name}.partial")
        file.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        if is_present(file):
            raise DatabaseError(f"{file} exists", remedy="choose another name, or move it away")
        partial.unlink(missing_ok=True)
    except OSError as error:
        raise DatabaseError(f"{file} cannot be created: {file_reason(error)}") from None
    return partial
