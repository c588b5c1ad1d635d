"""As-of and history: what was known of each company at an instant, and the versions of one through time."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from pipeline.instants import from_text, to_text
from pipeline.model.fields import COLUMNS, Field, Kind, Part
from pipeline.model.values import Value
from pipeline.query.bounds import seen_since_text
from pipeline.query.results import Answer, Column, Snapshot, columns_of

DEFAULT_FIELDS = tuple(COLUMNS[column] for column in ("market_capitalization", "pe_ratio", "eps", "latest_quarter"))
"""The fields of an answer where none is named."""

_FIRST_COLUMNS = (
    Column("symbol", Kind.TEXT),
    Column("observed_at", Kind.INSTANT),
    Column("confirmed_at", Kind.INSTANT),
)

# These join a table `wanted` of symbols. By its symbol, not the snapshot's own: that would be looked up for each row of
# a symbol's whole past.
NEWEST_NOT_AFTER = """
    observed_at = (SELECT earlier.observed_at FROM snapshots AS earlier
                    WHERE earlier.symbol = wanted.symbol AND earlier.observed_at <= :at
                    ORDER BY earlier.observed_at DESC LIMIT 1)
"""
LAST_SEEN = """
    iif(confirmed_at <= :at, confirmed_at,
        max(observed_at, coalesce((SELECT at FROM looks WHERE looks.symbol = snapshots.symbol AND at <= :at
                                    ORDER BY at DESC LIMIT 1), '')))
"""
LISTED = "(SELECT value AS symbol FROM json_each(:symbols))"


def history(
    db: sqlite3.Connection, symbol: str, fields: Sequence[Field], *, since: str, until: str
) -> Answer[Snapshot]:
    """Return the snapshots of a symbol observed in an interval, the oldest first."""
    query = f"""
        SELECT snapshots.symbol, observed_at, confirmed_at{_selected(fields)}
          FROM snapshots {_joined(fields)}
         WHERE snapshots.symbol = ? AND observed_at BETWEEN ? AND ?
         ORDER BY observed_at
    """
    names = [field.column for field in fields]

    def read() -> Iterator[tuple[Any, ...]]:
        return iter(db.execute(query, (symbol, since, until)).fetchall())

    def make(symbol: str, observed_at: datetime, confirmed_at: datetime, *values: Value) -> Snapshot:
        return Snapshot(symbol, observed_at, confirmed_at, dict(zip(names, values, strict=True)))

    return Answer((*_FIRST_COLUMNS, *columns_of(fields)), read, make)


def as_of(
    db: sqlite3.Connection,
    at: datetime,
    symbols: Sequence[str] | None,
    fields: Sequence[Field],
    max_staleness: timedelta | None,
) -> Answer[Snapshot]:
    """Return for each symbol the newest snapshot not after an instant, unless it is too stale. None: all symbols."""
    query = f"""
        SELECT snapshots.symbol, observed_at, {LAST_SEEN}{_selected(fields)}
          FROM {"symbols" if symbols is None else LISTED} AS wanted
         CROSS JOIN snapshots ON snapshots.symbol = wanted.symbol AND {NEWEST_NOT_AFTER}
          {_joined(fields)}
    """
    parameters = {"at": to_text(at), "symbols": None if symbols is None else json.dumps(symbols)}
    seen_since = seen_since_text(at, max_staleness)

    def read() -> Iterator[tuple[Any, ...]]:
        for symbol, observed_at, last_seen, *values in db.execute(query, parameters).fetchall():
            if last_seen >= seen_since:
                yield symbol, observed_at, last_seen, _hours(at - from_text(last_seen)), *values

    columns = (*_FIRST_COLUMNS, Column("staleness_hours", Kind.REAL), *columns_of(fields))
    return Answer(columns, read, _snapshot_as_of(fields, at))


def _snapshot_as_of(fields: Sequence[Field], at: datetime) -> Callable[..., Snapshot]:
    names = [field.column for field in fields]

    def make(
        symbol: str, observed_at: datetime, confirmed_at: datetime, _staleness_hours: float, *values: Value
    ) -> Snapshot:
        staleness = at - confirmed_at
        return Snapshot(symbol, observed_at, confirmed_at, dict(zip(names, values, strict=True)), staleness)

    return make


def _selected(fields: Sequence[Field]) -> str:
    """Return the columns to select, all from the catalogue: no name here comes from outside."""
    return "".join(f", {field.column}" for field in fields)


def _joined(fields: Sequence[Field]) -> str:
    """Return the joins to the tables that hold the fields."""
    parts = {field.part for field in fields}
    profiles = "JOIN profiles ON profiles.id = profile_id" if Part.PROFILE in parts else ""
    statements = "JOIN statements ON statements.id = statement_id" if Part.REPORTED in parts else ""
    return f"{profiles} {statements}"


def _hours(span: timedelta) -> float:
    return round(span.total_seconds() / 3600, 7)
