"""Open databases: a file opened for questions, and the symbols, companies and universe that it holds."""

import sqlite3
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Self, TypeVar

from pipeline.instants import from_text, to_text, utc_now
from pipeline.model.companies import Companies
from pipeline.model.invented import is_invented
from pipeline.model.universe import Universe
from pipeline.query.bounds import InstantLike, beyond, instant
from pipeline.query.companies import (
    Wanted,
    check_companies,
    first_observed_at,
    read_companies,
    stored_companies,
)
from pipeline.query.horizon import Horizon
from pipeline.query.known import unmapped
from pipeline.query.time_limit import time_limit
from pipeline.query.universe import configured_at, read_universe
from pipeline.store.database import translate_errors
from pipeline.store.reader import open_for_reading

_CACHE_KIB = 64 * 1024
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

    def schema_version(self) -> int:
        """Return the version of the file's schema, which each change of a table or view increases."""
        with translate_errors(self._path):
            (version,) = self._db.execute("PRAGMA main.schema_version").fetchone()
            return int(version)

    def within(self, limit: timedelta, *, is_over: Callable[[], bool]) -> AbstractContextManager[None]:
        """Return a block in which reading stops, with TooSlow, after a time or once `is_over`."""
        return time_limit(self._db, limit, is_over)

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

    def symbols(self) -> list[str]:
        """Return the symbols that have a snapshot, in order; of a company that was renamed, the newest one."""
        with translate_errors(self._path):
            return stored_companies(self._db, read_companies(self._db))

    def check_symbols(self, symbols: Iterable[str]) -> list[str]:
        """Return the symbols in upper case and in order, without duplicates; for an old symbol, the newest one.

        Raise SymbolNotFound, naming the nearest, for one without a snapshot, and NoData if there is no snapshot at all.
        """
        with translate_errors(self._path):
            return check_companies(self._db, self._path, read_companies(self._db), listed(symbols))

    def first_observed_at(self, symbols: Iterable[str] | None = None) -> datetime | None:
        """Return when the first snapshot was observed, of all or of some symbols; None where there is none."""
        with translate_errors(self._path), unmapped(self._db):  # it seeks everywhere in the file
            companies = read_companies(self._db)
            names = stored_companies(self._db, companies) if symbols is None else map(companies.named, listed(symbols))
            first = first_observed_at(self._db, chain.from_iterable(map(companies.spans, names)))
            return None if first is None else from_text(first)

    def universe(self, at: InstantLike) -> list[str]:
        """Return the symbols that were configured at an instant, in order, whether they have a snapshot or not.

        Of a company that was renamed, the newest one. Before the first list that was noted, there are none.
        """
        with translate_errors(self._path):
            universe = read_universe(self._db, read_companies(self._db))
            return configured_at(universe, to_text(self._instant(at)), None)

    def universe_began_at(self) -> datetime | None:
        """Return when the first list was noted; None if none was."""
        with translate_errors(self._path):
            began_at = read_universe(self._db, read_companies(self._db)).began_at
            return None if began_at is None else from_text(began_at)

    def holds_invented(self) -> bool | None:
        """Return whether the companies are those of the sandbox; None if there are none. The first one tells."""
        query = """
            SELECT description
              FROM (SELECT symbol FROM symbols WHERE snapshots > 0 ORDER BY symbol LIMIT 1) AS first
             CROSS JOIN snapshots ON snapshots.symbol = first.symbol
              JOIN profiles ON profiles.id = profile_id
             ORDER BY observed_at LIMIT 1
        """
        with translate_errors(self._path):
            row = self._db.execute(query).fetchone()
            return None if row is None else is_invented(row[0])

    def last_run_started_at(self) -> datetime | None:
        """Return when the last run started that had symbols to request; None where there was none.

        Runs on demand do not count: what changed since the last run is not what one client asked for.
        """
        query = """
            SELECT started_at FROM runs
             WHERE trigger NOT IN ('import', 'on_demand') AND (requests > 0 OR EXISTS (
                       SELECT 1 FROM outcomes WHERE run_id = runs.id AND outcome <> 'deferred'))
             ORDER BY id DESC LIMIT 1
        """
        with translate_errors(self._path):
            row = self._db.execute(query).fetchone()
            return None if row is None else from_text(row[0])

    def _instant(self, given: InstantLike) -> datetime:
        """Return the instant of a question; of a day its end. Raise ValueError, as BeyondHorizon after the horizon."""
        return instant(given, day_ends=True, horizon=self.horizon)

    def _now(self) -> datetime:
        return self.horizon or utc_now()

    def _wanted(self, symbols: Iterable[str] | None, *, universe_at: datetime | None = None) -> Wanted:
        """Return the companies that symbols mean; None: all. Raise NoData or SymbolNotFound.

        With `universe_at`, only those of them that were configured at an instant.
        """
        with translate_errors(self._path):
            companies, names = read_companies(self._db), None
            if symbols is not None:
                names = check_companies(self._db, self._path, companies, listed(symbols))
            if universe_at is not None:
                names = configured_at(self._universe(companies), to_text(universe_at), names)
            return Wanted(companies, names)

    def _universe(self, companies: Companies) -> Universe:
        with translate_errors(self._path):
            return read_universe(self._db, companies)

    def _read(self, read: Callable[[], Iterator[T]]) -> Iterator[T]:
        """Yield what is read, raising SQLite's errors as DatabaseError. As long as it is held, the database is open."""
        with translate_errors(self._path):
            yield from read()

    def _read_much(self, read: Callable[[], Iterator[T]]) -> Iterator[T]:
        """Yield the same of a question that reads much of the file."""
        with translate_errors(self._path), unmapped(self._db):
            yield from read()


def listed(symbols: Iterable[str]) -> list[str]:
    """Return the symbols as a list; a single text is one symbol."""
    return [symbols] if isinstance(symbols, str) else list(symbols)
