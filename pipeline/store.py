"""The store: what every look at a symbol found, kept so that any past day can be asked for.

A snapshot is a version of a document with the interval in which we know it to have held; a look that finds the version
unchanged moves the end of that interval. All of it is written through the writer, many looks a transaction.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from aiosqlite import Connection

from pipeline import instants
from pipeline.outcome import Outcome, RunId, RunStatus, Trigger
from pipeline.overview import (
    DAILY_FIELDS,
    PROFILE_FIELDS,
    REPORTED_FIELDS,
    Overview,
    Parts,
    Symbol,
    Version,
    digest,
    equal,
    shred,
    version,
)
from pipeline.writer import Answered, Rows, Writer, inserting

UNKNOWN_AGAIN_AFTER = timedelta(days=1)
"""A symbol that the API does not cover is asked again after so long, then after twice as long each time ..."""
DEFERRED_AT_ONCE = 10_000
"""Rows made at a time, so that a list of a hundred thousand does not lie in memory twice."""
UNKNOWN_AGAIN_AT_MOST = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Ended:
    """How asking for one symbol ended in a run, when, and after how many requests."""

    run: RunId
    symbol: Symbol
    outcome: Outcome
    attempts: int
    at: datetime
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class _Look:
    """One overview, ready to be written."""

    run: RunId
    symbol: Symbol
    attempts: int
    at: str
    parts: Parts
    version: Version


@dataclass(frozen=True, slots=True)
class _Kept:
    """A snapshot in the file."""

    observed_at: str
    confirmed_at: str
    version: Version


@dataclass(frozen=True, slots=True)
class Tally:
    """How a run ended, in numbers."""

    status: RunStatus
    counts: Mapping[Outcome, int]
    requests: int
    seconds: float
    detail: str | None


# SQL. The columns are the field catalogue's, which is a constant: no name in these texts comes from outside.


_ONCE = "ON CONFLICT (digest) DO NOTHING"
_DAILY = [field.column for field in DAILY_FIELDS]
_ADD_PROFILES = inserting("profiles", ["digest", *(field.column for field in PROFILE_FIELDS)], _ONCE)
_ADD_STATEMENTS = inserting("statements", ["digest", *(field.column for field in REPORTED_FIELDS)], _ONCE)
_ADD_LAYOUTS = inserting("layouts", ["digest", "keys"], _ONCE)
_ADD_SNAPSHOTS = inserting(
    "snapshots",
    ["symbol", "observed_at", "confirmed_at", "profile_id", "statement_id", "layout_id", *_DAILY, "extra"],
    profile_id="(SELECT id FROM profiles WHERE digest = {})",
    statement_id="(SELECT id FROM statements WHERE digest = {})",
    layout_id="(SELECT id FROM layouts WHERE digest = {})",
)
_ADD_LOOKS = inserting("looks", ["symbol", "at"])
_CONFIRM = Rows(
    3,
    "UPDATE snapshots SET confirmed_at = column3 FROM",
    "WHERE snapshots.symbol = column1 AND snapshots.observed_at = column2",
)
_ADD_OUTCOMES = inserting("outcomes", ["symbol", "run_id", "outcome", "attempts", "at", "detail"])
_COVERED = inserting(
    "symbols",
    ["symbol", "since", "last_look", "last_try", "last_outcome", "snapshots", "state"],
    """ON CONFLICT (symbol) DO UPDATE SET
        since = iif(state IS 'covered', since, excluded.since),
        state = 'covered', next_try = NULL, last_look = excluded.last_look, last_try = excluded.last_try,
        last_outcome = excluded.last_outcome, snapshots = snapshots + excluded.snapshots
     WHERE excluded.last_look >= coalesce(last_look, '')""",
)
_KEPT_COLUMNS = f"""
    snapshots.symbol, observed_at, confirmed_at, profiles.digest, statements.digest, layouts.keys, extra,
    {", ".join(_DAILY)}
"""
_KEPT_PARTS = """
      JOIN profiles ON profiles.id = profile_id
      JOIN statements ON statements.id = statement_id
      JOIN layouts ON layouts.id = layout_id
"""
_NEWEST = f"""
    SELECT {_KEPT_COLUMNS}
      FROM json_each(?) AS wanted
      JOIN snapshots ON snapshots.symbol = wanted.value AND snapshots.observed_at = (
               SELECT newest.observed_at FROM snapshots AS newest
                WHERE newest.symbol = wanted.value ORDER BY newest.observed_at DESC LIMIT 1)
      {_KEPT_PARTS}
