"""A daemon that lives as fast as a test can move its clock."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
from apscheduler.schedulers import base as scheduler

from pipeline.collect.order import Source
from pipeline.daemon.config import DaemonConfig
from pipeline.daemon.loop import Daemon
from pipeline.model.renames import ConfiguredRenames
from pipeline.model.symbols import Symbol, SymbolList
from pipeline.monitoring.heartbeat import PERIOD
from pipeline.monitoring.metrics import Metrics
from pipeline.monitoring.notify import Notifier, Sender
from pipeline.monitoring.ping import Ping
from pipeline.monitoring.reporter import Reporter
from pipeline.monitoring.status import Scope
from pipeline.quota.keys import ApiKey, KeyPlan
from pipeline.quota.limits import Limit
from pipeline.schedule.cron import Schedule
from pipeline.store import lock
from tests.support.clocks import START, ManualClock, server_goes_by

FIRST = START
"""18:30 on 14 March 2026, a Saturday: a fire time of the daily schedule."""
SYMBOLS = tuple(map(Symbol, ("AAPL", "IBM", "PEP")))
NO_RENAMES = ConfiguredRenames("", ())
DAILY = Schedule("30 18 * * *", "UTC", timedelta(hours=36), None)


class DaemonClock(ManualClock):
    """A clock that waiting moves at once, except for the heartbeat, which waits for the test."""

    def __init__(self, wall: datetime = START) -> None:
        super().__init__(wall)
        self.reset()
        self.furthest = wall
        """The latest instant that the wall clock ever showed."""

    def reset(self) -> None:
        """Forget the last daemon's heartbeat, and wait for that of the next."""
        self._beats = asyncio.Semaphore(0)
        self.is_waiting = asyncio.Event()

    def advance(self, span: timedelta) -> None:
        super().advance(span)
        self.furthest = max(self.furthest, self.wall)

    def machine_sleeps(self, span: timedelta) -> None:
        """The machine sleeps: nothing runs, and all clocks continue."""
        self.advance(span)

    def drive_apscheduler(self, patch: pytest.MonkeyPatch) -> None:
        """Let APScheduler, which reads the wall clock by itself, read this one."""
        clock = self

        class Now(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override] # a plain datetime
                return clock.wall.astimezone(tz or UTC)

        patch.setattr(scheduler, "datetime", Now)

    async def sleep(self, seconds: float) -> None:
        task = asyncio.current_task()
        if task is None or task.get_name() != "heartbeat":
            await super().sleep(seconds)
            return
        self.is_waiting.set()
        await self._beats.acquire()
        self.advance(timedelta(seconds=seconds))

    async def beat(self) -> None:
        """Let the time of a heartbeat pass, and wait until it has happened."""
        await self.is_waiting.wait()
        self.is_waiting.clear()
        self._beats.release()
        await self.is_waiting.wait()


def plans(source: Source) -> tuple[KeyPlan, ...]:
    """Return the plan of each key."""
    return tuple(key.plan for key in source.keys)


