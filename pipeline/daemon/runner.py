"""Runner: does one run under the lock, and pauses after a crash or when nothing can be stored."""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import structlog

from pipeline import instants
from pipeline.clock import Clock
from pipeline.collect.active_run import ActiveRun
from pipeline.collect.halt import Halted
from pipeline.collect.on_demand import SLOT_WITHIN, NotCollected
from pipeline.collect.order import Order, Source
from pipeline.collect.run import collect, log_end
from pipeline.collect.summary import Summary
from pipeline.daemon.access import DatabaseAccess
from pipeline.daemon.blockers import Blockers
from pipeline.daemon.config import DaemonConfig
from pipeline.daemon.on_demand import OnDemand
from pipeline.daemon.status import DaemonStatus, LastRun
from pipeline.instants import nanoseconds
from pipeline.model.outcomes import Trigger
from pipeline.monitoring.reporter import Reporter
from pipeline.quota.ledger_time import UntrustedClock
from pipeline.schedule.next_run import FIRST_PAUSE, ScheduledRun
from pipeline.store import lock, schedules
from pipeline.store.database import DatabaseError, StorageError


class Runner:
    """Does runs, one at a time."""

    def __init__(
        self,
        database: Path,
        access: DatabaseAccess,
        status: DaemonStatus,
        on_demand: OnDemand,
        *,
        blockers: Blockers,
        reporter: Reporter,
        clock: Clock,
    ) -> None:
        self._database = database
        self._access = access
        self._status = status
        self._on_demand = on_demand
        self._blockers = blockers
        self._reporter = reporter
        self._clock = clock
        self._paused_until = clock.monotonic()
        self._is_clock_refused = False
        self._log = structlog.get_logger()

    @property
    def is_paused(self) -> bool:
        """Whether it is too early for another run."""
        return self._clock.monotonic() < self._paused_until

    def end_pause(self) -> None:
        """Allow another run at once."""
        self._paused_until = self._clock.monotonic()

    def pause_for_clock(self) -> None:
        """Pause, because the clock cannot be right: until it is set, or asking for the time again is worth it."""
        self._pause()
        self._is_clock_refused = True

    def end_pause_for_clock(self) -> None:
        """Allow another run at once, if it was the clock that was wrong: it was set."""
        if self._is_clock_refused:
            self._is_clock_refused = False
            self.end_pause()

    async def run(self, run: ScheduledRun, config: DaemonConfig) -> None:
        """Do one run. The caller holds the lock.

        Raise StorageError if what came of it could not all be written, and UntrustedClock if nothing may be requested.
        """
        began = self._clock.now()
        order = Order(
            run.schedule.symbols or config.symbols,
            observed_since=run.fire_time - instants.MILLISECOND,  # an observation at that very instant counts
            trigger=run.trigger,
            schedule=str(run.schedule),
            scheduled_for=run.fire_time,
            listed=config.listed,
        )
        at = instants.for_people(run.fire_time)
        self._log.info("run due", fire_time=f"{at} UTC", schedule=order.schedule, trigger=str(run.trigger))
        self._reporter.run_started(run.fire_time)
        summary = await self._collect(config.source, order)
        self._status.last_run = LastRun(summary.run, summary.status)
        self._reporter.run_ended(summary, str(run.schedule), run.fire_time, began=began)
        await self._check_stored(summary)

    async def run_on_demand(self, config: DaemonConfig) -> None:
        """Do one run for what clients wait for, if it has to be requested. Raise DatabaseError, UntrustedClock.

        If another process is collecting, they get that as the answer, and do not wait for it.
        """
        try:
            async with self._access.exclusive_now():
                await self._collect_wanted(config)
        except (lock.Busy, DatabaseError, UntrustedClock) as error:
            self._on_demand.refuse_all(NotCollected(str(error)))
            if not isinstance(error, lock.Busy):
                raise

    async def _collect_wanted(self, config: DaemonConfig) -> None:
        """Request each symbol once: the client may ask again, and the schedules need the quota too."""
        due = await self._on_demand.next()
        if not due:
            return
        began = self._clock.now()
        source = replace(config.source, wait=min(config.source.wait, SLOT_WITHIN), attempts=1)
        order = Order(tuple(due), observed_since=began - config.fresh_for, trigger=Trigger.ON_DEMAND)
        summary = await self._collect(source, order)
        self._reporter.run_on_demand_ended(summary, began=began)
        self._on_demand.ended(summary)
        await self._check_stored(summary)

    async def _collect(self, source: Source, order: Order) -> Summary:
        try:
            summary = await collect(
                self._database,
                source,
                order,
                halt=self._access.halt,
                on_start=self._started,
                on_request=self._reporter.request_ended,
                on_outcome=self._on_demand.observed,
                clock=self._clock,
            )
        finally:
            self._status.active_run = None
        log_end(summary)
        self._blockers.remember(f"run {summary.run} was still in progress", until=self._clock.now())
        return summary

    async def _check_stored(self, summary: Summary) -> None:
        """Raise StorageError, after a pause has begun, if what came of a run could not all be written."""
        if summary.storage_error is not None:
            await self._pause_for_storage(summary.storage_error)
            raise summary.storage_error

    async def record_crash(self, error: Exception) -> None:
        """Record that the run in progress has failed by a bug of this program, and pause: it may happen again.

        What clients want meanwhile is refused, so that none waits for it.
        """
        self._log.error("run crashed", exc_info=error)
        self._pause()
        self._on_demand.pause("the last run crashed; see the log of the daemon")
        detail = crash_detail(error)
        self._reporter.run_crashed(detail)
        with suppress(DatabaseError, Halted, sqlite3.Error):  # then the next run marks it as interrupted
            async with self._access.exclusive(), self._access.writing() as writer:
                await schedules.record_crash(writer, detail, now=self._clock.now())
        again = instants.for_people(self._clock.now() + FIRST_PAUSE)
        self._status.block(f"a run crashed: nothing runs before {again} UTC, or a reload")

    async def _pause_for_storage(self, error: StorageError) -> None:
        """Pause, since requests whose answers cannot be stored would waste the quota."""
        self._pause()
        with suppress(DatabaseError, sqlite3.Error):
            async with self._access.writing() as writer:
                await schedules.record_crash(writer, str(error), now=self._clock.now())

    def _pause(self) -> None:
        self._paused_until = self._clock.monotonic() + nanoseconds(FIRST_PAUSE)

    def _started(self, active_run: ActiveRun) -> None:
        self._status.active_run = active_run
        self._status.beat()


def crash_detail(error: BaseException) -> str:
    """Return in one line that a run crashed, and where."""
    return f"crashed: {', '.join(_places(error))}; see the log for details"


def _places(error: BaseException) -> Iterator[str]:
    """Yield each error's class and place, without its text: that may hold anything, secrets included."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _places(inner)
        return
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = "" if frame is None else f" in {Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}"
    yield f"{type(error).__name__}{where}"
