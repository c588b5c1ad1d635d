"""Documents: reads the stored parts of overviews; `model.document` joins them exactly as they were received."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from pipeline.instants import from_text
from pipeline.model.document import Document, Parts, decode_layout, join_document
from pipeline.model.fields import DAILY_FIELDS, PROFILE_FIELDS, REPORTED_FIELDS
from pipeline.model.symbols import Symbol
from pipeline.model.values import Value
from pipeline.query.companies import Wanted
from pipeline.query.snapshots import as_of
from pipeline.store.parts import PARTS, parts_are_there, with_parts

PART_COLUMNS = ", ".join(
    [
        *(f"profiles.{field.column}" for field in PROFILE_FIELDS),
        *(f"statements.{field.column}" for field in REPORTED_FIELDS),
        *(f"snapshots.{field.column}" for field in DAILY_FIELDS),
    ]
)
"""What `stored_document` takes as its values."""
PART_TABLES = with_parts(*PARTS)
"""The joins to what `PART_COLUMNS` needs. The query needs the condition `PARTS_ARE_THERE`, too."""
PARTS_ARE_THERE = parts_are_there(*PARTS)
_REPORTED_AT = len(PROFILE_FIELDS)
_DAILY_AT = _REPORTED_AT + len(REPORTED_FIELDS)


@dataclass(frozen=True, slots=True)
class Received:
    """A document as it was received, when it was first observed, and when it was last seen again."""

    document: Document
    observed_at: datetime
    confirmed_at: datetime


def received_as_of(
    db: sqlite3.Connection, wanted: Wanted, at: datetime, max_staleness: timedelta | None
) -> Iterator[Received]:
    """Yield for each company the newest document not after an instant, unless it is too stale."""
    query = f"""
        SELECT snapshots.symbol, snapshots.observed_at, layouts.keys, snapshots.extra, {PART_COLUMNS}
          FROM (SELECT json_extract(value, '$[0]') AS symbol, json_extract(value, '$[1]') AS observed_at
                  FROM json_each(?)) AS wanted
         CROSS JOIN snapshots ON snapshots.symbol = wanted.symbol AND snapshots.observed_at = wanted.observed_at
          {PART_TABLES}
         WHERE {PARTS_ARE_THERE}
    """
    found = as_of(db, wanted, at, (), max_staleness).rows()
    seen = {(row[-1] if wanted.companies.have_renames else row[0], row[1]): row[2] for row in found}
    for symbol, observed_at, keys, extra, *values in db.execute(query, (json.dumps([*seen]),)).fetchall():
        document = stored_document(symbol, keys, extra, values)
        yield Received(document, from_text(observed_at), from_text(seen[symbol, observed_at]))


def stored_document(symbol: str, keys: str, extra: str | None, values: Sequence[Value]) -> Document:
    """Return a document from a row: `layouts.keys`, `snapshots.extra`, and the values of `PART_COLUMNS`."""
    parts = Parts(
        profile=tuple(values[:_REPORTED_AT]),
        reported=tuple(values[_REPORTED_AT:_DAILY_AT]),
        daily=tuple(values[_DAILY_AT:]),
        layout=_layout(keys),
        extra=extra,
    )
    return join_document(Symbol(symbol), parts)


@lru_cache(maxsize=64)
def _layout(keys: str) -> tuple[str, ...]:
    """Return the keys of a layout, of which a database has a dozen."""
    return decode_layout(keys)
