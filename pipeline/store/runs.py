"""Runs and their outcomes, written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from aiosqlite import Connection

from pipeline import instants
from pipeline.model.document import Overview
from pipeline.model.outcomes import Outcome, RunId, RunStatus, Trigger
from pipeline.model.symbols import Symbol
from pipeline.store.snapshots import Look, Observation, look, settle
from pipeline.store.symbol_states import TRIED, uncover
from pipeline.store.writer import OnDone, Writer, bulk_insert

DEFERRED_AT_ONCE = 10_000
"""BulkStatement made at a time, so that a list of a hundred thousand does not lie in memory twice."""


ABANDONED = "the process ended without finishing it"


@dataclass(frozen=True, slots=True)
class SymbolResult:
    """How asking for one symbol ended in a run, when, and after how many requests."""

    run: RunId
    symbol: Symbol
    outcome: Outcome
    attempts: int
    at: datetime
    detail: str | None = None


class _Answer(NamedTuple):
    """A look that a run took."""

    run: RunId
    attempts: int
    look: Look


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended, in numbers."""

    status: RunStatus
    counts: Mapping[Outcome, int]
    requests: int
    seconds: float
    detail: str | None
    symbols: int | None = None
    """How many symbols it was about, where that was not known when it began."""


_ADD_OUTCOMES = bulk_insert("outcomes", ["symbol", "run_id", "outcome", "attempts", "at", "detail"])


class Store:
    """Keeps what runs find."""

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
        """Return the id of a new run, once it is written. Runs that never ended are marked as interrupted."""
        fire_time = None if scheduled_for is None else instants.to_text(scheduled_for)
        begun = (trigger, instants.to_text(at), symbols, due, schedule, fire_time)
        run: RunId = await self._writer.write(_begin, begun)
        return run

    async def ping(self) -> None:
        """Return once the file has taken a transaction, in which nothing was written."""
        await self._writer.write(_nothing, None)

    async def keep(self, run: RunId, overview: Overview, *, at: datetime, attempts: int) -> Outcome:
        """Return whether the overview was new, once it is durable: stored, or unchanged."""
        outcome: Outcome = await self._writer.write(_keep, _Answer(run, attempts, look(overview, at)))
        return outcome

    def hand_over(self, run: RunId, overview: Overview, *, at: datetime, attempts: int, on_done: OnDone) -> None:
        """Keep the overview, without waiting: `answered` hears the outcome once it is durable, or the error."""
        self._writer.post(_keep, _Answer(run, attempts, look(overview, at)), on_done)

    async def add(self, observations: Sequence[Observation]) -> list[Outcome]:
        """Return what became of each observation, made whenever, once all are durable, in one transaction.

        The record is the one it would be had they come in order. Of two documents for one instant the first stays, and
        the other is rejected.
        """
        outcomes: list[Outcome] = await self._writer.write(_add_all, observations)
        return outcomes

    async def note(self, ended: SymbolResult) -> None:
        """Write how asking for a symbol ended without an overview."""
        await self._writer.write(_note, ended)

    async def defer(self, run: RunId, symbols: Iterable[Symbol], *, at: datetime, detail: str) -> int:
        """Write that these symbols were not asked, and return how many they were."""
        count: int = await self._writer.write(_defer, (run, tuple(symbols), instants.to_text(at), detail))
        return count

    async def finish(self, run: RunId, tally: RunResult, *, at: datetime) -> None:
        """Write how the run ended."""
        await self._writer.write(_finish, (run, tally, instants.to_text(at)))


async def close_abandoned_runs(db: Connection, status: RunStatus, detail: str, *, at: str) -> None:
    """Give the runs that still count as under way, and are not, a status, and the counts of what came of them."""
    counts = ", ".join(
        f"{outcome} = (SELECT count(*) FROM outcomes WHERE run_id = runs.id AND outcome = '{outcome}')"
        for outcome in Outcome
    )
    await db.execute(
        f"UPDATE runs SET status = ?, finished_at = ?, detail = ?, {counts},"
        " requests = (SELECT count(*) FROM requests WHERE run_id = runs.id AND outcome IS NOT 'unsent')"
        f" WHERE status = '{RunStatus.RUNNING}'",
        (status, at, detail),
    )


