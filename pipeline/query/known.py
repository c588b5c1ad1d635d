"""Known: what was known of companies at many instants. The core of `panel` and `join`, exact as `as_of` is.

A symbol's instants are answered together. Where they are few among its snapshots, each is a seek; where they are many,
its snapshots are read once, in order.
"""

import json
import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

from pipeline.instants import MILLISECOND, from_text
from pipeline.model.fields import Field, Kind
from pipeline.model.renames import Span, whole
from pipeline.model.symbol_spellings import read_symbol
from pipeline.model.symbols import requested_as
from pipeline.query.companies import read_companies, stored_companies
from pipeline.query.results import Column, Row, columns_of
from pipeline.query.snapshots import OBSERVED_SYMBOL, hours, joined, selected
from pipeline.query.snapshots import whole as parts_whole

"""When a snapshot was first seen, and when last until an instant, both as stored, and the values of the fields."""

OBSERVED_AT, STALENESS = Column("observed_at", Kind.INSTANT), Column("staleness_hours", Kind.REAL)

_EARLIEST = datetime.min.replace(tzinfo=UTC)
_SNAPSHOTS_A_SEEK = 4
"""Snapshots that can be read in order in the time of one seek: measured, 1.1 us against 4.4 with five fields."""


class Way(Enum):
    """How the rows of a company are found."""

    ROWS = auto()
    """One by one, as `Known.rows` does: it knows renames."""
    READING = auto()
    """Its snapshots are read in order."""
    SEEKING = auto()
    """By a seek for each instant."""


class Known:
    """What was known of the companies of a database, in some fields."""

    def __init__(self, db: sqlite3.Connection, fields: Sequence[Field]) -> None:
        self.fields = tuple(fields)
        self.companies = read_companies(db)
        self._last = (OBSERVED_SYMBOL,) if self.companies.have_renames else ()
        self.nothing: Row = (None,) * (2 + len(self.fields) + len(self._last))
        """The row where nothing was known yet."""
        self.unknown: set[str] = set()
        """The companies that were asked for and have no snapshot."""
        self.db = db
        self._is_stored: dict[str, bool] = {}
        of_fields = {"fields": selected(fields), "parts": joined(fields), "is_whole": parts_whole(fields)}
        self._seek, self._read = _SEEK.format(**of_fields), _READ.format(**of_fields)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of an answer: the fields, `observed_at` and `staleness_hours`; with renames `observed_symbol`."""
        return (*columns_of(self.fields), OBSERVED_AT, STALENESS, *self._last)

    def answered(self, row: Row, at: datetime, longest: int | None) -> Row:
        """Return a row in the columns of an answer.

        All are None where nothing was known, or it was last seen more than `longest` milliseconds before the instant.
        """
        if row[0] is None:
            return row
        staleness = at - from_text(row[1])
        if longest is not None and staleness // MILLISECOND > longest:
            return self.nothing
        values = len(self.fields) + 2
        return (*row[2:values], row[0], hours(staleness), *row[values:])

    @property
    def symbols(self) -> list[str]:
        """The names of the companies that have a snapshot, in order."""
        return stored_companies(self.db, self.companies)

    def meanings(self, symbol: str) -> Sequence[Span]:
        """Return which company a symbol means at each time. A text that means none is taken as a symbol.

        It may be written as other programs do, such as $AAPL or NASDAQ:AAPL.
        """
        spelled = self._spelled(symbol.strip())
        if not self.companies.have_renames:
            return (whole(spelled),)
        try:
            return self.companies.meanings(spelled)
        except ValueError:
            return (whole(spelled),)

    def _spelled(self, text: str) -> str:
        """Return the symbol that has snapshots and that a text stands for; else the text in upper case."""
        if self._has(text.upper()):
            return text.upper()
        try:
            symbol = read_symbol(text).symbol
        except ValueError:
            return text.upper()
        return next((one for one in (symbol, requested_as(symbol)) if self._has(one)), text.upper())

    def way(self, run: tuple[str, Sequence[str]]) -> Way:
        """Return how a company's rows at some instants are best found as columns."""
        company, instants = run
        if self.companies.has_company(company) or not self._has(company) or not instants:
            return Way.ROWS
        return Way.READING if self._is_dense(company, instants) else Way.SEEKING

    def rows(self, company: str, instants: Sequence[str]) -> list[Row]:
        """Return what was known of a company at each of some instants as text, which ascend."""
        spans = self.companies.spans(company) if self.companies.have_renames else (whole(company),)
        if company and not any(self._has(span.symbol) for span in spans):
            self.unknown.add(company)
        if not self.companies.have_renames:
            return self._rows(company, instants)
        rows = [self.nothing] * len(instants)
        for span in spans:  # the oldest first: of two at one instant, the later one counts
            of_span = self._rows(span.symbol, [min(at, span.last) for at in instants])
            for place, row in enumerate(of_span):
                if row[0] is not None and row[0] >= max(span.since, rows[place][0] or ""):
                    rows[place] = (*row, span.symbol)
        return rows

    def _rows(self, symbol: str, instants: Sequence[str]) -> list[Row]:
        """Return what was known of a symbol, whichever companies had it."""
        if not instants or not self._has(symbol):
            return [self.nothing] * len(instants)
        found = (
            self._by_reading(symbol, instants)
            if self._is_dense(symbol, instants)
            else self._by_seeking(symbol, instants)
        )
        return [self.nothing] * (len(instants) - len(found)) + found  # before its first snapshot

    def _has(self, symbol: str) -> bool:
        """Whether there is a snapshot of a symbol."""
        found = self._is_stored.get(symbol)
        if found is None:
            query = "SELECT EXISTS (SELECT 1 FROM snapshots WHERE symbol = ?)"
            found = self._is_stored[symbol] = bool(self.db.execute(query, (symbol,)).fetchone()[0])
        return found

    def _is_dense(self, symbol: str, instants: Sequence[str]) -> bool:
        """Whether reading all snapshots between the instants is faster than a seek for each."""
        most = len(instants) * _SNAPSHOTS_A_SEEK
        counted = self.db.execute(_COUNTED, (symbol, instants[0], instants[-1], most + 1)).fetchone()[0]
        return bool(counted <= most)

    def _by_seeking(self, symbol: str, instants: Sequence[str]) -> list[Row]:
        """Return the rows by a seek for each instant that has one: they lack only where nothing was known yet."""
        return self.db.execute(self._seek, {"symbol": symbol, "instants": json.dumps(instants)}).fetchall()

    def _by_reading(self, symbol: str, instants: Sequence[str]) -> list[Row]:
        """Return the same by reading the snapshots in order."""
        bounds = {"symbol": symbol, "first": instants[0], "last": instants[-1]}
        snapshots = self.db.execute(self._read, bounds).fetchall()
        if not snapshots:
            return []
        begins = [bisect_left(instants, snapshot[0]) for snapshot in snapshots]
        looks: list[str] | None = None
        found: list[Row] = []
        for row, begin, end in zip(snapshots, begins, [*begins[1:], len(instants)], strict=True):
            if begin == end:  # a later one followed before any of the instants
                continue
            if row[1] <= instants[begin]:
                found += [row] * (end - begin)
            else:  # it was confirmed later, too
                if looks is None:
                    looks = json.loads(self.db.execute(_LOOKS, {**bounds, "since": snapshots[0][0]}).fetchone()[0])
                found += [_seen_until(row, at, looks) for at in instants[begin:end]]
        return found