"""
_BEFORE = f"""
    SELECT {_KEPT_COLUMNS} FROM snapshots {_KEPT_PARTS}
     WHERE snapshots.symbol = ? AND observed_at <= ? ORDER BY observed_at DESC LIMIT 1
"""
_AFTER = f"""
    SELECT {_KEPT_COLUMNS} FROM snapshots {_KEPT_PARTS}
     WHERE snapshots.symbol = ? AND observed_at > ? ORDER BY observed_at LIMIT 1
"""
_RECOUNT = """
    UPDATE symbols SET snapshots = (SELECT count(*) FROM snapshots WHERE snapshots.symbol = symbols.symbol)
     WHERE symbol = ?
"""
_UNKNOWN = """
    INSERT INTO symbols (symbol, state, since, last_look, next_try, last_try, last_outcome)
    VALUES (:symbol, 'unknown', :at, :at, :next_try, :at, 'unknown')
    ON CONFLICT (symbol) DO UPDATE SET
        since = iif(state IS 'unknown', since, excluded.since),
        state = 'unknown', next_try = excluded.next_try, last_look = excluded.last_look,
        last_try = excluded.last_try, last_outcome = 'unknown'
"""
_TRIED = """
    INSERT INTO symbols (symbol, last_try, last_outcome) VALUES (:symbol, :at, :outcome)
    ON CONFLICT (symbol) DO UPDATE SET last_try = excluded.last_try, last_outcome = excluded.last_outcome
"""


class Store:
    """Keeps what runs find."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def begin(self, trigger: Trigger, *, at: datetime, symbols: int, due: int) -> RunId:
        """Return the id of a new run, once it is written. Runs that never ended are marked as interrupted."""
        run: RunId = await self._writer.write(_begin, (trigger, instants.to_text(at), symbols, due))
        return run

    async def keep(self, run: RunId, overview: Overview, *, at: datetime, attempts: int) -> Outcome:
        """Return whether the overview was new, once it is durable: stored, or unchanged."""
        outcome: Outcome = await self._writer.write(_keep, _look(run, overview, at, attempts))
        return outcome

    def hand_over(self, run: RunId, overview: Overview, *, at: datetime, attempts: int, answered: Answered) -> None:
        """Keep the overview, without waiting: `answered` hears the outcome once it is durable, or the error."""
        self._writer.post(_keep, _look(run, overview, at, attempts), answered)

    async def note(self, ended: Ended) -> None:
        """Write how asking for a symbol ended without an overview."""
        await self._writer.write(_note, ended)

    async def defer(self, run: RunId, symbols: Iterable[Symbol], *, at: datetime, detail: str) -> int:
        """Write that these symbols were not asked, and return how many they were."""
        count: int = await self._writer.write(_defer, (run, tuple(symbols), instants.to_text(at), detail))
        return count

    async def finish(self, run: RunId, tally: Tally, *, at: datetime) -> None:
        """Write how the run ended."""
        await self._writer.write(_finish, (run, tally, instants.to_text(at)))


def _look(run: RunId, overview: Overview, at: datetime, attempts: int) -> _Look:
    parts = shred(overview)
    return _Look(run, overview.symbol, attempts, instants.to_text(at), parts, version(parts))


async def _begin(db: Connection, runs: Sequence[tuple[Trigger, str, int, int]]) -> Sequence[RunId]:
    ids = []
    for trigger, at, symbols, due in runs:
        # We hold the lock, so whoever began these has died.
        await db.execute(
            "UPDATE runs SET status = ?, finished_at = ?, detail = 'the process ended without finishing it'"
            " WHERE status = ?",
            (RunStatus.INTERRUPTED, at, RunStatus.RUNNING),
        )
        # Written while the clock was ahead: such a look would seem fresh, and hide what is seen now, until then.
        await db.execute(
            "UPDATE symbols SET last_look = NULL, last_try = NULL, next_try = NULL WHERE last_look > ? OR last_try > ?",
            (at, at),
        )
        cursor = await db.execute(
            "INSERT INTO runs (trigger, started_at, status, symbols, due) VALUES (?, ?, ?, ?, ?)",
            (trigger, at, RunStatus.RUNNING, symbols, due),
        )
        ids.append(RunId(cursor.lastrowid or 0))
    return ids


async def _finish(db: Connection, ends: Sequence[tuple[RunId, Tally, str]]) -> Sequence[None]:
    for run, tally, at in ends:
        counts = {outcome.value: tally.counts.get(outcome, 0) for outcome in Outcome}
        await db.execute(
            """
            UPDATE runs SET finished_at = :at, status = :status, stored = :stored, unchanged = :unchanged,
                   unknown = :unknown, failed = :failed, rejected = :rejected, deferred = :deferred,
                   requests = :requests, seconds = :seconds, detail = :detail
             WHERE id = :run
            """,
            {
                "run": run,
                "at": at,
                "status": tally.status,
                "requests": tally.requests,
                "seconds": round(tally.seconds, 3),
                "detail": tally.detail,
                **counts,
            },
        )
    return [None] * len(ends)