async def _nothing(_db: Connection, asked: Sequence[None]) -> Sequence[None]:
    return asked


async def _begin(
    db: Connection, runs: Sequence[tuple[Trigger, str, int, int, str | None, str | None]]
) -> Sequence[RunId]:
    ids = []
    for trigger, at, symbols, due, schedule, scheduled_for in runs:
        # We hold the lock, so whoever began these has died.
        await close_abandoned_runs(db, RunStatus.INTERRUPTED, ABANDONED, at=at)
        # Written while the clock was ahead: such a look would seem fresh, and hide what is seen now, until then.
        await db.execute(
            "UPDATE symbols SET last_look = NULL, last_try = NULL, next_try = NULL WHERE last_look > ? OR last_try > ?",
            (at, at),
        )
        cursor = await db.execute(
            "INSERT INTO runs (trigger, started_at, status, symbols, due, schedule, scheduled_for)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (trigger, at, RunStatus.RUNNING, symbols, due, schedule, scheduled_for),
        )
        ids.append(RunId(cursor.lastrowid or 0))
    return ids


async def _finish(db: Connection, ends: Sequence[tuple[RunId, RunResult, str]]) -> Sequence[None]:
    for run, tally, at in ends:
        counts = {outcome.value: tally.counts.get(outcome, 0) for outcome in Outcome}
        await db.execute(
            """
            UPDATE runs SET finished_at = :at, status = :status, stored = :stored, unchanged = :unchanged,
                   unknown = :unknown, failed = :failed, rejected = :rejected, deferred = :deferred,
                   requests = :requests, seconds = :seconds, detail = :detail, symbols = coalesce(:symbols, symbols)
             WHERE id = :run
            """,
            {
                "run": run,
                "at": at,
                "status": tally.status,
                "requests": tally.requests,
                "seconds": round(tally.seconds, 3),
                "detail": tally.detail,
                "symbols": tally.symbols,
                **counts,
            },
        )
    return [None] * len(ends)


async def _note(db: Connection, ends: Sequence[SymbolResult]) -> Sequence[None]:
    gone = [(e.symbol, instants.to_text(e.at)) for e in ends if e.outcome is Outcome.UNKNOWN]
    await uncover(db, gone, noted_at=max((at for _, at in gone), default=""))
    for ended in ends:
        if ended.attempts and ended.outcome is not Outcome.UNKNOWN:
            row = {"symbol": ended.symbol, "at": instants.to_text(ended.at), "outcome": ended.outcome}
            await db.execute(TRIED, row)
    await _ADD_OUTCOMES.write(
        db, [(e.symbol, e.run, e.outcome.value, e.attempts, instants.to_text(e.at), e.detail) for e in ends]
    )
    return [None] * len(ends)


async def _defer(db: Connection, deferred: Sequence[tuple[RunId, tuple[Symbol, ...], str, str]]) -> Sequence[int]:
    for run, symbols, at, detail in deferred:
        for start in range(0, len(symbols), DEFERRED_AT_ONCE):
            some = symbols[start : start + DEFERRED_AT_ONCE]
            rows = [(symbol, run, Outcome.DEFERRED.value, 0, at, detail) for symbol in some]
            await _ADD_OUTCOMES.write(db, rows)
    return [len(symbols) for _, symbols, _, _ in deferred]


# Looks


async def _keep(db: Connection, answers: Sequence[_Answer]) -> Sequence[Outcome]:
    """Write a turn's answers, and how each symbol ended in its run."""
    outcomes = await settle(db, [answer.look for answer in answers])
    ends = zip(answers, outcomes, strict=True)
    await _ADD_OUTCOMES.write(
        db, [(one.look.symbol, one.run, end.value, one.attempts, one.look.at, None) for one, end in ends]
    )
    return outcomes


async def _add_all(db: Connection, chunks: Sequence[Sequence[Observation]]) -> Sequence[list[Outcome]]:
    results = []
    for chunk in chunks:
        kept = iter(await settle(db, [one.look for one in chunk if one.look is not None]))
        await uncover(db, [(one.symbol, one.at) for one in chunk if one.look is None])
        results.append([Outcome.UNKNOWN if one.look is None else next(kept) for one in chunk])
    return results
