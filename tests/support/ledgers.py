"""Ledgers, each as a new process starts it, and what they stored."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from pipeline.model.outcomes import RunId
from pipeline.model.slots import KeyId, Slot
from pipeline.model.symbols import Symbol
from pipeline.quota.account import Account
from pipeline.quota.keys import KeyPlan
from pipeline.quota.ledger import Ledger
from pipeline.quota.limits import Limit
from pipeline.store.reader import Reader
from pipeline.store.writer import Writer, open_writer
from tests.support.clocks import ManualClock

IBM = Symbol("IBM")
RUN = RunId(1)
KEY = KeyId("0123456789abcdef")
TIMEOUT = timedelta(seconds=30)
DAY = timedelta(days=1)


@asynccontextmanager
async def ledger_of_a_process(
    database: Path, clock: ManualClock, *limits: str, max_wait: float = 120, max_requests: int | None = None
) -> AsyncIterator[Ledger]:
    """Yield the ledger of a new process with a writer of its own."""
    async with open_writer(database) as writer:
        yield open_ledger(writer, database, clock, *limits, max_wait=max_wait, max_requests=max_requests)


def open_ledger(
    writer: Writer,
    database: Path,
    clock: ManualClock,
    *limits: str,
    max_wait: float = 120,
    max_requests: int | None = None,
) -> Ledger:
    """Return a ledger that starts from what the database holds."""
    with Reader.open(database) as reader:
        state = reader.quota_state(clock.wall - DAY)
        plan = KeyPlan("", tuple(map(Limit.parse, limits)))
        return Ledger(
            writer,
            [Account(KEY, plan, state, wall=clock.wall, monotonic=clock.as_clock().monotonic())],
            last_request_id=state.last_request_id,
            timeout=TIMEOUT,
            max_wait=timedelta(seconds=max_wait),
            max_requests=max_requests,
            clock=clock.as_clock(),
        )


@asynccontextmanager
async def ledger_of_keys(
    database: Path, clock: ManualClock, max_wait: float = 120, **limits: str
) -> AsyncIterator[Ledger]:
    """Yield the ledger of a new process with several keys, each with one limit."""
    async with open_writer(database) as writer:
        with Reader.open(database) as reader:
            states = {KeyId(name): reader.quota_state(clock.wall - DAY, KeyId(name)) for name in limits}
        wall, own = clock.wall, clock.as_clock().monotonic()
        yield Ledger(
            writer,
            [
                Account(key, KeyPlan(key, (Limit.parse(limits[key]),)), state, wall=wall, monotonic=own)
                for key, state in states.items()
            ],
            last_request_id=max(state.last_request_id for state in states.values()),
            timeout=TIMEOUT,
            max_wait=timedelta(seconds=max_wait),
            clock=clock.as_clock(),
        )


def stored_requests(database: Path) -> list[tuple[object, ...]]:
    """Return the requests: id, symbol, reserved_at, deadline_at, finished_at, outcome."""
    with sqlite3.connect(database) as db:
        found = db.execute("SELECT id, symbol, reserved_at, deadline_at, finished_at, outcome FROM requests").fetchall()
    db.close()
    return found


async def take(ledger: Ledger, *, retry: bool = False) -> Slot:
    """Take a slot for IBM in run 1."""
    return await ledger.take(RUN, IBM, retry=retry)
