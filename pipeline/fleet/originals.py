"""Originals: what a record observed of each symbol, as entries of the log."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pipeline import instants
from pipeline.fleet.entries import document_digest, document_text
from pipeline.model.document import Document
from pipeline.model.outcomes import Outcome
from pipeline.query.documents import PART_COLUMNS, PART_TABLES, PARTS_ARE_THERE, stored_document
from pipeline.store.derived_states import misses_of

CHUNK = 3_000
"""Entries after which a part of an import is full."""
_LARGEST_PART = 16_000_000
"""Characters after which it is."""


class Part:
    """Entries of the log, as columns, and the states of the symbols that they complete."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, datetime, str | None, int | None, int, int | None, str | None]] = []
        self.states: list[dict[str, Any]] = []
        self._characters = 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def is_full(self) -> bool:
        return len(self) >= CHUNK or self._characters >= _LARGEST_PART

    def add(
        self,
        kind: str,
        at: str,
        symbol: str | None,
        *,
        run: int | None = None,
        attempts: int = 0,
        same: int | None = None,
        body: str | None = None,
    ) -> int:
        """Add an entry, and return its number, from 1. `same`: the number of the one that has an equal document."""
        self._rows.append((kind, instants.from_text(at), symbol, run, attempts, same, body))
        self._characters += len(body or "")
        return len(self._rows)

    def columns(self) -> Sequence[Sequence[Any]]:
        """Return kinds, instants, symbols, runs, attempts, numbers of equal entries, and bodies."""
        return [list(column) for column in zip(*self._rows, strict=True)] or [[]] * 7


class _End(NamedTuple):
    """How a symbol ended in a run."""

    run: int
    outcome: str
    attempts: int
    at: str
    detail: str | None


_SNAPSHOTS = f"""
    SELECT snapshots.observed_at, layouts.keys, snapshots.extra, {PART_COLUMNS}
      FROM snapshots {PART_TABLES} WHERE snapshots.symbol = ? AND {PARTS_ARE_THERE}
"""
_ENDS_BY_SYMBOL = """
    CREATE TEMP TABLE ended AS SELECT symbol, run_id, outcome, attempts, at, detail FROM outcomes;
    CREATE INDEX temp.ended_by_symbol ON ended (symbol, at);
"""
_ENDS = "SELECT run_id, outcome, attempts, at, detail FROM temp.ended WHERE symbol = ? ORDER BY at, run_id"
_STATE = "SELECT state, since, last_look, last_overview, last_try, next_try FROM symbols WHERE symbol = ?"


def parts(db: sqlite3.Connection, symbols: Sequence[str], *, with_runs: bool) -> Iterator[tuple[Part, str, int]]:
    """Yield what was observed of symbols: parts, each with its last symbol, and how many symbols it has.

    `with_runs`: with the runs that observed it, and how else symbols ended in them.
    """
    if with_runs:
        db.executescript(_ENDS_BY_SYMBOL)
    part, number = Part(), 0
    for symbol in symbols:
        ends = [_End(*row) for row in db.execute(_ENDS, (symbol,))] if with_runs else []
        _add_symbol(part, db, symbol, ends)
        number += 1
        if part.is_full:
            yield part, symbol, number
            part, number = Part(), 0
    if number:
        yield part, symbols[-1], number


def _add_symbol(part: Part, db: sqlite3.Connection, symbol: str, ends: Sequence[_End]) -> None:
    """Add all that was observed of a symbol, in order, and its state."""
    of_observations = {(end.at, end.outcome): end for end in reversed(ends)}
    used: set[_End] = set()
    document: Document | None = None
    newest: int | None = None
    for at, outcome, found in _observations(db, symbol):
        end = of_observations.get((at, outcome))
        run, attempts, detail = (None, 0, None) if end is None else (end.run, end.attempts, end.detail)
        if end is not None:
            used.add(end)
        if outcome is Outcome.UNKNOWN:
            part.add("uncovered", at, symbol, run=run, attempts=attempts, body=detail)
        elif found is None:
            part.add("answer", at, symbol, run=run, attempts=attempts, same=newest)
        else:
            document = found
            newest = part.add("answer", at, symbol, run=run, attempts=attempts, body=document_text(found))
    for end in ends:
        if end not in used:
            body = json.dumps({"outcome": end.outcome, "detail": end.detail})
            part.add("outcome", end.at, symbol, run=end.run, attempts=end.attempts, body=body)
    part.states.append(_state(db, symbol, document, newest))


def _observations(db: sqlite3.Connection, symbol: str) -> Iterator[tuple[str, Outcome, Document | None]]:
    """Yield instants in order, what a run that observed it then counts it as, and the document of a snapshot."""
    found: list[tuple[str, Outcome, Document | None]] = [
        (observed_at, Outcome.STORED, stored_document(symbol, keys, extra, values))
        for observed_at, keys, extra, *values in db.execute(_SNAPSHOTS, (symbol,))
    ]
    for table, outcome in (("looks", Outcome.UNCHANGED), ("uncovered", Outcome.UNKNOWN)):
        rows = db.execute(f"SELECT at FROM {table} WHERE symbol = ?", (symbol,))
        found += [(at, outcome, None) for (at,) in rows]
    return iter(sorted(found, key=lambda one: one[0]))


def _state(db: sqlite3.Connection, symbol: str, document: Document | None, newest: int | None) -> dict[str, Any]:
    """Return what is known of a symbol, as the fleet's table of symbols has it."""
    state, since, last_look, last_overview, last_try, next_try = db.execute(_STATE, (symbol,)).fetchone()
    return {
        "symbol": symbol,
        "last_look": last_look,
        "last_overview": last_overview,
        "last_try": last_try,
        "next_try": next_try,
        "uncovered_since": since if state == "unknown" else None,
        "misses": misses_of(last_look, next_try),
        "digest": None if document is None else rf"\x{document_digest(document).hex()}",
        "seq": newest,
    }
