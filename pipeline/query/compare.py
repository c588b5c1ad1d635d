"""Comparing: what changed in a record, found by going through its rows. What a change is, `pipeline.changes` says.

Nearly always only daily numbers differ: those are compared as the rows have them. The rest is looked at closer.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from pipeline.instants import LATEST
from pipeline.model.changes import (
    ChangeKind,
    ComparedSnapshot,
    Difference,
    daily_may_hold_anomaly,
    differences,
    relative_change,
)
from pipeline.model.fields import DAILY_FIELDS, PROFILE_FIELDS, REPORTED_FIELDS, Kind, Part
from pipeline.query.results import Column
from pipeline.store.stored_symbols import symbol_batches

_COLUMNS_OF = {
    "profiles": ", ".join(field.column for field in PROFILE_FIELDS),
    "statements": ", ".join(field.column for field in REPORTED_FIELDS),
    "layouts": "keys",
}
_DAILY_COLUMNS = ", ".join(field.column for field in DAILY_FIELDS)
CHANGE_COLUMNS = (
    Column("symbol", Kind.TEXT),
    Column("field", Kind.TEXT),
    Column("part", Kind.TEXT),
    Column("kind", Kind.TEXT),
    Column("before", "json"),
    Column("after", "json"),
    Column("change", Kind.REAL),
    Column("last_confirmed_at", "instant"),
    Column("observed_at", "instant"),
    Column("suspicion", Kind.TEXT),
)


class Comparison:
    """Compares each snapshot of a record with the one before it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._part = lru_cache(maxsize=4096)(self._read_part)

    def changes(self, symbols: Sequence[str] | None, since: str, until: str) -> Iterator[list[tuple[Any, ...]]]:
        """Yield what changed in the snapshots observed in an interval, by symbol and instant, some symbols at a time.

        In lists, for there may be hundreds of thousands. None: all symbols ever asked.
        """
        for some in symbol_batches(self._db, symbols, since, until):
            coverage = self._coverage_changes(some, since, until)
            found = self._value_changes(some, since, until)
            if coverage:
                found = sorted(found + coverage, key=lambda row: (row[0], row[8]))
            yield found

    def _value_changes(self, symbols: Sequence[str], since: str, until: str) -> list[tuple[Any, ...]]:
        """Return what changed in the snapshots observed in an interval, by symbol and instant."""
        query = f"""
            SELECT {_DAILY_COLUMNS}, symbol, observed_at, confirmed_at, profile_id, statement_id, layout_id, extra
              FROM json_each(:symbols) AS wanted
             CROSS JOIN snapshots ON snapshots.symbol = wanted.value
               AND observed_at >= coalesce((SELECT observed_at FROM snapshots WHERE symbol = wanted.value
                                               AND observed_at < :since ORDER BY observed_at DESC LIMIT 1), :since)
               AND observed_at <= :until
        """
        given = {"symbols": json.dumps(symbols), "since": since, "until": until}
        found: list[tuple[Any, ...]] = []
        before: tuple[Any, ...] | None = None
        for after in self._db.execute(query, given):
            if before is not None and before[_SYMBOL] == after[_SYMBOL]:
                found += self._between(before, after)
            before = after
        return found

    def _between(self, before: tuple[Any, ...], after: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Return what changed from one row to the next: mostly daily numbers, and nothing else need be looked at."""
        if before[_SLOW] == after[_SLOW] and not daily_may_hold_anomaly(before, after):
            return _daily_changes(before, after)
        old, new = self._state(before), self._state(after)
        return [_change(after[_SYMBOL], old, new, one) for one in differences(old, new)]

    def _state(self, row: tuple[Any, ...]) -> ComparedSnapshot:
        *daily, _, observed, confirmed, profile, statement, layout, extra = row
        return ComparedSnapshot(
            observed,
            confirmed,
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
        return tuple(json.loads(row[0])) if table == "layouts" else tuple(row)

    def _coverage_changes(self, symbols: Sequence[str], since: str, until: str) -> list[tuple[Any, ...]]:
        query = """
            SELECT uncovered.symbol, uncovered.at
              FROM json_each(?) AS wanted CROSS JOIN uncovered ON uncovered.symbol = wanted.value AND at <= ?
        """
        gone: dict[str, list[str]] = {}
        for symbol, at in self._db.execute(query, (json.dumps(symbols), until)):
            gone.setdefault(symbol, []).append(at)
        return [row for symbol, at in gone.items() for row in self._turns(symbol, at, since, until)]

    def _turns(self, symbol: str, gone: list[str], since: str, until: str) -> Iterator[tuple[Any, ...]]:
        """Yield where a symbol that was at times not covered began or ceased to be."""
        for after, before in zip(["", *gone], [*gone, LATEST], strict=True):
            first, last = self._covered_between(symbol, after, before, until)
            if first is None or last is None:
                continue
            if after and since <= first <= until:
                yield _coverage_row(symbol, ChangeKind.COVERED, after, first)
            if before is not LATEST and since <= before <= until:
                yield _coverage_row(symbol, ChangeKind.UNCOVERED, last, before)

    def _covered_between(self, symbol: str, after: str, before: str, until: str) -> tuple[str | None, str | None]:
        """Return the first and the last look between two others, and not after `until`, that found the symbol covered.

        Of two looks at one instant, the one that found it covered counts as the later, as it does for its state.
        """
        query = """
            SELECT min(at), max(at) FROM (
                SELECT min(observed_at) AS at FROM snapshots WHERE symbol = :symbol AND observed_at >= :after
                   AND observed_at < :before AND observed_at <= :until
                UNION ALL
                SELECT max(observed_at) FROM snapshots WHERE symbol = :symbol AND observed_at >= :after
                   AND observed_at < :before AND observed_at <= :until
                UNION ALL
                SELECT min(at) FROM looks WHERE symbol = :symbol AND at >= :after AND at < :before AND at <= :until
                UNION ALL
                SELECT max(at) FROM looks WHERE symbol = :symbol AND at >= :after AND at < :before AND at <= :until
            )
        """
        given = {"symbol": symbol, "after": after, "before": before, "until": until}
        first, last = self._db.execute(query, given).fetchone()
        return first, last


# Rows


def _change(symbol: str, before: ComparedSnapshot, after: ComparedSnapshot, found: Difference) -> tuple[Any, ...]:
    return (
        symbol, found.column, found.part and found.part.value, found.kind.value, found.before, found.after,
        relative_change(found.before, found.after), before.confirmed_at, after.observed_at, found.suspicion,
    )  # fmt: skip


# A row to be compared begins with its daily numbers, so that they can be gone through without being cut out; then:
_SYMBOL, _OBSERVED, _CONFIRMED = range(len(DAILY_FIELDS), len(DAILY_FIELDS) + 3)
_SLOW = slice(_CONFIRMED + 1, None)
_DAILY_NAMES = tuple(field.column for field in DAILY_FIELDS)
# Plain texts, not members of an enumeration: rows of nothing but texts and numbers are dropped by the garbage collector
# at first sight, and tens of thousands of others gone through again and again.
_OF_DAILY, _CHANGED = Part.DAILY.value, ChangeKind.CHANGED.value


def _daily_changes(before: tuple[Any, ...], after: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Return the daily numbers that changed, where nothing else did and none is odd: as `_change` would, and sooner."""
    symbol, last, first = after[_SYMBOL], before[_CONFIRMED], after[_OBSERVED]
    return [
        (
            symbol, column, _OF_DAILY, _CHANGED, was, now,
            (now - was) / abs(was) if was and now is not None else None, last, first, None,
        )
        for column, was, now in zip(_DAILY_NAMES, before, after, strict=False)  # what follows them is not compared
        if was != now
    ]  # fmt: skip


def _coverage_row(symbol: str, kind: ChangeKind, last: str, first: str) -> tuple[Any, ...]:
    states = ("covered", "unknown")
    before, after = states if kind is ChangeKind.UNCOVERED else states[::-1]
    return symbol, "state", None, kind.value, before, after, None, last, first, None
