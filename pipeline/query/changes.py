"""Changes: reads consecutive snapshots and lists what differs. `model.changes` says what counts as a change.

Nearly always only daily numbers differ: those are compared straight in the rows. All else is compared as snapshots.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

from pipeline.model.anomalies import Anomaly
from pipeline.model.changes import (
    Change,
    ChangeKind,
    ComparedSnapshot,
    Difference,
    daily_may_hold_anomaly,
    differences,
    first_differences,
    relative_change,
)
from pipeline.model.document import decode_layout
from pipeline.model.fields import COLUMNS, DAILY_FIELDS, PROFILE_FIELDS, REPORTED_FIELDS, SYMBOL_FIELD, Kind, Part
from pipeline.model.renames import Span
from pipeline.model.values import as_date
from pipeline.query.companies import Wanted, company_batches
from pipeline.query.coverage import Coverage
from pipeline.query.results import Answer, Column, Row
from pipeline.query.snapshots import LAST_SEEN
from pipeline.store.parts import part_of

CHANGE_COLUMNS = (
    Column("symbol", Kind.TEXT),
    Column("field", Kind.TEXT),
    Column("part", Kind.TEXT),
    Column("kind", Kind.TEXT),
    Column("before", Kind.JSON),
    Column("after", Kind.JSON),
    Column("change", Kind.REAL),
    Column("last_confirmed_at", Kind.INSTANT),
    Column("observed_at", Kind.INSTANT),
    Column("suspicion", Kind.TEXT),
)
"""The columns of an answer, in the order of the attributes of `Change`."""

_ROUNDING = 1e-12
"""From 3 to 3.15 is a change of 0.05, though in binary fractions a little less."""
_COLUMNS_OF = {
    "profiles": ", ".join(field.column for field in PROFILE_FIELDS),
    "statements": ", ".join(field.column for field in REPORTED_FIELDS),
    "layouts": "keys",
}
_DAILY_NAMES = tuple(field.column for field in DAILY_FIELDS)

# A row to compare begins with its daily numbers, so that they can be zipped without being cut out. After them:
_SYMBOL, _OBSERVED_AT, _CONFIRMED_AT = range(len(DAILY_FIELDS), len(DAILY_FIELDS) + 3)
_SLOW_PARTS = slice(_CONFIRMED_AT + 1, None)
_STATEMENT_ID = _CONFIRMED_AT + 2
_LATEST_QUARTER = [field.column for field in REPORTED_FIELDS].index("latest_quarter")
_DAILY_SELECTED = ", ".join(_DAILY_NAMES)
_SLOW_SELECTED = "profile_id, statement_id, layout_id, extra"


@dataclass(frozen=True, slots=True)
class ChangeFilter:
    """Which changes an answer has."""

    columns: frozenset[str] | None = None
    """None: of all fields."""
    part: Part | None = None
    """None: of all parts."""
    min_change: float = 0.0
    """The smallest relative change of a number, as a fraction."""
    suspicious: bool = False
    """Only changes that the market cannot explain."""

    def selected(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Return the rows of an answer that pass."""
        return rows if self == ChangeFilter() else (row for row in rows if self._passes(row))

    @property
    def takes_daily_moves(self) -> bool:
        """Whether a daily number that changed, and is not suspicious, can pass. Nearly all changes are such ones."""
        if self.suspicious or self.part not in (None, Part.DAILY):
            return False
        return self.columns is None or not self.columns.isdisjoint(_DAILY_NAMES)

    def _passes(self, row: Row) -> bool:
        _, field, part, kind, _, _, change, _, _, suspicion = row
        is_known_field = part is not None  # an unknown field may have the name of a column
        return (
            (self.columns is None or (is_known_field and field in self.columns))
            and (self.part is None or part == self.part)
            and (change is None or abs(change) + _ROUNDING >= self.min_change or kind != ChangeKind.CHANGED)
            and (suspicion is not None or not self.suspicious)
        )


