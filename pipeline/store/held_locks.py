"""Held locks: which locks this process holds. To itself, a lock that it holds looks like another's."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol


class LockFile(Protocol):
    """The file that is locked."""

    def is_in_place(self) -> bool: ...
    def reopen(self) -> None: ...
    def try_lock(self) -> bool: ...
    def sign(self, purpose: str, now: datetime) -> None: ...
    def holder(self) -> str: ...


_held: dict[Path, LockFile] = {}


@contextmanager
def held(path: Path, file: LockFile) -> Iterator[None]:
    """Have it known, while the block runs, that this process holds the lock of a path."""
    _held[path] = file
    try:
        yield
    finally:
        _held.pop(path, None)


def held_file(path: Path) -> LockFile | None:
    """Return the file by which this process holds the lock of a path, None if it does not."""
    return _held.get(path)


def is_held_here(path: Path) -> bool:
    """Return whether this process holds the lock of a path."""
    return path in _held


def is_lost(path: Path) -> bool:
    """Return whether this process holds the lock of a path, and another file is there now, or none."""
    return path in _held and not _held[path].is_in_place()
