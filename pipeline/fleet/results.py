"""Results: what a run gets, into the fleet's log. Like `store.runs.Store`, which keeps it in a file."""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from pipeline.clock import Clock
from pipeline.fleet.ended_runs import COUNTED
from pipeline.fleet.entries import document_digest, document_text, list_digest, list_text
from pipeline.fleet.log import ANSWERED, LARGEST_TURN, OUTAGES, PAUSES, FleetLog, OnDone, SymbolEnd, one_line
from pipeline.fleet.pool import PATIENCE, Pool
from pipeline.model.document import Overview
from pipeline.model.outcomes import Outcome, RunId, RunResult, SymbolResult, Trigger
from pipeline.model.slots import Slot
from pipeline.model.symbols import Symbol, SymbolList
from pipeline.store.database import StorageError
from pipeline.store.runs import ABANDONED

_BEGIN = "SELECT fleet.begin_alone(%s, %s, %s, %s, %s, %s, %s)"
_RESUME = """
    INSERT INTO fleet.runs AS r (id, trigger, symbols, due, schedule, scheduled_for, member, instance, started_at,
                                 status)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'running')
    ON CONFLICT (id) DO UPDATE SET status = 'running', detail = NULL, finished_at = NULL
     WHERE r.instance = excluded.instance AND r.status = 'interrupted' AND r.detail = %s
"""
"""A standby that took over, or a restored dump, may have forgotten the run; or, while PostgreSQL was away, the others
took its process for dead."""
_END = "SELECT fleet.end_alone(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
_HAS_SNAPSHOTS = "SELECT EXISTS (SELECT 1 FROM fleet.symbols WHERE symbol = %s AND last_overview IS NOT NULL)"
_IS_LISTED = "SELECT EXISTS (SELECT 1 FROM fleet.listed WHERE digest = %s)"
_LIST = "SELECT fleet.log_symbols(%s, %s)"


class Unreachable(StorageError):
    """PostgreSQL cannot be reached. It may pass."""


class FleetResults:
    """Keeps what runs get in the fleet's log. All of it raises StorageError where PostgreSQL does not take it.

    Instants are PostgreSQL's: those given only say when, between its reservation and now, a request was answered.
    """

    def __init__(self, log: FleetLog, pool: Pool, *, member: str, instance: UUID, clock: Clock) -> None:
        self._clock = clock
        self._log = log
        self._pool = pool
        self._member = member
        self._instance = instance
        self._begun: dict[RunId, tuple[Any, ...]] = {}
        """With what each run began that has not ended."""

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
        """Return the id of a new run, which this process does alone. Not repeated: that could begin two."""
        given = (trigger.value, symbols, due, schedule, scheduled_for, self._member, self._instance)
        run = RunId(int(await self._value_at_once(_BEGIN, *given)))
        self._begun[run] = (*given, at)
        return run

    async def record_list(self, listed: SymbolList, *, at: datetime) -> None:  # noqa: ARG002 - of the port
        """Log the configured symbols, if they are not those that were logged last, by whichever member."""
        digest = list_digest(listed.symbols)
        if not await self._value(_IS_LISTED, digest):
            await self._value(_LIST, digest, list_text(listed.symbols))

    async def ping(self) -> None:
        """Return once PostgreSQL has answered."""
        await self._value("SELECT 1")

    def hand_over(
        self, run: RunId, overview: Overview, *, at: datetime, attempts: int, slot: Slot, on_done: OnDone
    ) -> None:
        """Log an overview without waiting for it. `on_done` is called with its outcome, or with the error."""
        document = overview.document
        self._log.post(
            SymbolEnd(
                run=run,
                symbol=overview.symbol,
                outcome=ANSWERED,
                attempts=attempts,
                at=at,
                slot=slot.id,
                digest=document_digest(document),
                body=document_text(document),
            ),
            on_done,
        )

    async def has_snapshots(self, symbol: Symbol) -> bool:
        """Return whether the symbol has a snapshot."""
        return bool(await self._value(_HAS_SNAPSHOTS, symbol))

    async def note(self, result: SymbolResult) -> None:
        """Log how a symbol ended for which no overview came."""
        await self._log.write([_end(result)])

    async def defer(self, run: RunId, symbols: Iterable[Symbol], *, at: datetime, detail: str) -> int:
        """Log that these symbols were not requested, and return their number."""
        ends = [_end(SymbolResult(run, symbol, Outcome.DEFERRED, 0, at, detail)) for symbol in symbols]
        for start in range(0, len(ends), LARGEST_TURN):
            await self._log.write(ends[start : start + LARGEST_TURN])
        return len(ends)

    async def finish(self, run: RunId, result: RunResult, *, at: datetime) -> None:  # noqa: ARG002 - of the port
        """Log how the run ended, after all that was handed over before."""
        counts = [result.counts.get(outcome, 0) for outcome in COUNTED]
        if begun := self._begun.pop(run, None):
            await self._value(_RESUME, run, *begun, ABANDONED)
        given = (result.detail, result.symbols, result.requests, result.seconds, result.uncovered, *counts)
        await self._value(_END, run, result.status.value, *given)

    async def _value(self, query: str, *parameters: Any) -> Any:
        """Return the one value of a query that may be repeated: tried a few times. Raise StorageError."""
        for pause in PAUSES:
            try:
                return await self._value_at_once(query, *parameters)
            except Unreachable:
                await self._clock.sleep(pause.total_seconds())
        return await self._value_at_once(query, *parameters)

    async def _value_at_once(self, query: str, *parameters: Any) -> Any:
        """Return the one value of a query. Raise StorageError."""
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()), self._pool.connection() as db:
                found = await db.execute(query, parameters)
                row = None if found.description is None else await found.fetchone()
        except OUTAGES as error:
            raise Unreachable(f"PostgreSQL cannot be reached: {one_line(error)}") from None
        except psycopg.Error as error:
            raise StorageError(f"PostgreSQL refuses what this machine logs: {one_line(error)}") from None
        return row and row[0]


def _end(result: SymbolResult) -> SymbolEnd:
    slot = None if result.slot is None else result.slot.id
    # PostgreSQL's text has no NUL, which what a server said may have.
    detail = result.detail and result.detail.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return SymbolEnd(result.run, result.symbol, result.outcome.value, result.attempts, result.at, detail, slot)