async def _note(db: Connection, ends: Sequence[Ended]) -> Sequence[None]:
    for ended in ends:
        row = {"symbol": ended.symbol, "at": instants.to_text(ended.at), "outcome": ended.outcome}
        if ended.outcome is Outcome.UNKNOWN:
            await db.execute(_UNKNOWN, {**row, "next_try": await _next_try(db, ended)})
        elif ended.attempts:
            await db.execute(_TRIED, row)
    await _ADD_OUTCOMES.write(
        db, [(e.symbol, e.run, e.outcome.value, e.attempts, instants.to_text(e.at), e.detail) for e in ends]
    )
    return [None] * len(ends)


async def _next_try(db: Connection, ended: Ended) -> str:
    """Return when to ask again: after twice as long as the last time, while it is one stretch of not being covered."""
    row = await _one(db, "SELECT state, last_look, next_try FROM symbols WHERE symbol = ?", (ended.symbol,))
    pause = UNKNOWN_AGAIN_AFTER
    if row is not None and row[0] == "unknown":
        pause = min(2 * (instants.from_text(row[2]) - instants.from_text(row[1])), UNKNOWN_AGAIN_AT_MOST)
    return instants.to_text(ended.at + pause)


async def _defer(db: Connection, deferred: Sequence[tuple[RunId, tuple[Symbol, ...], str, str]]) -> Sequence[int]:
    for run, symbols, at, detail in deferred:
        for start in range(0, len(symbols), DEFERRED_AT_ONCE):
            some = symbols[start : start + DEFERRED_AT_ONCE]
            rows = [(symbol, run, Outcome.DEFERRED.value, 0, at, detail) for symbol in some]
            await _ADD_OUTCOMES.write(db, rows)
    return [len(symbols) for _, symbols, _, _ in deferred]


# Looks


async def _keep(db: Connection, looks: Sequence[_Look]) -> Sequence[Outcome]:
    """Write a turn's looks: those that come after all that is kept of their symbol at once, the odd late one alone."""
    newest = await _newest(db, [look.symbol for look in looks])
    outcomes: dict[int, Outcome] = {}
    timely: dict[Symbol, int] = {}
    for number, look in enumerate(looks):
        kept = newest.get(look.symbol)
        if look.symbol not in timely and (kept is None or look.at > kept.confirmed_at):
            timely[look.symbol] = number
            same = kept is not None and equal(kept.version, look.version)
            outcomes[number] = Outcome.UNCHANGED if same else Outcome.STORED
    await _add(db, [looks[number] for number, outcome in outcomes.items() if outcome is Outcome.STORED])
    same_looks = [looks[number] for number, outcome in outcomes.items() if outcome is Outcome.UNCHANGED]
    await _confirm(db, [(look, newest[look.symbol]) for look in same_looks])
    await _COVERED.write(db, [_covered(looks[number], outcome) for number, outcome in outcomes.items()])
    for number, look in enumerate(looks):
        if number not in outcomes:
            outcomes[number] = await _keep_late(db, look)
    in_order = [outcomes[number] for number in range(len(looks))]
    ends = zip(looks, in_order, strict=True)
    await _ADD_OUTCOMES.write(db, [(one.symbol, one.run, end.value, one.attempts, one.at, None) for one, end in ends])
    return in_order


def _covered(look: _Look, outcome: Outcome) -> tuple[Any, ...]:
    return look.symbol, look.at, look.at, look.at, outcome.value, int(outcome is Outcome.STORED), "covered"


async def _newest(db: Connection, symbols: Sequence[Symbol]) -> dict[str, _Kept]:
    rows = await db.execute_fetchall(_NEWEST, (json.dumps(symbols),))
    return {row[0]: _kept(row) for row in rows}


def _kept(row: Any) -> _Kept:
    _, observed_at, confirmed_at, profile, statement, keys, extra, *daily = row
    return _Kept(observed_at, confirmed_at, Version(profile, statement, tuple(daily), tuple(json.loads(keys)), extra))


async def _add(db: Connection, looks: Sequence[_Look]) -> None:
    await _add_parts(db, looks)
    await _ADD_SNAPSHOTS.write(db, [_row(look, look.at, look.at) for look in looks])


