"""Runs: writes the beginning of a run, its observations, how each symbol ended, and its end."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from aiosqlite import Connection

from pipeline import instants
from pipeline.model.document import Overview
from pipeline.model.outcomes import Outcome, RunId, RunResult, RunStatus, SymbolResult, Trigger
from pipeline.model.slots import NO_SYMBOL, Slot
from pipeline.model.symbols import Symbol, SymbolList
from pipeline.store.snapshots import Covered, Observation, covered, store_observations
from pipeline.store.symbol_states import note_attempts, store_uncovered
from pipeline.store.universe import record_list
from pipeline.store.writer import OnDone, Writer, bulk_insert

ABANDONED = "the process ended without finishing it"
"""The detail of a run that never ended."""
_ROWS_AT_ONCE = 10_000
"""Rows made at a time, so that a list of a hundred thousand symbols is not in memory twice."""


class _Begun(NamedTuple):
    trigger: Trigger
    at: str
    symbols: int
    due: int
    schedule: str | None
    scheduled_for: str | None


class _Answer(NamedTuple):
    run: RunId
    attempts: int
    observation: Covered


class _Deferred(NamedTuple):
    run: RunId
    symbols: tuple[Symbol, ...]
    at: str
    detail: str


class _Finished(NamedTuple):
    run: RunId
    result: RunResult
    at: str


class Store:
    """Stores what runs and imports bring. Everything it returns or reports is durable; else it is a StorageError."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def begin(
        self,
        trigger: Trigger,
        *,
        at: datetime,
        symbols: int,
        due: int,
        schedule: str | None = None,
        scheduled_for: datetime | None = None,
    ) -> RunId:
        """Return the id of a new run. Mark runs that never ended as interrupted: the caller holds the lock."""
        fire_time = None if scheduled_for is None else instants.to_text(scheduled_for)
        begun = _Begun(trigger, instants.to_text(at), symbols, due, schedule, fire_time)
        run: RunId = await self._writer.write(_begin, begun)
        return run

    async def record_list(self, listed: SymbolList, *, at: datetime) -> None:
        """Store that a configuration lists these symbols."""
        await record_list(self._writer, listed, at=at)

    async def ping(self) -> None:
        """Return once the file has taken a transaction, in which nothing was written."""
        await self._writer.write(_write_nothing, None)

    def hand_over(
        self,
        run: RunId,
        overview: Overview,
        *,
        at: datetime,
        attempts: int,
        on_done: OnDone,
        slot: Slot | None = None,  # noqa: ARG002 - for engines that know an answer by its slot
    ) -> None:
        """Store an overview without waiting for it. `on_done` is called with its outcome, or with the error."""
        self._writer.post(_store_answers, _Answer(run, attempts, covered(overview, at)), on_done)

    async def add(self, observations: Sequence[Observation]) -> list[Outcome]:
        """Store observations from any time, in one transaction, and return the outcome of each, in order.

        Of two documents for one instant the first stays, and the other is rejected.
        """
        outcomes: list[Outcome] = await self._writer.write(_store_chunks, observations)
        return outcomes

    async def has_snapshots(self, symbol: Symbol) -> bool:
        """Return whether the symbol has a snapshot."""
        has: bool = await self._writer.write(_has_snapshots, symbol)
        return has

    async def note(self, result: SymbolResult) -> None:
        """Store how a symbol ended for which no overview came."""
        await self._writer.write(_note, result)

    async def defer(self, run: RunId, symbols: Iterable[Symbol], *, at: datetime, detail: str) -> int:
        """Store that these symbols were not requested, and return their number."""
        count: int = await self._writer.write(_defer, _Deferred(run, tuple(symbols), instants.to_text(at), detail))
        return count

    async def finish(self, run: RunId, result: RunResult, *, at: datetime) -> None:
        """Store how the run ended."""
        await self._writer.write(_finish, _Finished(run, result, instants.to_text(at)))


async def close_abandoned_runs(db: Connection, status: RunStatus, detail: str, *, at: str) -> None:
    """Give every run that counts as running a status, and the counts of its outcomes. The caller holds the lock.

    Its requests are those that it is known to have sent.
    """
    counts = ", ".join(
        f"{outcome} = (SELECT count(*) FROM outcomes WHERE run_id = runs.id AND outcome = '{outcome}')"
        for outcome in Outcome
    )
    await db.execute(
        f"UPDATE runs SET status = ?, finished_at = ?, detail = ?, {counts},"
        " uncovered = (SELECT count(*) FROM outcomes JOIN symbols USING (symbol)"
        f" WHERE run_id = runs.id AND outcome = '{Outcome.UNKNOWN}' AND snapshots > 0),"
        " requests = (SELECT count(*) FROM requests WHERE run_id = runs.id AND outcome IS NOT 'unsent'"
        f" AND symbol <> '{NO_SYMBOL}')"
        f" WHERE status = '{RunStatus.RUNNING}'",
        (status, at, detail),
    )


