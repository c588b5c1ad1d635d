"""Data version: tells whether anything was written to a database, without reading what."""

import os
import sqlite3
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from pipeline.store.database import DatabaseError, connect, unlocked_state


class Version(NamedTuple):
    """The state of a database. Two that are equal say that nothing was written between."""

    opened: int
    """How often the file was opened: counters of two connections do not compare."""
    file: tuple[int, int, int, int]
    """Device, number, size and time of the file. The latter two tell of a file that SQLite takes for immutable."""
    counter: int


class DataVersion:
    """Looks at the state of a database through a connection of its own. It waits for nothing: an event loop may ask."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = ExitStack()
        self._db: sqlite3.Connection | None = None
        self._file = (0, 0)
        self._state: tuple[int, int] | None = None
        """Of a file that is read without locks; None: SQLite sees what is written to it."""
        self._opened = 0

    def read(self) -> Version | None:
        """Return the state; None if it cannot be known: there is no database, or it is locked or damaged."""
        try:
            status = os.stat(self._path)  # noqa: PTH116 - pathlib's makes this twice as slow
            is_same = (status.st_dev, status.st_ino) == self._file and not self._was_written()
            if self._db is None or not is_same:
                self._open((status.st_dev, status.st_ino))
            assert self._db is not None
            (counter,) = self._db.execute("PRAGMA data_version").fetchone()
        except (OSError, sqlite3.Error, DatabaseError):
            self.close()
            return None
        file = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        return Version(self._opened, file, counter)

    def close(self) -> None:
        """Close the database. The next look opens it again."""
        self._db = None
        self._held.close()

    def _was_written(self) -> bool:
        """Whether a file has changed that is read without locks: SQLite does not see it."""
        return self._state is not None and unlocked_state(self._path) != self._state

    def _open(self, file: tuple[int, int]) -> None:
        self.close()
        self._state = unlocked_state(self._path)
        self._db = self._held.enter_context(connect(self._path, "ro"))
        self._db.execute("PRAGMA busy_timeout = 0")
        self._file = file
        self._opened += 1
