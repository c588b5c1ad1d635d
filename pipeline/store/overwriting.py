"""Overwriting: refuses to put a command's output in the place of a database, or of a file that belongs to one."""

from collections.abc import Collection
from pathlib import Path

from pipeline.errors import Trouble
from pipeline.files import is_present
from pipeline.store.database import OWN_SUFFIXES, database_files

_HEADER = b"SQLite format 3\0"
_MARKS = (".record", ".daemon.lock", "-wal", "-journal")
"""What a database leaves beside it, also where it is gone. Not `.lock`: other programs lock a CSV file by that name."""


def check_overwriting(target: Path, *, database: Path, in_use: Collection[Path]) -> None:
    """Raise Trouble if the target must not be overwritten, existing or not. Raise OSError if that cannot be known.

    It must not if it is the `database` in use, any other one, a file that belongs to one, or one of the files `in_use`.
    All are paths without links.
    """
    if target in database_files(database):
        raise _kept(target, "it belongs to the database in use")
    if target in in_use:
        raise _kept(target, "it belongs to the configuration in use")
    if _is_database(target):
        raise _kept(target, "it is a database, or the place of one")
    for suffix in OWN_SUFFIXES:
        name = target.name.removesuffix(suffix)
        if name not in ("", target.name) and _is_database(target.with_name(name)):
            raise _kept(target, f"it belongs to the database {name}")


def _kept(target: Path, reason: str) -> Trouble:
    return Trouble(f"{target} must not be overwritten: {reason}", remedy="name another file")


def _is_database(path: Path) -> bool:
    """Return whether a path is that of an SQLite database, or has something beside it that only a database has."""
    if any(is_present(path.with_name(f"{path.name}{mark}")) for mark in _MARKS):
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_HEADER)) == _HEADER
