"""Export: which snapshots are exported, as rows of columns or as the documents received. `formats` writes them."""

import heapq
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline import instants
from pipeline.model.fields import CATALOGUE, Kind
from pipeline.model.symbols import Symbol
from pipeline.query.documents import PART_COLUMNS, PART_TABLES, PARTS_ARE_THERE, stored_document
from pipeline.store.parts import parts_are_there, with_parts

COLUMNS: tuple[tuple[str, Kind], ...] = (
    ("symbol", Kind.TEXT),
    ("observed_at", Kind.INSTANT),
    ("confirmed_at", Kind.INSTANT),
    *((field.column, field.kind) for field in CATALOGUE[1:]),
    ("extra", Kind.JSON),
)
"""The columns of the view `overviews`, in its order."""
NAMES = tuple(name for name, _ in COLUMNS)

_EVERY_INSTANT = ("", "~")
"""Texts that sort before and after every instant."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Snapshots first observed from `since` to `until`, both included. No symbols: all of them."""

    symbols: tuple[Symbol, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the queries below, and of those with `WANTED_SYMBOLS`."""
        earliest, latest = _EVERY_INSTANT
        return {
            "symbols": json.dumps(self.symbols) if self.symbols else None,
            "since": instants.to_text(self.since) if self.since else earliest,
            "until": instants.to_text(self.until) if self.until else latest,
        }


# Symbols first, then each one's interval: a seek for each, however much else the symbols have.

WANTED_SYMBOLS = "(:symbols IS NULL OR symbols.symbol IN (SELECT value FROM json_each(:symbols)))"
_OF_COLUMNS = ("profiles", "statements")
_ROWS = f"""
    SELECT symbols.symbol, {", ".join(NAMES[1:])}
      FROM symbols
     CROSS JOIN snapshots ON snapshots.symbol = symbols.symbol AND snapshots.observed_at BETWEEN :since AND :until
      {with_parts(*_OF_COLUMNS)}
     WHERE {WANTED_SYMBOLS} AND {parts_are_there(*_OF_COLUMNS)}
     ORDER BY symbols.symbol
"""
_ORIGINALS = f"""
    SELECT symbols.symbol, snapshots.observed_at, layouts.keys, snapshots.extra,
           CASE WHEN snapshots.confirmed_at > snapshots.observed_at THEN (
               SELECT json_group_array(at) FROM (
                   SELECT at FROM looks
                    WHERE looks.symbol = symbols.symbol
                      AND at > snapshots.observed_at AND at <= snapshots.confirmed_at
                    ORDER BY at)) END,
           {PART_COLUMNS}
      FROM symbols
     CROSS JOIN snapshots ON snapshots.symbol = symbols.symbol AND snapshots.observed_at BETWEEN :since AND :until
      {PART_TABLES}
     WHERE {WANTED_SYMBOLS} AND {PARTS_ARE_THERE}
     ORDER BY symbols.symbol
"""
_UNCOVERED = f"""
    SELECT symbols.symbol, uncovered.at
      FROM symbols
     CROSS JOIN uncovered ON uncovered.symbol = symbols.symbol AND uncovered.at BETWEEN :since AND :until
     WHERE {WANTED_SYMBOLS}
     ORDER BY symbols.symbol
"""


@contextmanager
def read_transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Read one state of the database until the block ends, whatever a run writes meanwhile."""
    db.execute("PRAGMA temp_store = MEMORY")  # of what is packed for Arrow; impossible within a transaction
    db.execute("BEGIN")
    try:
        yield
    finally:
        if db.in_transaction:  # after some errors, SQLite has rolled back
            db.execute("ROLLBACK")


def snapshot_count(db: sqlite3.Connection, selection: Selection) -> int | None:
    """Return how many snapshots the selection has; None if only reading them would show."""
    if selection.since or selection.until:
        return None
    query = f"SELECT coalesce(sum(snapshots), 0) FROM symbols WHERE {WANTED_SYMBOLS}"
    return int(db.execute(query, selection.parameters()).fetchone()[0])


def overview_rows(db: sqlite3.Connection, selection: Selection) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the view `overviews`, by symbol and instant."""
    for row in db.execute(_ROWS, selection.parameters()):  # noqa: UP028 - would close it after its database
        yield row


def originals(db: sqlite3.Connection, selection: Selection) -> Iterator[dict[str, Any]]:
    """Yield what `import` makes an equal database of, by symbol and instant: snapshots, and `{}` where uncovered.

    `looks`, where there are any, are the later instants at which the document was observed unchanged.
    """
    snapshots = (_original(*row) for row in db.execute(_ORIGINALS, selection.parameters()))
    uncovered = (_uncovered(*row) for row in db.execute(_UNCOVERED, selection.parameters()))
    yield from heapq.merge(snapshots, uncovered, key=lambda line: (line["symbol"], line["observed_at"]))


def _original(
    symbol: str, observed_at: str, keys: str, extra: str | None, looks: str | None, *values: Any
) -> dict[str, Any]:
    document = stored_document(symbol, keys, extra, values)
    line = {"symbol": symbol, "observed_at": observed_at, "document": document}
    return {**line, "looks": json.loads(looks)} if looks else line


def _uncovered(symbol: str, at: str) -> dict[str, Any]:
    return {"symbol": symbol, "observed_at": at, "document": {}}
