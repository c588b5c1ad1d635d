"""Open databases: a file opened for questions, and the instant up to which it is seen."""

import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self, TypeVar

from pipeline.instants import utc_now
from pipeline.query.bounds import InstantLike, beyond, instant
from pipeline.query.horizon import Horizon
from pipeline.query.known import unmapped
from pipeline.store.database import translate_errors
from pipeline.store.reader import open_for_reading
from pipeline.store.time_limit import time_limit

_CACHE_KIB = 64 * 1024
_CACHE_OF_MANY_KIB = 16 * 1024
"""For a connection that is one of several."""
_MAPPED_BYTES = 1 << 40
"""All of the file, whatever its size: it is read as memory is, without a copy of each page."""

T = TypeVar("T")


class OpenDatabase:
    """A database opened for questions; a context manager that closes it. `History` adds the questions."""

    def __init__(self, db: sqlite3.Connection, path: Path, opened: ExitStack, lock: Horizon | None) -> None:
        """Internal: use `open`."""
        self._db = db
        self._path = path
        self._opened = opened
        self._is_closed = False
        self._is_listed = False
        """Whether the symbols were found to be all listed."""
        self._horizon = lock
        self._lock = None if lock is None else lock.at

    @classmethod
    def open(cls, path: Path | str, *, until: InstantLike | None = None) -> Self:
        """Open a database read-only. Raise NoData if it is absent or empty, DatabaseError if it cannot be read.

        With `until` it is locked: every question is answered as it would have been then, and nothing that was observed
        later can be learned. Close it with `close()`, or use it in a `with` block. After that every question raises
        DatabaseError.
        """
        locked_at = None if until is None else instant(until, day_ends=True)
        with ExitStack() as opened:
            db = opened.enter_context(open_for_reading(Path(path)))
            db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            db.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
            lock = None if locked_at is None else Horizon(db, locked_at)
            return cls(db, Path(path), opened.pop_all(), lock)

    @property
    def now(self) -> datetime:
        """The instant that questions call now: the horizon, if there is one."""
        return self.horizon or utc_now()

    def see_until(self, at: datetime) -> None:
        """Answer from now on as of an instant: it is now, and nothing that was observed later is seen.

        Raise BeyondHorizon for one after the lock.
        """
        if self._lock is not None and at > self._lock:
            raise beyond(at, self._lock)
        with translate_errors(self._path):
            if self._horizon is None:
                self._horizon = Horizon(self._db, at)
            else:
                self._horizon.move(at)

    @property
    def horizon(self) -> datetime | None:
        """The instant up to which questions see; None: they see everything."""
        return None if self._horizon is None else self._horizon.at

    def close(self) -> None:
        """Close the database. Closing it again does nothing."""
        self._is_closed = True
        self._opened.close()

    def read_by_pages(self) -> None:
        """Read the file in pages from now on, and keep few: for a process that has other work.

        The system kills a process that reads mapped memory which the disk cannot deliver, or whose file was cut off.
        """
        with translate_errors(self._path):
            self._db.execute("PRAGMA mmap_size = 0").fetchone()
            self._db.execute(f"PRAGMA cache_size = -{_CACHE_OF_MANY_KIB}")

    def schema_version(self) -> int:
        """Return the version of the file's schema, which each change of a table or view increases."""
        with translate_errors(self._path):
            (version,) = self._db.execute("PRAGMA main.schema_version").fetchone()
            return int(version)

    @contextmanager
    def within(self, limit: timedelta, *, is_over: Callable[[], bool]) -> Iterator[None]:
        """Do a block in which reading stops, with TooSlow, after a time or once `is_over`.

        SQLite's errors are raised as DatabaseError, and so is any other if the file is found damaged.
        """
        with translate_errors(self._path), time_limit(self._db, limit, is_over):
            yield

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        if not self._is_closed:
            warn(f"unclosed {self!r}", ResourceWarning, source=self)
            self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}.open({str(self._path)!r})"

    def _instant(self, given: InstantLike) -> datetime:
        """Return the instant of a question; of a day its end. Raise ValueError, as BeyondHorizon after the horizon."""
        return instant(given, day_ends=True, horizon=self.horizon)

    def _read(self, read: Callable[[], Iterator[T]]) -> Iterator[T]:
        """Yield what is read, raising SQLite's errors as DatabaseError. As long as it is held, the database is open."""
        with translate_errors(self._path):
            yield from read()

    def _read_much(self, read: Callable[[], Iterator[T]]) -> Iterator[T]:
        """Yield the same of a question that reads much of the file."""
        with translate_errors(self._path), unmapped(self._db):
            yield from read()
