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
    """Move what there is of a database to this name. Return its new path, None if there was nothing.

    Called again with the same name after a kill, it moves the rest. Nothing is overwritten. Raise OSError.
    """
    moved = False
    target = beside(database, "").with_name(name)
    for suffix in SUFFIXES:
        source, place = beside(database, suffix), target.with_name(f"{name}{suffix}")
        if is_present(source) and not is_present(place):
            source.rename(place)
            moved = True
    sync_folder(target.parent)
    return target if moved or is_present(target) else None
