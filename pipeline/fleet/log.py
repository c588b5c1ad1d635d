"""The log's near end: hands over to PostgreSQL how symbols ended, one statement a turn.

What was posted since the last turn goes into the next one, until PostgreSQL takes it. A machine that is cut off keeps
its answers, and hands them over later; a statement of which nobody knows whether it was committed is sent again, and
changes nothing the second time.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg
from psycopg import AsyncConnection

from pipeline.clock import Clock
from pipeline.fleet.pool import PATIENCE, Pool
from pipeline.instants import nanoseconds
from pipeline.model.outcomes import Outcome
from pipeline.store.database import StorageError
from pipeline.store.writer import LINGER
from pipeline.text import count

OnDone = Callable[[Outcome, BaseException | None], None]
"""Called once for how a symbol ended: when that is in the log, with its outcome; or with the error."""

ANSWERED = "answered"
LARGEST_TURN = 500
"""Symbols in one statement: after an outage there are many, of a few kB each."""
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (0.25, 0.5, 1, 2))
"""The pauses before a turn is repeated; the last one again and again."""
PATIENCE_AT_END = timedelta(seconds=30)
"""How long a machine that stops tries to hand over what it still has."""
OUTAGES = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction, OSError)
"""Errors that pass when PostgreSQL can be reached again: also a standby that is not promoted yet."""


class SymbolEnd(NamedTuple):
    """How a symbol ended in a run. `outcome`: ANSWERED, with the document and its digest; else as the store has it."""

    run: int
    symbol: str
    outcome: str
    attempts: int
    at: datetime
    detail: str | None = None
    slot: int | None = None
    digest: bytes | None = None
    body: str | None = None


class _Posted(NamedTuple):
    end: SymbolEnd
    on_done: OnDone


_APPEND = """
    SELECT number, outcome FROM fleet.append(
        %s, NULL, NULL, %b::bigint[], %b::text[], %b::text[], %b::int[], %b::timestamptz[], %b::text[],
        %b::bigint[], %b::bytea[], %b::text[])
"""
"""`%b`: as text, psycopg needs 50 ms for the documents of a hundred symbols."""


async def append(db: AsyncConnection[Any], member: str, ends: Sequence[SymbolEnd]) -> list[Outcome]:
    """Log how symbols ended, in one commit; return the outcome of each. May be repeated."""
    columns = [list(column) for column in zip(*ends, strict=True)]
    cursor = await db.execute(_APPEND, (member, *columns))
    return [Outcome(outcome) for _, outcome in await cursor.fetchall()]


class FleetLog:
    """Takes how symbols ended, and reports each when it is in the log."""

    def __init__(self, pool: Pool, member: str, *, clock: Clock, on_retry: Callable[[str], None]) -> None:
        self._pool = pool
        self._member = member
        self._clock = clock
        self._on_retry = on_retry
        self._posted: list[_Posted] = []
        self._has_arrived = asyncio.Event()
        self._closes_at: int | None = None
        self._failure: StorageError | None = None

    def post(self, end: SymbolEnd, on_done: OnDone) -> None:
        """Log how a symbol ended, with the next turn."""
        if self._failure is not None:
            asyncio.get_running_loop().call_soon(on_done, Outcome.FAILED, self._failure)
            return
        self._posted.append(_Posted(end, on_done))
        self._has_arrived.set()

    async def write(self, ends: Sequence[SymbolEnd]) -> None:
        """Log how symbols ended, and return when all are in the log. Raise StorageError."""
        waiting = [asyncio.get_running_loop().create_future() for _ in ends]
        for end, future in zip(ends, waiting, strict=True):
            self.post(end, _setter(future))
        await asyncio.gather(*waiting)

    async def run(self) -> None:
        """Hand over what is posted until closed, and then what is left."""
        while self._posted or self._closes_at is None:
            is_busy = self._has_arrived.is_set()  # more arrived during the last turn
            await self._has_arrived.wait()
            if is_busy and self._closes_at is None:
                await asyncio.sleep(LINGER.total_seconds())
            self._has_arrived.clear()
            while self._posted:
                await self._turn()

    def close(self) -> None:
        """Let `run` end when everything is handed over, or when that could not be done for a while."""
        self._closes_at = self._clock.monotonic() + nanoseconds(PATIENCE_AT_END)
        self._has_arrived.set()

    async def _turn(self) -> None:
        """Hand over a turn. What arrives meanwhile waits for the next one."""
        ends = self._posted[:LARGEST_TURN]
        try:
            outcomes = await self._append_with_retries([one.end for one in ends])
        except StorageError as error:
            outcomes = [Outcome.FAILED] * len(ends)
            failure: StorageError | None = error
        else:
            failure = None
        del self._posted[: len(ends)]
        for one, outcome in zip(ends, outcomes, strict=True):
            one.on_done(outcome, failure)

    async def _append_with_retries(self, ends: Sequence[SymbolEnd]) -> list[Outcome]:
        """Return the outcomes once they are logged. Raise StorageError if PostgreSQL refuses them, or at the end."""
        attempt = 0
        while self._failure is None:
            try:
                async with asyncio.timeout(PATIENCE.total_seconds()), self._pool.connection() as db:
                    return await append(db, self._member, ends)
            except OUTAGES as error:
                reason = one_line(error)
            except psycopg.Error as error:
                self._failure = StorageError(f"PostgreSQL refuses what this machine logs: {one_line(error)}")
                break
            if self._closes_at is not None and self._clock.monotonic() >= self._closes_at:
                lost = count(len(self._posted), "symbol")
                self._failure = StorageError(f"{lost} could not be logged before the end: {reason}")
                break
            pause = PAUSES[min(attempt, len(PAUSES) - 1)].total_seconds()
            attempt += 1
            self._on_retry(f"PostgreSQL cannot be reached: {reason}; retrying in {pause:g} s")
            await self._clock.sleep(pause)
        raise self._failure


def one_line(error: BaseException) -> str:
    """Return what an error says in one line, without the URL or password, which none of PostgreSQL's errors has."""
    return " ".join(str(error).split()) or type(error).__name__


def _setter(future: "asyncio.Future[Outcome]") -> OnDone:
    def finish(outcome: Outcome, error: BaseException | None) -> None:
        if future.done():  # who waited went away
            return
        if error is None:
            future.set_result(outcome)
        else:
            future.set_exception(error)

    return finish


@asynccontextmanager
async def open_log(
    pool: Pool, member: str, *, clock: Clock, on_retry: Callable[[str], None] = lambda _text: None
) -> AsyncIterator[FleetLog]:
    """Yield the log of this machine, which the member is called. On leaving, everything posted is handed over first.

    `on_retry` is called with one line before each retry.
    """
    log = FleetLog(pool, member, clock=clock, on_retry=on_retry)
    running = asyncio.create_task(log.run(), name="fleet log")
    try:
        yield log
    finally:
        log.close()
        await asyncio.shield(running)