async def _add_parts(db: Connection, looks: Sequence[_Look]) -> None:
    await _ADD_PROFILES.write(db, [(look.version.profile, *look.parts.profile) for look in looks])
    await _ADD_STATEMENTS.write(db, [(look.version.statement, *look.parts.reported) for look in looks])
    layouts = {look.parts.layout for look in looks}
    await _ADD_LAYOUTS.write(db, [(_layout(keys), json.dumps(keys, ensure_ascii=False)) for keys in layouts])


@lru_cache(maxsize=64)
def _layout(keys: tuple[str, ...]) -> bytes:
    """Return the digest of a layout, of which there are a dozen in all."""
    return digest(keys)


def _row(look: _Look, observed_at: str, confirmed_at: str) -> tuple[Any, ...]:
    made = look.version
    return (
        look.symbol, observed_at, confirmed_at,
        made.profile, made.statement, _layout(made.layout), *made.daily, made.extra,
    )  # fmt: skip


async def _confirm(db: Connection, found: Sequence[tuple[_Look, _Kept]]) -> None:
    await _ADD_LOOKS.write(db, [(look.symbol, look.at) for look, _ in found])
    await _CONFIRM.write(db, [(look.symbol, kept.observed_at, look.at) for look, kept in found])


async def _keep_late(db: Connection, look: _Look) -> Outcome:
    """Put a look among those already kept, so that the record is the one it would be had they come in order.

    It happens when the wall clock was set back, and when recordings are imported.
    """
    before = await _snapshot(db, _BEFORE, look)
    if before is not None:
        if await _is_taken(db, look, before):
            return Outcome.UNCHANGED if equal(before.version, look.version) else Outcome.REJECTED
        if equal(before.version, look.version):
            await _ADD_LOOKS.write(db, [(look.symbol, look.at)])
            await _CONFIRM.write(db, [(look.symbol, before.observed_at, max(before.confirmed_at, look.at))])
            await _COVERED.write(db, [_covered(look, Outcome.UNCHANGED)])
            return Outcome.UNCHANGED
    await _add_parts(db, [look])
    if before is not None and before.confirmed_at > look.at:
        await _split(db, look, before)
        outcome = Outcome.STORED
    else:
        outcome = await _join(db, look, await _snapshot(db, _AFTER, look))
    await _COVERED.write(db, [_covered(look, outcome)])
    await db.execute(_RECOUNT, (look.symbol,))
    return outcome


async def _is_taken(db: Connection, look: _Look, before: _Kept) -> bool:
    """Whether a document was kept for this very instant."""
    if before.observed_at == look.at:
        return True
    return await _one(db, "SELECT 1 FROM looks WHERE symbol = ? AND at = ?", (look.symbol, look.at)) is not None


async def _split(db: Connection, look: _Look, before: _Kept) -> None:
    """Put a version in the middle of another's interval: the next look at the other becomes a snapshot of its own."""
    row = await _one(db, "SELECT min(at) FROM looks WHERE symbol = ? AND at > ?", (look.symbol, look.at))
    again = str(row[0])
    resumed = replace(look, version=before.version)
    await db.execute("DELETE FROM looks WHERE symbol = ? AND at = ?", (look.symbol, again))
    row = await _one(
        db,
        "SELECT max(at) FROM looks WHERE symbol = ? AND at BETWEEN ? AND ?",
        (look.symbol, before.observed_at, look.at),
    )
    held_until = (row and row[0]) or before.observed_at
    await _CONFIRM.write(db, [(look.symbol, before.observed_at, held_until)])
    await _ADD_SNAPSHOTS.write(db, [_row(look, look.at, look.at), _row(resumed, again, before.confirmed_at)])


async def _join(db: Connection, look: _Look, after: _Kept | None) -> Outcome:
    """Add a version before the next one; if it is the next one, that began earlier than was known."""
    if after is None or not equal(after.version, look.version):
        await _ADD_SNAPSHOTS.write(db, [_row(look, look.at, look.at)])
        return Outcome.STORED
    await db.execute("DELETE FROM snapshots WHERE symbol = ? AND observed_at = ?", (look.symbol, after.observed_at))
    await _ADD_SNAPSHOTS.write(db, [_row(look, look.at, after.confirmed_at)])
    await _ADD_LOOKS.write(db, [(look.symbol, after.observed_at)])
    return Outcome.UNCHANGED


async def _snapshot(db: Connection, query: str, look: _Look) -> _Kept | None:
    row = await _one(db, query, (look.symbol, look.at))
    return None if row is None else _kept(row)


async def _one(db: Connection, query: str, parameters: tuple[Any, ...]) -> Any:
    async with db.execute(query, parameters) as cursor:
        return await cursor.fetchone()
