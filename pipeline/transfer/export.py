"""Export: the record as rows or as the documents received, for other tools, and a file that is whole or absent."""

import heapq
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from io import TextIOWrapper
from typing import Any, BinaryIO

import msgspec

from pipeline import instants
from pipeline.model.document import Parts, join_document
from pipeline.model.fields import CATALOGUE, DAILY_FIELDS, PROFILE_FIELDS, REPORTED_FIELDS, ColumnKind, Kind
from pipeline.model.symbols import Symbol
from pipeline.text import inert, write_csv

COLUMNS: tuple[tuple[str, ColumnKind], ...] = (
    ("symbol", Kind.TEXT),
    ("observed_at", "instant"),
    ("confirmed_at", "instant"),
    *((field.column, field.kind) for field in CATALOGUE[1:]),
    ("extra", "json"),
)
"""The columns of the view `overviews`, in its order."""
NAMES = tuple(name for name, _ in COLUMNS)

_EVERY_INSTANT = ("", "~")
"""Texts before and after every instant's."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Snapshots first observed from `since` to `until`, both included. No symbols: all of them."""

    symbols: tuple[Symbol, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    def parameters(self) -> dict[str, Any]:
        """Return what `WANTED` and its like are bound to."""
        earliest, latest = _EVERY_INSTANT
        return {
            "symbols": json.dumps(self.symbols) if self.symbols else None,
            "since": instants.to_text(self.since) if self.since else earliest,
            "until": instants.to_text(self.until) if self.until else latest,
        }


# Symbols first, then each one's interval: a seek for each, whatever the symbols have besides.

WANTED_SYMBOLS = "(:symbols IS NULL OR symbols.symbol IN (SELECT value FROM json_each(:symbols)))"
_ROWS = f"""
    SELECT {", ".join(NAMES)}
      FROM overviews AS symbols
     WHERE observed_at BETWEEN :since AND :until AND {WANTED_SYMBOLS}
     ORDER BY symbol
"""
_PART_COLUMNS = (
    *(f"profiles.{field.column}" for field in PROFILE_FIELDS),
    *(f"statements.{field.column}" for field in REPORTED_FIELDS),
    *(f"snapshots.{field.column}" for field in DAILY_FIELDS),
)
_ORIGINALS = f"""
    SELECT symbols.symbol, snapshots.observed_at, layouts.keys, snapshots.extra,
           CASE WHEN snapshots.confirmed_at > snapshots.observed_at THEN (
               SELECT json_group_array(at) FROM (
                   SELECT at FROM looks
                    WHERE looks.symbol = symbols.symbol
                      AND at > snapshots.observed_at AND at <= snapshots.confirmed_at
                    ORDER BY at)) END,
           {", ".join(_PART_COLUMNS)}
      FROM symbols
     CROSS JOIN snapshots ON snapshots.symbol = symbols.symbol AND snapshots.observed_at BETWEEN :since AND :until
      JOIN profiles ON profiles.id = snapshots.profile_id
      JOIN statements ON statements.id = snapshots.statement_id
      JOIN layouts ON layouts.id = snapshots.layout_id
     WHERE {WANTED_SYMBOLS}
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
def one_state(db: sqlite3.Connection) -> Iterator[None]:
    """Hold one state of the record until the block ends, whatever a run writes meanwhile."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")


def expected(db: sqlite3.Connection, selection: Selection) -> int | None:
    """Return how many snapshots the selection has, or None where only reading them would tell."""
    if selection.since or selection.until:
        return None
    query = f"SELECT coalesce(sum(snapshots), 0) FROM symbols WHERE {WANTED_SYMBOLS}"
    return int(db.execute(query, selection.parameters()).fetchone()[0])


def rows(db: sqlite3.Connection, selection: Selection) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the view `overviews`, by symbol and instant."""
    for row in db.execute(_ROWS, selection.parameters()):  # noqa: UP028 - would close it after its database
        yield row


# Documents, as received


def originals(db: sqlite3.Connection, selection: Selection) -> Iterator[dict[str, Any]]:
    """Yield what `import` takes back into an equal record, by symbol and instant: a snapshot, or `{}` for none, each.

    `looks`, where there are any, are the later instants at which the document was found unchanged.
    """
    known = (_original(row) for row in db.execute(_ORIGINALS, selection.parameters()))
    uncovered = (_nothing(*row) for row in db.execute(_UNCOVERED, selection.parameters()))
    yield from heapq.merge(known, uncovered, key=lambda line: (line["symbol"], line["observed_at"]))


def _nothing(symbol: str, at: str) -> dict[str, Any]:
    return {"symbol": symbol, "observed_at": at, "document": {}}


_REPORTED_AT = len(PROFILE_FIELDS)
_DAILY_AT = _REPORTED_AT + len(REPORTED_FIELDS)


def _original(row: tuple[Any, ...]) -> dict[str, Any]:
    symbol, observed_at, keys, extra, looks, *values = row
    parts = Parts(
        profile=tuple(values[:_REPORTED_AT]),
        reported=tuple(values[_REPORTED_AT:_DAILY_AT]),
        daily=tuple(values[_DAILY_AT:]),
        layout=_layout(keys),
        extra=extra,
    )
    line = {"symbol": symbol, "observed_at": observed_at, "document": join_document(symbol, parts)}
    return {**line, "looks": json.loads(looks)} if looks else line


@lru_cache(maxsize=64)
def _layout(keys: str) -> tuple[str, ...]:
    """Return the keys of a layout, of which there are a dozen in all."""
    return tuple(json.loads(keys))


# Files


def write_rows_csv(file: BinaryIO, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write rows as CSV: a name above each column, missing empty."""
    with _text(file) as text:
        write_csv(text, NAMES, rows)


def write_rows_jsonl(file: BinaryIO, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write rows as JSON Lines: an object each, missing null."""
    write_jsonl(file, (dict(zip(NAMES, row, strict=True)) for row in rows))


def write_jsonl(file: BinaryIO, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write objects as JSON, a line each."""
    with _text(file) as text:
        for line in lines:
            text.write(inert(msgspec.json.encode(line).decode()) + "\n")


@contextmanager
def _text(file: BinaryIO) -> Iterator[TextIOWrapper]:
    text = TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
    yield text
    text.detach()  # flushes; who opened the file closes it