class Comparison:
    """Compares each snapshot of a database with the one before it. Remembers the parts that it read."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._coverage = Coverage(db)
        self._part = lru_cache(maxsize=4096)(self._read_part)

    def changes(self, wanted: Wanted, only: ChangeFilter, *, since: str, until: str) -> Answer[Change]:
        """Return what changed in the snapshots observed in an interval, by company and instant."""

        def read() -> Iterator[Row]:
            batches = self._batches(wanted, since, until, only)
            return only.selected(chain.from_iterable(batches))

        return Answer(CHANGE_COLUMNS, read, _change)

    def _batches(self, wanted: Wanted, since: str, until: str, only: ChangeFilter) -> Iterator[list[Row]]:
        """Yield the changes as lists, each of some companies: there may be hundreds of thousands."""
        for batch in company_batches(self._db, wanted, since, until):
            if wanted.companies.has_company(batch[0]):
                spans = wanted.companies.spans(batch[0])
                rows = self._changes_of_spans(spans, since, until, only)
                coverage = self._coverage.company_changes(spans, since, until)
            else:
                rows = self._value_changes(batch, since, until, only)
                coverage = self._coverage.changes(batch, since, until)
            yield sorted(rows + coverage, key=_by_symbol_and_instant) if coverage else rows

    def _value_changes(self, symbols: Sequence[str], since: str, until: str, only: ChangeFilter) -> list[Row]:
        """Return the fields that changed. Each symbol's last snapshot before the interval is read to compare with.

        Where there is none, the first snapshot of the symbol lies in the interval.
        """
        query = f"""
            SELECT {_DAILY_SELECTED}, symbol, observed_at, confirmed_at, {_SLOW_SELECTED}
              FROM json_each(:symbols) AS wanted
             CROSS JOIN snapshots ON snapshots.symbol = wanted.value
               AND observed_at >= coalesce((SELECT observed_at FROM snapshots WHERE symbol = wanted.value
                                               AND observed_at < :since ORDER BY observed_at DESC LIMIT 1), :since)
               AND observed_at <= :until
        """
        parameters = {"symbols": json.dumps(symbols), "since": since, "until": until}
        found: list[Row] = []
        before: Row | None = None
        for after in self._db.execute(query, parameters):
            if before is not None and before[_SYMBOL] == after[_SYMBOL]:
                found += self._between(before, after, only)
            elif after[_OBSERVED_AT] >= since:
                found += self._first(after)
            before = after
        return found

    def _changes_of_spans(self, spans: Sequence[Span], since: str, until: str, only: ChangeFilter) -> list[Row]:
        """Return the fields of one company that changed, and where its symbol did."""
        read = [(row, span) for span in spans for row in self._of_span(span, since, until)]
        found: list[Row] = []
        before: tuple[Row, Span] | None = None
        for row, span in sorted(read, key=lambda one: one[0][_OBSERVED_AT]):
            if before is None:
                found += self._first(row) if row[_OBSERVED_AT] >= since else []
            elif row[_OBSERVED_AT] >= since:
                between = self._between(before[0], row, only)
                if span.symbol != before[1].symbol:
                    between = [_symbol_row(*before, row, span), *map(_with_expected_name, between)]
                found += between
            before = row, span
        return found

    def _of_span(self, span: Span, since: str, until: str) -> list[Row]:
        """Return the snapshots of a span in an interval, and the last before it, with the company as their symbol."""
        query = f"""
            SELECT {_DAILY_SELECTED}, :company, observed_at, {LAST_SEEN}, {_SLOW_SELECTED}
              FROM snapshots
             WHERE symbol = :symbol AND observed_at BETWEEN :first AND min(:until, :at)
               AND observed_at >= coalesce((SELECT observed_at FROM snapshots WHERE symbol = :symbol
                                               AND observed_at < :since AND observed_at BETWEEN :first AND :at
                                             ORDER BY observed_at DESC LIMIT 1), :since)
             ORDER BY observed_at
        """
        parameters = {
            "company": span.company,
            "symbol": span.symbol,
            "first": span.since,
            "at": span.last,
            "since": since,
            "until": until,
        }
        return self._db.execute(query, parameters).fetchall()

    def _between(self, before: Row, after: Row, only: ChangeFilter) -> list[Row]:
        """Return what changed from one row to the next, without much of what the filter leaves out: it is most."""
        if before[_SLOW_PARTS] == after[_SLOW_PARTS] and not daily_may_hold_anomaly(before, after):
            return _daily_changes(before, after) if only.takes_daily_moves else []
        old, new = self._compared(before), self._compared(after)
        found = (one for one in differences(old, new) if one.suspicion is not None or not only.suspicious)
        return [_change_row(after[_SYMBOL], old, new, difference) for difference in found]

    def _first(self, row: Row) -> list[Row]:
        """Return what is suspicious about a symbol's first snapshot."""
        symbol, observed_at = row[_SYMBOL], row[_OBSERVED_AT]
        quarter = self._part("statements", row[_STATEMENT_ID])[_LATEST_QUARTER]
        return [_first_row(symbol, observed_at, one) for one in first_differences(quarter, observed_at)]

    def _compared(self, row: Row) -> ComparedSnapshot:
        *daily, _symbol, observed_at, confirmed_at, profile, statement, layout, extra = row
        return ComparedSnapshot(
            observed_at,
            confirmed_at,
            profile,
            statement,
            layout,
            self._part("profiles", profile),
            self._part("statements", statement),
            tuple(daily),
            self._part("layouts", layout),
            extra,
        )

    def _read_part(self, table: str, part_id: int) -> tuple[Any, ...]:
        row = self._db.execute(f"SELECT {_COLUMNS_OF[table]} FROM {table} WHERE id = ?", (part_id,)).fetchone()
        if row is None:
            raise part_of(table, part_id)
        return decode_layout(row[0]) if table == "layouts" else tuple(row)


