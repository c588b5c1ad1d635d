"""Corrections: moves or removes observations that a wrong clock dated.

Afterwards the record is as if they had been made at the right instants, or never. The ledger stays as it is: an older
request would free its slot too early.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from aiosqlite import Connection

from pipeline import instants
from pipeline.audit.corrected_runs import correct_attempts, correct_runs, count_runs
from pipeline.audit.damages import Damages
from pipeline.audit.observed_rows import Observations
from pipeline.audit.part_digests import check_layouts
from pipeline.errors import ExitCode, Trouble
from pipeline.model.document import Version, same_document
from pipeline.model.intervals import Interval, fold
from pipeline.model.symbols import Symbol
from pipeline.store.snapshots import Changes, read_intervals, snapshot_row, write_changes
from pipeline.store.symbol_states import derive_states
from pipeline.text import count

_EARLIEST = datetime.fromisoformat("1970-01-01T00:00:00Z")
_FIRST, _LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Uncorrectable(Trouble):
    """A correction that would make the record wrong."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Correction:
    """What is to be done with what is dated from `since` to `until`, both inclusive."""

    since: datetime
    until: datetime
    shift: timedelta | None
    """How far it is moved; None: it is removed."""
    now: datetime
    """Nothing is moved beyond it."""
    symbols: Sequence[str] = ()
    """Only of these; empty: of all. With some, runs stay as they are, since they also observed other symbols."""
    runs: Sequence[int] = ()
    """Only what these observed; empty: whatever observed it."""

    def moved(self, at: str) -> str | None:
        """Return what becomes of an instant; None: it is removed. Raise Uncorrectable for one that cannot be."""
        if self.shift is None:
            return None
        try:
            moved = instants.from_text(at) + self.shift
        except OverflowError:
            moved = _LATEST if self.shift > timedelta() else _FIRST
        if not _EARLIEST <= moved <= self.now:
            would_be = "in the future" if moved > self.now else f"before {_EARLIEST.year}"
            problem = f"what is dated {instants.text_for_people(at)} would be {would_be}"
            raise Uncorrectable(problem, remedy="check the shift, and its sign")
        return instants.to_text(moved)

    @property
    def bounds(self) -> Mapping[str, Any]:
        """The parameters of its queries."""
        return {
            "since": instants.to_text(self.since),
            "until": instants.to_text(self.until),
            "by": f"{(self.shift or timedelta()).total_seconds():+.3f} seconds",
            "symbols": json.dumps(list(self.symbols)) if self.symbols else None,
            "runs": json.dumps(list(self.runs)) if self.runs else None,
        }


@dataclass(frozen=True, slots=True)
class CorrectedSymbol:
    """What a correction does to the observations of a symbol. Instants are text."""

    symbol: str
    snapshots: int
    """How many of the observations began a snapshot."""
    confirmations: int
    uncovered: int
    """How many found the symbol not covered."""
    first: str
    last: str
    first_moved: str | None
    last_moved: str | None

    @property
    def observations(self) -> int:
        """How many of its observations it is about."""
        return self.snapshots + self.confirmations + self.uncovered


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a correction does, or has done."""

    symbols: Sequence[CorrectedSymbol]
    runs: int
    outcomes: int
    is_all: bool = False
    """Whether it is every observation of the record."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to correct."""
        return not (self.symbols or self.runs or self.outcomes)


class _Selected(NamedTuple):
    symbol: str
    at: str
    kind: str