class DaemonHarness:
    """One daemon, and the time it lives in."""

    def __init__(self, database: Path, base_url: str, clock: DaemonClock, **wanted: Any) -> None:
        server_goes_by(base_url, clock)
        self.database = database
        self.clock = clock
        self.config = config(base_url, **wanted)
        self.reporter = Reporter(
            database,
            self.config.scope,
            metrics=Metrics(),
            notifier=Notifier((), Sender("host", database)),
            ping=Ping(None),
            clock=clock.as_clock(),
        )
        self.daemon: Daemon
        self.task: asyncio.Task[None]
        self._is_dying = False

    def reload_config(self) -> DaemonConfig:
        return self.config

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Daemon]:
        """Let the daemon live while the block runs, and end in order."""
        try:
            await self.begin()
            yield self.daemon
            self.daemon.stop()
            await self.ended()
        except BaseException:
            self.dies()
            await self.ended()
            raise

    async def begin(self) -> None:
        """Let the daemon live. Return when there is nothing to be done, or it has died."""
        self.clock.reset()
        self.daemon = Daemon(
            self.database,
            self.config,
            reload_config=self.reload_config,
            reporter=self.reporter,
            clock=self.clock.as_clock(),
        )
        self.task = asyncio.create_task(self.daemon.run())
        await self.settled()

    def dies(self) -> None:
        """Break off whatever the daemon does, as far as that can be done within one process."""
        self._is_dying = True
        self.task.cancel()

    async def ended(self) -> None:
        """Return once nothing of the daemon is under way any more. Raise what it died of."""
        while not self.task.done():
            await asyncio.wait({self.task}, timeout=1)
            if self._is_dying:
                self.task.cancel()  # the daemon outlives what a run dies of, cancellation included
        await self.answered()
        await self.reporter.close()
        if not self._is_dying:
            await self.task

    async def answered(self) -> None:
        """Return once the store has answered, if it still owes an answer."""
        if signs := [task for task in asyncio.all_tasks() if task.get_name() == "store probe"]:
            await asyncio.wait(signs)

    async def settled(self) -> None:
        """Return when there is nothing to be done, or the daemon has ended. Raise what it died of."""
        rests = asyncio.ensure_future(self.daemon.idle.wait())
        async with asyncio.timeout(30):
            await asyncio.wait({rests, self.task}, return_when=asyncio.FIRST_COMPLETED)
        rests.cancel()
        if self.task.done() and not self._is_dying:
            await self.task

    async def beat(self, times: int = 1) -> None:
        """Let the heart beat, each time until there is nothing to be done. Once the daemon has ended, it does not."""
        for _ in range(times):
            swings = asyncio.create_task(self.clock.beat())
            await asyncio.wait({swings, self.task}, return_when=asyncio.FIRST_COMPLETED)
            swings.cancel()
            await self.settled()

    async def until(self, instant: datetime) -> None:
        """Let the time pass up to an instant, and the heart beat then."""
        self.clock.advance(instant - PERIOD - self.clock.wall)
        await self.beat()

    async def through(self, instant: datetime) -> None:
        """Let the time pass up to an instant, and the timer ring by itself meanwhile; then let the heart beat."""
        while not self.task.done() and (ring := self.rings_at()) is not None and ring <= instant - PERIOD:
            self.clock.advance(max(ring - self.clock.wall, timedelta()))
            self.daemon.idle.clear()  # only if the timer rings will it rest again
            self.daemon._heart.timer.wake()  # its timer, on the loop's clock, cannot go off in time
            await self.settled()
        self.clock.advance(max(instant - PERIOD - self.clock.wall, timedelta()))
        await self.beat()

    def rings_at(self) -> datetime | None:
        """Return when the timer will ring next."""
        times = [job.next_run_time for job in self.daemon._heart.timer._scheduler.get_jobs()]
        return min(filter(None, times), default=None)


def config(
    base_url: str,
    *,
    symbols: tuple[Symbol, ...] = SYMBOLS,
    schedules: tuple[Schedule, ...] = (DAILY,),
    limits: tuple[str, ...] = (),
    keys: tuple[ApiKey, ...] = (),
    resumes: bool = True,
    attempts: int = 1,
    timeout: timedelta = timedelta(seconds=5),
    outcomes_kept: timedelta = timedelta(days=400),
    fresh_for: timedelta = timedelta(hours=20),
    renames: ConfiguredRenames = NO_RENAMES,
) -> DaemonConfig:
    """Return a configuration with one key and these limits, or with these keys."""
    source = Source(
        base_url,
        keys or (ApiKey("", "a-key-for-tests", tuple(map(Limit.parse, limits))),),
        4,
        timeout,
        timedelta(minutes=2),
        attempts,
    )
    named = (symbol for schedule in schedules for symbol in schedule.symbols or ())
    listed = SymbolList("", tuple(dict.fromkeys((*symbols, *named))))
    scope = Scope(symbols, plans(source), timedelta(hours=72), timedelta(days=14))
    return DaemonConfig(source, symbols, schedules, resumes, outcomes_kept, fresh_for, listed, renames, None, scope)


def rows(database: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(query, values).fetchall()


def runs(database: Path, *columns: str) -> list[tuple[Any, ...]]:
    """Return these columns of all runs, in order."""
    return rows(database, f"SELECT {', '.join(columns)} FROM runs ORDER BY id")


@asynccontextmanager
async def collect_by_hand(database: Path, clock: DaemonClock) -> AsyncIterator[None]:
    """Another process holds the lock."""
    async with lock.hold_lock(
        database, "collect", max_wait=None, now=lambda: clock.wall, sleep=clock.sleep, on_wait=lambda _text: None
    ):
        yield


async def waits_for_the_lock(daemon: Daemon) -> None:
    async with asyncio.timeout(30):
        while daemon.why_not_ready() is None or "waiting for" not in (daemon.why_not_ready() or ""):
            await asyncio.sleep(0.001)
