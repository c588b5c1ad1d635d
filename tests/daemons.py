"""A daemon that lives as fast as a test can turn the hands of its clock."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.collect import Source
from pipeline.daemon import Daemon, Duty
from pipeline.heartbeat import PERIOD
from pipeline.metrics import Metrics
from pipeline.notify import Notifier, Ping
from pipeline.overview import Symbol
from pipeline.schedule import Schedule
from pipeline.watch import Watch, Watched
from pipeline.windows import Limit
from tests.clocks import START, Hands

SYMBOLS = tuple(map(Symbol, ("AAPL", "IBM", "PEP")))
DAILY = Schedule("30 18 * * *", "UTC", timedelta(hours=36), None)


class Pendulum(Hands):
    """Waiting moves the hands at once, but for the heartbeat: that waits for the test."""

    def __init__(self, wall: datetime = START) -> None:
        super().__init__(wall)
        self._swings = asyncio.Semaphore(0)
        self.hangs = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        task = asyncio.current_task()
        if task is None or task.get_name() != "heartbeat":
            await super().sleep(seconds)
            return
        self.hangs.set()
        await self._swings.acquire()
        self.passes(timedelta(seconds=seconds))

    async def swing(self) -> None:
        """Let a heartbeat's time pass, and the heart beat."""
        await self.hangs.wait()
        self.hangs.clear()
        self._swings.release()
        await self.hangs.wait()


class Life:
    """One daemon, and the time it lives in."""

    def __init__(self, database: Path, base_url: str, hands: Pendulum, **wanted: Any) -> None:
        self.database = database
        self.hands = hands
        self.duty = duty(base_url, **wanted)
        self.watch = Watch(
            database,
            Watched(self.duty.symbols, self.duty.source.limits, timedelta(hours=72)),
            metrics=Metrics(),
            notifier=Notifier(()),
            ping=Ping(None),
            clock=hands.clock(),
        )
        self.daemon: Daemon

    def reread(self) -> Duty:
        return self.duty

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Daemon]:
        """Let the daemon live while the block runs, and end in order."""
        self.hands.hangs.clear()
        self.daemon = Daemon(self.database, self.duty, reread=self.reread, watch=self.watch, clock=self.hands.clock())
        task = asyncio.create_task(self.daemon.run())
        try:
            await self.settled(task)
            yield self.daemon
            self.daemon.stop()
            await task
        finally:
            task.cancel()
            await asyncio.wait({task})
            await self.watch.close()

    async def settled(self, task: "asyncio.Task[None] | None" = None) -> None:
        """Return when there is nothing to be done, or the daemon has died."""
        rests = asyncio.ensure_future(self.daemon.resting.wait())
        async with asyncio.timeout(30):
            await asyncio.wait({rests, *([task] if task else [])}, return_when=asyncio.FIRST_COMPLETED)
        rests.cancel()
        if task is not None and task.done():
            await task

    async def beat(self, times: int = 1) -> None:
        for _ in range(times):
            await self.hands.swing()
            await self.settled()

    async def until(self, instant: datetime) -> None:
        """Let the time pass up to an instant, and the heart beat then."""
        self.hands.passes(instant - PERIOD - self.hands.wall)
        await self.beat()


def duty(
    base_url: str,
    *,
    symbols: tuple[Symbol, ...] = SYMBOLS,
    schedules: tuple[Schedule, ...] = (DAILY,),
    limits: tuple[str, ...] = (),
    goes_on: bool = True,
    attempts: int = 1,
    outcomes_kept: timedelta = timedelta(days=400),
) -> Duty:
    source = Source(
        base_url,
        "a-key-for-tests",
        tuple(map(Limit.parse, limits)),
        4,
        timedelta(seconds=5),
        timedelta(minutes=2),
        attempts,
    )
    return Duty(source, symbols, schedules, goes_on, outcomes_kept)


def rows(database: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(query, values).fetchall()


def runs(database: Path, *columns: str) -> list[tuple[Any, ...]]:
    """Return these columns of all runs, in order."""
    return rows(database, f"SELECT {', '.join(columns)} FROM runs ORDER BY id")