_IN = "BETWEEN :since AND :until"
_SELECTED = f"""
    SELECT symbol, at, kind FROM (
        SELECT symbols.symbol, observed_at AS at, 'snapshots' AS kind FROM symbols CROSS JOIN snapshots
         WHERE snapshots.symbol = symbols.symbol AND observed_at {_IN}
         UNION ALL
        SELECT symbols.symbol, at, 'looks' FROM symbols CROSS JOIN looks
         WHERE looks.symbol = symbols.symbol AND at {_IN}
         UNION ALL
        SELECT symbols.symbol, at, 'uncovered' FROM symbols CROSS JOIN uncovered
         WHERE uncovered.symbol = symbols.symbol AND at {_IN}) AS found
     WHERE (:symbols IS NULL OR symbol IN (SELECT value FROM json_each(:symbols)))
       AND (:runs IS NULL OR EXISTS (SELECT 1 FROM json_each(:runs) AS run JOIN outcomes ON run_id = run.value
                                      WHERE outcomes.symbol = found.symbol AND outcomes.at = found.at))
     ORDER BY symbol, at, kind
"""
_ALL = """
    SELECT (SELECT count(*) FROM snapshots) + (SELECT count(*) FROM looks) + (SELECT count(*) FROM uncovered)
"""
_SEEN, _GONE = (
    "SELECT observed_at FROM snapshots WHERE symbol = :symbol UNION ALL SELECT at FROM looks WHERE symbol = :symbol",
    "SELECT at FROM uncovered WHERE symbol = :symbol",
)


def preview(db: sqlite3.Connection, correction: Correction) -> Corrected:
    """Return what a correction would do. Raise Uncorrectable."""
    symbols = []
    for symbol, of in groupby(map(_Selected._make, db.execute(_SELECTED, correction.bounds).fetchall()), _symbol):
        selected = list(of)
        symbols.append(_summary(correction, selected))
        for query, kinds in ((_SEEN, ("snapshots", "looks")), (_GONE, ("uncovered",))):
            before = [at for (at,) in db.execute(query, {"symbol": symbol})]
            _corrected(correction, symbol, before, {one.at for one in selected if one.kind in kinds})
    selected_all = sum(one.observations for one in symbols)
    is_all = selected_all > 0 and (selected_all,) == db.execute(_ALL).fetchone()
    if correction.symbols:
        return Corrected(symbols, runs=0, outcomes=0, is_all=is_all)
    runs, outcomes = count_runs(db, correction.bounds, is_moved=correction.shift is not None)
    return Corrected(symbols, runs, outcomes, is_all)


def refuse_damaged(db: sqlite3.Connection, symbols: Iterable[str]) -> None:
    """Raise Trouble if what is stored of a symbol is damaged: written again, it would pass as sound.

    The connection reads text with `damaged_text`.
    """
    damages = Damages()
    observations = Observations(db, damages)
    for _, different in check_layouts(db):
        observations.bad_parts.update(different)
    for symbol in symbols:
        observations.check(symbol)
    observations.add_bad_parts()
    for damage in damages:
        found = f"{damage.table}: {count(damage.rows, 'row')} {damage.problem}: {damage.keys[0]}"
        raise Trouble(found, remedy=_DAMAGED)


_DAMAGED = "pipeline doctor --deep says what to do about damage"


def _symbol(one: _Selected) -> str:
    return one.symbol


def _summary(correction: Correction, selected: Sequence[_Selected]) -> CorrectedSymbol:
    kinds = [one.kind for one in selected]
    first, last = selected[0].at, selected[-1].at
    return CorrectedSymbol(
        selected[0].symbol, kinds.count("snapshots"), kinds.count("looks"), kinds.count("uncovered"),
        first, last, correction.moved(first), correction.moved(last),
    )  # fmt: skip


def _corrected(correction: Correction, symbol: str, before: Iterable[str], selected: set[str]) -> dict[str, str]:
    """Return the instants that observations of one kind have afterwards, each with the one that it had.

    Raise Uncorrectable where two would have the same.
    """
    after: dict[str, str] = {}
    both = []
    for at in sorted(before, key=lambda at: (at in selected, at)):
        now = correction.moved(at) if at in selected else at
        if now is not None and now in after:
            both.append(now)
        elif now is not None:
            after[now] = at
    if both:
        more = f", and at {count(len(both) - 1, 'other instant')}" if len(both) > 1 else ""
        raise Uncorrectable(
            f"{symbol} has an observation at {instants.text_for_people(both[0])} already{more}: two at one instant"
            " cannot be kept",
            remedy="use another shift, or remove what is wrong",
        )
    return after