def _seen_until(row: Row, at: str, looks: Sequence[str]) -> Row:
    """Return the row of a snapshot, last seen at the last of the looks not after an instant."""
    if row[1] <= at:
        return row
    earlier = bisect_right(looks, at)
    return (row[0], max(row[0], looks[earlier - 1]) if earlier else row[0], *row[2:])


_SEEK = """
    SELECT observed_at,
           iif(confirmed_at <= wanted.value, confirmed_at,
               max(observed_at, coalesce((SELECT at FROM looks WHERE looks.symbol = :symbol AND at <= wanted.value
                                           ORDER BY at DESC LIMIT 1), ''))){fields}
      FROM json_each(:instants) AS wanted
     CROSS JOIN snapshots ON snapshots.symbol = :symbol
           AND observed_at = (SELECT earlier.observed_at FROM snapshots AS earlier
                               WHERE earlier.symbol = :symbol AND earlier.observed_at <= wanted.value
                               ORDER BY earlier.observed_at DESC LIMIT 1)
      {parts}
     WHERE {is_whole}
"""
_READ = """
    SELECT observed_at, confirmed_at{fields}
      FROM snapshots {parts}
     WHERE snapshots.symbol = :symbol AND observed_at <= :last
       AND observed_at >= coalesce((SELECT earlier.observed_at FROM snapshots AS earlier
                                     WHERE earlier.symbol = :symbol AND earlier.observed_at <= :first
                                     ORDER BY earlier.observed_at DESC LIMIT 1), :first)
       AND {is_whole}
     ORDER BY observed_at
"""
_LOOKS = """
    SELECT json_group_array(at)
      FROM (SELECT at FROM looks WHERE symbol = :symbol AND at BETWEEN :since AND :last ORDER BY at)
"""
_COUNTED = """
    SELECT count(*) FROM (SELECT 1 FROM snapshots WHERE symbol = ? AND observed_at BETWEEN ? AND ? LIMIT ?)
"""


@contextmanager
def unmapped(db: sqlite3.Connection) -> Iterator[None]:
    """Read the file in pages while the block runs, not as mapped memory: that would grow with what is read of it."""
    (mapped,) = db.execute("PRAGMA mmap_size").fetchone()
    db.execute("PRAGMA mmap_size = 0").fetchone()
    try:
        yield
    finally:
        with suppress(sqlite3.ProgrammingError):  # closed already, where the rows were not read to their end
            db.execute(f"PRAGMA mmap_size = {mapped:d}").fetchone()


def longest(max_staleness: timedelta | None) -> int | None:
    """Return the milliseconds of a bound of staleness; None: no bound."""
    return None if max_staleness is None else milliseconds(max_staleness)


def milliseconds(span: timedelta) -> int:
    """Return a span in milliseconds, rounded up: so a lag never looks ahead."""
    return -(span // -MILLISECOND)


def earlier(at: datetime, lag: int) -> datetime:
    """Return the instant `lag` milliseconds before another, but never one before the year 1."""
    try:
        return at - lag * MILLISECOND
    except OverflowError:
        return _EARLIEST
