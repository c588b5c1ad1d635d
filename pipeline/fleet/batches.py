"""Batches: what one job does. Procrastinate hands out jobs; what is to be done, PostgreSQL's tables say.

A job may come again, and two members may even be at one batch: no symbol is requested twice all the same.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from pipeline.api.errors import KeyRefused, NotInPlan, QuotaEnded
from pipeline.clock import Clock
from pipeline.collect.active_run import ActiveRun, OnOutcome
from pipeline.collect.endings import decisive_reason, ending, explanation
from pipeline.collect.fetch import Fetch, OnRequest
from pipeline.collect.halt import INTERRUPT_GRACE, Halt, Interrupted
from pipeline.collect.order import Source
from pipeline.collect.ports import Engine
from pipeline.collect.retry import RetryPolicy
from pipeline.fleet.endings import end_runs
from pipeline.fleet.pool import Pool, fetch, now
from pipeline.model.outcomes import RunId
from pipeline.model.symbols import Symbol
from pipeline.store.database import StorageError

ASIDE = timedelta(minutes=1)
"""How long a member leaves jobs to others that have a key with quota, when its own have none."""
_AGAIN = timedelta(seconds=5)
"""Before a batch is looked at again, at the latest, whose symbols other members are at, or that could not be stored."""


class Later(Exception):
    """The rest of a batch is for later: a job for it is to come at an instant of PostgreSQL's clock."""

    def __init__(self, at: datetime) -> None:
        super().__init__(at)
        self.at = at


@dataclass(frozen=True, slots=True)
class _Batch:
    run: RunId
    number: int
    is_halted: bool
    symbols: Sequence[Symbol]
    """What is left of it."""


