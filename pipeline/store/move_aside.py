"""Move aside: moves a database, with all that SQLite keeps beside it, to a dated name in the same folder."""

from datetime import datetime
from pathlib import Path

from pipeline.files import is_present, sync_folder
from pipeline.store.database import beside

SUFFIXES = ("", "-journal", "-wal", "-shm")
"""Of the files that together are one database: the file, and what SQLite keeps beside it."""


def free_name(database: Path, at: datetime) -> str:
    """Return a file name with the date in it, for a database to be moved to, that nothing has yet."""
    stem = f"{_prefix(database)}{at:%Y-%m-%dT%H%M%SZ}"
    number, name = 1, stem
    while any(is_present(beside(database, "").with_name(f"{name}{suffix}")) for suffix in SUFFIXES):
        number += 1
        name = f"{stem}-{number}"
    return name


def is_name_aside(database: Path, name: str) -> bool:
    """Return whether `free_name` may have given this name for the database."""
    return name.startswith(_prefix(database))


def _prefix(database: Path) -> str:
    return f"{beside(database, '').name}.replaced-"


def move_aside(database: Path, name: str) -> Path | None:
    """Move what there is of a database to this name. Return its new path, None if there was nothing to keep.

    Where its file is missing, a log beside it is moved that may hold something, and returned; what cannot is removed.
    Called again with the same name after a kill, it moves the rest. Nothing is overwritten. Raise OSError.
    """
    places = [beside(database, "").with_name(f"{name}{suffix}") for suffix in SUFFIXES]
    is_missing = not is_present(beside(database, "")) and not is_present(places[0])
    for suffix, place in zip(SUFFIXES, places, strict=True):
        source = beside(database, suffix)
        if is_missing and _holds_nothing(source):
            source.unlink()
        elif is_present(source) and not is_present(place):
            source.rename(place)
    sync_folder(places[0].parent)
    return next(filter(is_present, places), None)


def _holds_nothing(beside_missing: Path) -> bool:
    """Return whether a file beside a missing database is an index, or an empty log."""
    is_index = beside_missing.name.endswith("-shm")
    return beside_missing.is_file() and (is_index or beside_missing.stat().st_size == 0)