async def correct(db: Connection, corrections: Sequence[Correction]) -> Sequence[None]:
    """Do what corrections say, within the transaction of the caller.

    Raise Uncorrectable, and Trouble for what is damaged; then nothing is to be committed.
    """
    for one in corrections:
        try:
            await _correct(db, one)
        except sqlite3.IntegrityError as error:  # what was read has a type that its column cannot have
            raise Trouble(f"the record is damaged: {error}", remedy=_DAMAGED) from error
    return [None] * len(corrections)


async def _correct(db: Connection, one: Correction) -> None:
    rows = await db.execute_fetchall(_SELECTED, one.bounds)
    affected = []
    for symbol, of in groupby(map(_Selected._make, rows), _symbol):
        affected.append(Symbol(symbol))
        await _correct_symbol(db, one, Symbol(symbol), list(of))
    await correct_attempts(db, one.bounds, is_moved=one.shift is not None)
    await _derive(db, affected, now=one.now)
    if not one.symbols:
        await correct_runs(db, one.bounds, is_moved=one.shift is not None, now=instants.to_text(one.now))


async def _correct_symbol(
    db: Connection, correction: Correction, symbol: Symbol, selected: Sequence[_Selected]
) -> None:
    """Write the corrected observations of a symbol."""
    gone = {one.at for one in selected if one.kind == "uncovered"}
    seen = {one.at for one in selected if one.kind != "uncovered"}
    if seen:
        before = await read_intervals(db, symbol)
        versions = {at: interval.version for interval in before for at in interval.instants()}
        after = _corrected(correction, symbol, versions, seen)
        await _write(db, symbol, before, fold([(at, versions[after[at]]) for at in sorted(after)], same_document))
    if gone:
        known = [at for (at,) in await db.execute_fetchall(_GONE, {"symbol": symbol})]
        now = _corrected(correction, symbol, known, gone)
        await db.executemany("DELETE FROM uncovered WHERE symbol = ? AND at = ?", [(symbol, at) for at in gone])
        moved = [(symbol, at) for at, old in now.items() if old in gone]
        await db.executemany("INSERT INTO uncovered (symbol, at) VALUES (?, ?)", moved)


async def _write(
    db: Connection, symbol: Symbol, before: Sequence[Interval[Version]], after: Sequence[Interval[Version]]
) -> None:
    """Write the rows of a symbol that differ."""
    stay = {*before} & {*after}
    looks_before = {at for one in before for at in one.confirmations}
    looks_after = {at for one in after for at in one.confirmations}
    changes = Changes(
        deleted_snapshots=[(symbol, one.observed_at) for one in before if one not in stay],
        deleted_looks=[(symbol, at) for at in looks_before - looks_after],
        snapshots=[snapshot_row(symbol, one) for one in after if one not in stay],
        looks=[(symbol, at) for at in sorted(looks_after - looks_before)],
    )
    await write_changes(db, changes)


async def _derive(db: Connection, symbols: Sequence[Symbol], *, now: datetime) -> None:
    """Write the states of symbols. A symbol of which nothing is left, not even an attempt, is removed."""
    rows = await db.execute_fetchall(_OBSERVED, {"symbols": json.dumps(symbols)})
    observed = {symbol for (symbol,) in rows}
    await derive_states(db, observed, noted_at=instants.to_text(now))
    unobserved = [(symbol,) for symbol in symbols if symbol not in observed]
    await db.executemany(
        "UPDATE symbols SET state = NULL, since = NULL, last_look = NULL, last_overview = NULL, next_try = NULL,"
        " snapshots = 0 WHERE symbol = ?",
        unobserved,
    )
    await db.executemany("DELETE FROM symbols WHERE symbol = ? AND last_try IS NULL", unobserved)


_OBSERVED = """
    SELECT value FROM json_each(:symbols)
     WHERE EXISTS (SELECT 1 FROM snapshots WHERE symbol = value)
        OR EXISTS (SELECT 1 FROM uncovered WHERE symbol = value)
"""