class Batches:
    """Does batches with what this process has: its keys, its way to the API, and its log."""

    def __init__(
        self,
        pool: Pool,
        engine: Engine,
        source: Source,
        *,
        clock: Clock,
        on_request: OnRequest = lambda _outcome, _seconds: None,
        on_outcome: OnOutcome = lambda _symbol, _outcome, _detail: None,
        on_change: Callable[[], None] = lambda: None,
        step_aside: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_change` is called when a batch begins or ends; `step_aside` when others are to have the jobs."""
        self.active: dict[ActiveRun, Halt] = {}
        """The batches under way."""
        self.failure: StorageError | None = None
        """Why the last batch could not be stored, if so."""
        self._pool = pool
        self._engine = engine
        self._source = source
        self._clock = clock
        self._on_request = on_request
        self._on_outcome = on_outcome
        self._on_change = on_change
        self._step_aside = step_aside
        self._is_stopping = False
        self._log = structlog.get_logger()

    @property
    def refusals(self) -> list[str]:
        """Which of this member's keys the API refuses, and why, one line each."""
        return [f"the API refused the key {name}: {why}" for name, why in self._engine.slots.refusals.items()]

    async def do(self, run: int, number: int) -> None:
        """Do what is left of a batch. Raise Later if then something still is, and FleetError."""
        batch = await self._read(run, number)
        if batch is None:
            return
        if self._is_stopping:
            raise Later(await now(self._pool))
        if batch.symbols and not batch.is_halted:
            await self._collect(batch)
        await self._end(batch)

    async def check(self) -> None:
        """Halt the batches whose run has ended, or is to end. Raise FleetError."""
        ids = [active.id for active in self.active]
        if not ids:
            return
        over = {run for (run,) in await fetch(self._pool, _OVER, ids)}
        for active, halt in self.active.items():
            if active.id in over and not halt.reasons:
                halt(Interrupted(f"run {active.id} was ended by another member"))

    def stop(self) -> None:
        """Begin no batch any more. Requests that are out may finish within `INTERRUPT_GRACE`; others do the rest."""
        self._is_stopping = True
        for active, halt in self.active.items():
            halt(Interrupted("this member was stopped"))
            asyncio.get_running_loop().call_later(INTERRUPT_GRACE.total_seconds(), active.cancel_requests)

    async def _read(self, run: int, number: int) -> _Batch | None:
        """Return a batch; None if it is done, or its run has ended."""
        rows = await fetch(self._pool, _BATCH, run, number, run, number)
        if not rows:
            return None
        is_halted, symbols = rows[0]
        return _Batch(RunId(run), number, is_halted, [Symbol(symbol) for symbol in symbols])

    async def _collect(self, batch: _Batch) -> None:
        """Request what is left of a batch. Raise Later if others are to have the rest, or nobody for now."""
        halt = Halt()
        fetcher = Fetch(
            self._engine.request,
            self._engine.slots,
            run=batch.run,
            policy=RetryPolicy(self._source.attempts),
            timeout=self._source.timeout,
            halt=halt,
            clock=self._clock,
            on_request=self._on_request,
        )
        active = ActiveRun(
            batch.run,
            list(batch.symbols),
            fetch=fetcher,
            slots=self._engine.slots,
            results=self._engine.results,
            halt=halt,
            clock=self._clock,
            on_outcome=self._on_outcome,
        )
        self.active[active] = halt
        self._on_change()
        try:
            await active.work(self._source.concurrency)
        finally:
            del self.active[active]
            self._on_change()
        await self._note_refusals(batch.run)
        await self._halted(batch.run, decisive_reason(halt.reasons))

    async def _note_refusals(self, run: RunId) -> None:
        """Note in the run which keys of this member the API refuses: its end is to say so, though others go on."""
        if self.refusals:
            await fetch(self._pool, _NOTE_REFUSALS, "; ".join(self.refusals), run)

    async def _halted(self, run: RunId, reason: Exception | None) -> None:
        """Halt the run of a batch that was halted for a reason that holds for all. Raise Later if it does not."""
        self.failure = reason if isinstance(reason, StorageError) else None
        match reason:
            case None:
                return
            case Interrupted():
                if self._is_stopping:
                    raise Later(await now(self._pool))
                return
            case StorageError():
                raise Later(await now(self._pool) + _AGAIN)
            case QuotaEnded() | KeyRefused() | NotInPlan() if await self._others_can():
                self._log.info("others go on", run=run, reason=explanation(reason))
                self._step_aside()
                raise Later(await now(self._pool))
        is_refused = isinstance(reason, (KeyRefused, NotInPlan))
        status = ending(Counter(), reason).status.value
        await fetch(self._pool, "SELECT fleet.halt_run(%s, %s, %s, %s)", run, status, explanation(reason), is_refused)

    async def _others_can(self) -> bool:
        """Whether a member that lives has another key, with which it may request something soon."""
        mine = [key.id for key in self._source.keys]
        rows = await fetch(self._pool, "SELECT fleet.others_can(%b::text[], %s)", mine, self._source.wait)
        return bool(rows[0][0])

    async def _end(self, batch: _Batch) -> None:
        """Note that a batch is done, and end its run if that was the last one. Raise Later if it is not."""
        query = "SELECT fleet.finish_batch(%s, %s, %s)"
        ((again,),) = await fetch(self._pool, query, batch.run, batch.number, _AGAIN)
        if again is not None:
            raise Later(again)
        await end_runs(self._pool, batch.run)


_BATCH = """
    SELECT r.halted_as IS NOT NULL, array(SELECT l.symbol FROM fleet.left_of(%s, %s) AS l)
      FROM fleet.batches b JOIN fleet.runs r ON r.id = b.run_id
     WHERE b.run_id = %s AND b.number = %s AND b.done_at IS NULL AND r.status = 'running'
"""
_NOTE_REFUSALS = """
    UPDATE fleet.runs SET key_refused = true, halted_by = coalesce(halted_by, %s)
     WHERE id = %s AND status = 'running' AND NOT key_refused
"""
_OVER = """
    SELECT id FROM fleet.runs
     WHERE id = ANY (%b::bigint[]) AND (status <> 'running' OR halted_as <> 'quota_exhausted')
"""
