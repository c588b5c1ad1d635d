"""Stages for tests of slots: each engine, with a clock that the test moves, and processes that come and go."""

import itertools
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import psycopg

from pipeline.collect.ports import Slots
from pipeline.fleet.clock import FleetClock
from pipeline.fleet.pool import open_pool
from pipeline.fleet.quota import DECLARE, declaration
from pipeline.fleet.slots import open_slots
from pipeline.model.outcomes import RunId
from pipeline.model.slots import KeyId, Slot
from pipeline.model.symbols import Symbol
from pipeline.quota.account import Account
from pipeline.quota.keys import KeyPlan
from pipeline.quota.ledger import Ledger
from pipeline.quota.limits import Limit, longest_window
from pipeline.store.reader import Reader
from pipeline.store.writer import open_writer
from tests.support.clocks import ManualClock

RUN = RunId(1)
TIMEOUT = timedelta(seconds=30)
_numbers = itertools.count(1)


class Stage(Protocol):
    """An engine's slots, as one process after another opens them."""

    @property
    def clock(self) -> ManualClock:
        """The clock that the engine goes by."""

    def process(
        self, *, max_wait: float = 120, max_requests: int | None = None, **keys: str
    ) -> AbstractAsyncContextManager[Slots]:
        """Yield the slots of a new process, with keys by name and their limits: `a="25/day 5/minute"`."""


async def take(slots: Slots, symbol: str | None = None, *, retry: bool = False) -> Slot:
    """Take a slot, of a symbol that has none so far unless one is given."""
    return await slots.take(RUN, Symbol(symbol or f"S{next(_numbers)}"), retry=retry)


def plans(keys: dict[str, str]) -> dict[KeyId, KeyPlan]:
    return {KeyId(name): KeyPlan(name, tuple(map(Limit.parse, text.split()))) for name, text in keys.items()}


class SqliteStage:
    """The ledger in a SQLite file: one process at a time."""

    def __init__(self, database: Path, clock: ManualClock) -> None:
        self.clock: ManualClock = clock
        self._database = database

    @asynccontextmanager
    async def process(
        self, *, max_wait: float = 120, max_requests: int | None = None, **keys: str
    ) -> AsyncIterator[Slots]:
        wall, own = self.clock.wall, self.clock.monotonic
        async with open_writer(self._database) as writer:
            with Reader.open(self._database) as reader:
                states = {
                    key: reader.quota_state(wall - longest_window(plan.limits), key)
                    for key, plan in plans(keys).items()
                }
            yield Ledger(
                writer,
                [Account(key, plans(keys)[key], state, wall=wall, monotonic=own) for key, state in states.items()],
                last_request_id=max(state.last_request_id for state in states.values()),
                timeout=TIMEOUT,
                max_wait=timedelta(seconds=max_wait),
                max_requests=max_requests,
                clock=self.clock.as_clock(),
            )


class FleetTime(ManualClock):
    """A clock that PostgreSQL goes by too: `fleet.now()` reads it from a table of the test's own database."""

    def __init__(self, db: psycopg.Connection[Any]) -> None:
        super().__init__()
        self._db = db
        db.execute("CREATE TABLE fleet.test_time AS SELECT %s::timestamptz AS at", [self.wall])
        db.execute(
            "CREATE OR REPLACE FUNCTION fleet.now() RETURNS timestamptz LANGUAGE sql VOLATILE"
            " AS 'SELECT at FROM fleet.test_time'"
        )

    def advance(self, span: timedelta) -> None:
        super().advance(span)
        self._db.execute("UPDATE fleet.test_time SET at = at + make_interval(secs => %s)", [span.total_seconds()])

    def set_server(self, at: datetime) -> None:
        """PostgreSQL's clock is set; the process's own is not."""
        self._db.execute("UPDATE fleet.test_time SET at = %s", [at])


class FleetStage:
    """The fleet's slots in PostgreSQL: any number of processes at a time."""

    def __init__(self, url: str, db: psycopg.Connection[Any]) -> None:
        self.clock: FleetTime = FleetTime(db)
        self.db = db
        self.url = url

    @asynccontextmanager
    async def process(
        self, *, max_wait: float = 120, max_requests: int | None = None, **keys: str
    ) -> AsyncIterator[Slots]:
        for key, plan in plans(keys).items():
            self.db.execute(DECLARE, declaration(key, plan))
        async with (
            open_pool(self.url) as pool,
            open_slots(
                pool,
                plans(keys),
                member="tester",
                timeout=TIMEOUT,
                max_wait=timedelta(seconds=max_wait),
                max_requests=max_requests,
                clock=FleetClock(self.clock.as_clock()),
            ) as slots,
        ):
            yield slots