async def _write_nothing(_db: Connection, items: Sequence[None]) -> Sequence[None]:
    return items


async def _has_snapshots(db: Connection, symbols: Sequence[Symbol]) -> Sequence[bool]:
    query = "SELECT symbol FROM symbols WHERE snapshots > 0 AND symbol IN (SELECT value FROM json_each(?))"
    having = {symbol for (symbol,) in await db.execute_fetchall(query, (json.dumps(symbols),))}
    return [symbol in having for symbol in symbols]


async def _begin(db: Connection, begun: Sequence[_Begun]) -> Sequence[RunId]:
    ids = []
    for one in begun:
        await close_abandoned_runs(db, RunStatus.INTERRUPTED, ABANDONED, at=one.at)
        # Written while the clock was ahead: such a symbol would seem fresh until then, whatever is observed now.
        await db.execute(
            """
            UPDATE symbols SET last_look = NULL, last_try = NULL, next_try = NULL,
                   last_overview = iif(last_overview > :at, NULL, last_overview)
             WHERE last_look > :at OR last_try > :at
            """,
            {"at": one.at},
        )
        cursor = await db.execute(
            "INSERT INTO runs (trigger, started_at, status, symbols, due, schedule, scheduled_for)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (one.trigger, one.at, RunStatus.RUNNING, one.symbols, one.due, one.schedule, one.scheduled_for),
        )
        ids.append(RunId(cursor.lastrowid or 0))
    return ids


async def _finish(db: Connection, finished: Sequence[_Finished]) -> Sequence[None]:
    for run, result, at in finished:
        counts = {outcome.value: result.counts.get(outcome, 0) for outcome in Outcome}
        await db.execute(
            """
            UPDATE runs SET finished_at = :at, status = :status, stored = :stored, unchanged = :unchanged,
                   unknown = :unknown, failed = :failed, rejected = :rejected, deferred = :deferred,
                   requests = :requests, seconds = :seconds, detail = :detail, symbols = coalesce(:symbols, symbols),
                   uncovered = :uncovered
             WHERE id = :run
            """,
            {
                "run": run,
                "at": at,
                "status": result.status,
                "requests": result.requests,
                "seconds": round(result.seconds, 3),
                "detail": result.detail,
                "symbols": result.symbols,
                "uncovered": result.uncovered,
                **counts,
            },
        )
        # Its slots are in the ledger by now: they were posted before.
        await db.execute("DELETE FROM in_flight WHERE run_id = ?", (run,))
    return [None] * len(finished)


_ADD_OUTCOMES = bulk_insert("outcomes", ["symbol", "run_id", "outcome", "attempts", "at", "detail"])


async def _note(db: Connection, results: Sequence[SymbolResult]) -> Sequence[None]:
    uncovered = [(one.symbol, instants.to_text(one.at)) for one in results if one.outcome is Outcome.UNKNOWN]
    # A long run, or one during which the machine slept, notes what it finds days after it began.
    await store_uncovered(db, uncovered, noted_at=max((at for _, at in uncovered), default=""))
    await note_attempts(
        db,
        [
            (one.symbol, instants.to_text(one.at), one.outcome)
            for one in results
            if one.attempts and one.outcome is not Outcome.UNKNOWN
        ],
    )
    await _ADD_OUTCOMES.write(
        db,
        [
            (one.symbol, one.run, one.outcome.value, one.attempts, instants.to_text(one.at), one.detail)
            for one in results
        ],
    )
    return [None] * len(results)


async def _defer(db: Connection, deferred: Sequence[_Deferred]) -> Sequence[int]:
    for run, symbols, at, detail in deferred:
        for start in range(0, len(symbols), _ROWS_AT_ONCE):
            chunk = symbols[start : start + _ROWS_AT_ONCE]
            await _ADD_OUTCOMES.write(db, [(symbol, run, Outcome.DEFERRED.value, 0, at, detail) for symbol in chunk])
    return [len(one.symbols) for one in deferred]


async def _store_answers(db: Connection, answers: Sequence[_Answer]) -> Sequence[Outcome]:
    """Store the overviews of a batch, and how each symbol ended in its run."""
    outcomes = await store_observations(db, [one.observation for one in answers])
    await _ADD_OUTCOMES.write(
        db,
        [
            (one.observation.symbol, one.run, outcome.value, one.attempts, one.observation.at, None)
            for one, outcome in zip(answers, outcomes, strict=True)
        ],
    )
    return outcomes


async def _store_chunks(db: Connection, chunks: Sequence[Sequence[Observation]]) -> Sequence[list[Outcome]]:
    return [await store_observations(db, chunk) for chunk in chunks]