# The rows of an answer hold texts and numbers only, no members of an enumeration: the garbage collector drops such
# tuples at first sight, and would go through tens of thousands of others again and again.

_DAILY, _CHANGED = Part.DAILY.value, ChangeKind.CHANGED.value
_OBSERVED_AT_IN_ANSWER = [column.name for column in CHANGE_COLUMNS].index("observed_at")
_FIELD_IN_ANSWER = [column.name for column in CHANGE_COLUMNS].index("field")


def _by_symbol_and_instant(row: Row) -> tuple[str, str]:
    return row[0], row[_OBSERVED_AT_IN_ANSWER]


def _change_row(symbol: str, before: ComparedSnapshot, after: ComparedSnapshot, found: Difference) -> Row:
    return (
        symbol, found.column, found.part and found.part.value, found.kind.value, found.before, found.after,
        relative_change(found.before, found.after), before.confirmed_at, after.observed_at, found.suspicion,
    )  # fmt: skip


def _first_row(symbol: str, observed_at: str, found: Difference) -> Row:
    part = found.part and found.part.value
    return symbol, found.column, part, found.kind.value, None, found.after, None, None, observed_at, found.suspicion


def _daily_changes(before: Row, after: Row) -> list[Row]:
    """Return the daily numbers that changed, where nothing else did: what `_change_row` would, and faster."""
    symbol, last_confirmed_at, observed_at = after[_SYMBOL], before[_CONFIRMED_AT], after[_OBSERVED_AT]
    return [
        (
            symbol, column, _DAILY, _CHANGED, old, new,
            (new - old) / abs(old) if old and new is not None else None, last_confirmed_at, observed_at, None,
        )
        for column, old, new in zip(_DAILY_NAMES, before, after, strict=False)  # what follows them is not compared
        if old != new
    ]  # fmt: skip


def _symbol_row(before: Row, old: Span, after: Row, new: Span) -> Row:
    """Return a company's change of symbol, from the last snapshot under the old one to the first under the new."""
    part, kind = Part.PROFILE.value, ChangeKind.CHANGED.value
    times = before[_CONFIRMED_AT], after[_OBSERVED_AT]
    return new.company, SYMBOL_FIELD.column, part, kind, old.symbol, new.symbol, None, *times, None


def _with_expected_name(row: Row) -> Row:
    """Return a row of a company that changed its symbol: another name is no suspicion then, another CIK is."""
    *rest, suspicion = row
    is_name = row[_FIELD_IN_ANSWER] == "name" and suspicion is Anomaly.ANOTHER_COMPANY
    return (*rest, None) if is_name else row


def _change(symbol: str, column: str, part: str | None, kind: str, *others: Any) -> Change:
    found = Change(symbol, column, part, ChangeKind(kind), *others)
    field = None if part is None else COLUMNS.get(column)  # an unknown field may have the name of a column
    if field is None or field.kind is not Kind.DATE:
        return found
    return found._replace(before=as_date(field, found.before), after=as_date(field, found.after))
