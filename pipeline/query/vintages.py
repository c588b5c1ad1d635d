"""Vintages: the values that a company reported for a quarter, each with when we knew it. Read-only SQL."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

from pipeline.model.changes import relative_change
from pipeline.model.fields import COLUMNS, REPORTED_FIELDS, ColumnKind, Field, Kind
from pipeline.query.results import Column
from pipeline.store.stored_symbols import symbol_batches

_Reported = tuple[Any, ...]
_Span = tuple[_Reported, str, str]
_REPORTED = ", ".join(field.column for field in REPORTED_FIELDS)
_REPORTED_PLACES = {field: number for number, field in enumerate(REPORTED_FIELDS)}
_QUARTER = _REPORTED_PLACES[COLUMNS["latest_quarter"]]
_KNOWN_FROM = 4


def vintage_columns(fields: Sequence[Field]) -> tuple[Column, ...]:
    """Return the columns of the vintages of these fields."""
    kinds = {field.kind for field in fields}
    numbers: ColumnKind = Kind.REAL if kinds <= {Kind.INTEGER, Kind.REAL} else "json"
    value: ColumnKind = Kind.INTEGER if kinds == {Kind.INTEGER} else numbers
    return (
        Column("symbol", Kind.TEXT),
        Column("field", Kind.TEXT),
        Column("latest_quarter", Kind.DATE),
        Column("value", value),
        Column("known_from", "instant"),
        Column("known_until", "instant"),
        Column("is_restatement", "boolean"),
        Column("before", value),
        Column("change", Kind.REAL),
    )


def vintage_rows(
    db: sqlite3.Connection, symbols: Sequence[str] | None, fields: Sequence[Field], *, since: str, until: str
) -> Iterator[tuple[Any, ...]]:
    """Yield the vintages first known in an interval, by symbol, field and quarter. None: of all symbols ever asked.

    All that was observed until its end is gone through: a value may take the place of a much older one.
    """
    statement = lru_cache(maxsize=4096)(partial(_statement, db))
    for some in symbol_batches(db, symbols, "", until):
        for symbol, spans in _spans(db, some, until, statement).items():
            for field in fields:
                for row in _of_field(symbol, field, spans):
                    if row[_KNOWN_FROM] >= since:
                        yield row


def _statement(db: sqlite3.Connection, statement_id: int) -> _Reported:
    row: _Reported = db.execute(f"SELECT {_REPORTED} FROM statements WHERE id = ?", (statement_id,)).fetchone()
    return row


def _spans(
    db: sqlite3.Connection, symbols: Sequence[str], until: str, statement: Callable[[int], _Reported]
) -> dict[str, list[_Span]]:
    """Return by symbol what was reported, with when each statement was first and last seen before another was."""
    query = """
        SELECT symbol, statement_id, observed_at, confirmed_at
          FROM json_each(?) AS wanted
         CROSS JOIN snapshots ON snapshots.symbol = wanted.value AND observed_at <= ?
    """
    spans: dict[str, list[_Span]] = {}
    last: tuple[str, int] | None = None
    for symbol, number, observed, confirmed in db.execute(query, (json.dumps(symbols), until)).fetchall():
        of_symbol = spans.setdefault(symbol, [])
        if last == (symbol, number):
            of_symbol[-1] = (*of_symbol[-1][:2], confirmed)
        else:
            of_symbol.append((statement(number), observed, confirmed))
        last = symbol, number
    return spans


def _of_field(symbol: str, field: Field, spans: Sequence[_Span]) -> Iterator[tuple[Any, ...]]:
    """Yield the values of a field, by quarter in the order in which we learnt of them."""
    place = _REPORTED_PLACES[field]
    by_quarter: dict[str, list[list[Any]]] = {}
    for reported, known_from, known_until in spans:
        quarter, value = reported[_QUARTER], reported[place]
        if quarter is None or value is None:
            continue
        known = by_quarter.setdefault(quarter, [])
        if known and known[-1][0] == value:
            known[-1][2] = known_until
        else:
            known.append([value, known_from, known_until])
    for quarter, known in by_quarter.items():
        before = None
        for value, known_from, known_until in known:
            yield (
                symbol, field.column, quarter, value, known_from, known_until,
                before is not None, before, relative_change(before, value),
            )  # fmt: skip
            before = value
