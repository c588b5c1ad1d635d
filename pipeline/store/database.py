"""The database file: whose it is, how it is opened, and what is wrong with it in one line."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import Trouble, file_reason
from pipeline.files import PRIVATE_FILE, PRIVATE_FOLDER

APPLICATION_ID = 0x4F565057
"""Marks our files in their header: "OVPW"."""
OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables."""
SAFE_SQLITE = (3, 51, 3)
"""The first in which two connections cannot corrupt a WAL file by checkpointing at the same time."""

_BUSY_SECONDS = 1.0


class DatabaseError(Trouble):
    """A database that cannot be used: the line names the file, what is wrong, and the remedy."""


def create_private(path: Path) -> None:
    """Make the file, and its folder, readable by its owner alone. Do nothing where it exists.

    Made before SQLite opens it, because `-wal` and `-shm` take over its mode. Raise DatabaseError if it cannot be.
    """
    try:
        path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE))
    except FileExistsError:
        if path.is_dir():
            raise DatabaseError(f"{path} is a folder: name a file in it") from None
        if not path.parent.is_dir():
            raise DatabaseError(f"{path.parent} is no folder") from None
        if path.is_file() and path.stat().st_size == 0:
            path.chmod(PRIVATE_FILE)  # made beforehand, to be ours
    except OSError as error:
        raise DatabaseError(f"{path} cannot be made: {file_reason(error)}") from None


def uri(path: Path, mode: str) -> str:
    """Return the name under which SQLite opens the file in a mode: `ro` or `rw`, neither of which creates it."""
    return f"{path.absolute().as_uri()}?mode={mode}"


@contextmanager
def connect(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """Open the file, and translate whatever SQLite says of it into a DatabaseError."""
    if path.is_dir():
        raise DatabaseError(f"{path} is a folder: name a file in it")
    with translate_errors(path):
        name = uri(path, mode) + ("&immutable=1" if mode == "ro" and _is_frozen(path) else "")
        db = sqlite3.connect(name, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            yield db
        finally:
            db.close()


def _is_frozen(path: Path) -> bool:
    """Whether nobody can write beside the file, as on a read-only mount: SQLite could not make the -shm it reads by."""
    return not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Raise sqlite3's errors as DatabaseError."""
    try:
        yield
    except sqlite3.Error as error:
        raise DatabaseError(f"{path}: {explain(error)}") from error


_REASONS = {
    "SQLITE_NOTADB": "not a database: name another file, or move this one away",
    "SQLITE_CORRUPT": "damaged: keep a copy, then try sqlite3's .recover, or restore a backup",
    "SQLITE_READONLY": "read-only: check the modes of the file and its folder",
    "SQLITE_FULL": "the disk is full: free some space",
    "SQLITE_IOERR": "the disk fails to read or write, or is full",
    "SQLITE_BUSY": "locked by another program: close it there, and try again",
    "SQLITE_LOCKED": "locked by another program: close it there, and try again",
    "SQLITE_CANTOPEN": "cannot be opened: check the path and the modes of the file and its folder",
    "SQLITE_PERM": "not permitted: check the modes of the file and its folder",
}


def explain(error: sqlite3.Error) -> str:
    """Return what the error means, and the remedy, in one line."""
    name = getattr(error, "sqlite_errorname", "") or ""
    for known, text in _REASONS.items():
        if name.startswith(known):
            return text
    return f"{error} ({name or type(error).__name__})"


def refuse_foreign(path: Path) -> None:
    """Raise DatabaseError for a file that is no database of ours, before anything is made beside it."""
    if path.exists():
        with connect(path, "ro") as db:
            schema_version(db, path)


def is_storage_failure(error: sqlite3.Error) -> bool:
    """Whether the error is the disk's or another program's doing, and may pass; not ours."""
    name = getattr(error, "sqlite_errorname", "") or ""
    return name.startswith(tuple(_REASONS))


def is_temporary(error: DatabaseError) -> bool:
    """Whether the error is a disk's or another program's doing, and may pass without anyone touching the file."""
    cause = error.__cause__
    name = getattr(cause, "sqlite_errorname", "") or ""
    return isinstance(cause, sqlite3.Error) and name.startswith(_PASSING)


_PASSING = (
    "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM"
)  # fmt: skip


def schema_version(db: sqlite3.Connection, path: Path) -> int:
    """Return the version of the file's schema, 0 where it holds nothing. Raise DatabaseError if it is not ours."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (tables or application or version):
        raise DatabaseError(f"{path} belongs to another program: name another file")
    return int(version)
