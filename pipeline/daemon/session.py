"""A session: what a member does with one configuration, from when it has joined until it stops or is reconfigured."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import structlog

from pipeline.clock import Clock
from pipeline.collect.ports import Engine
from pipeline.daemon.attendance import Attendance
from pipeline.daemon.config import DaemonConfig
from pipeline.daemon.fleet_on_demand import OnDemandRuns
from pipeline.daemon.fleet_schedule import FleetSchedule
from pipeline.daemon.runner import crash_detail
from pipeline.daemon.status import DaemonStatus
from pipeline.errors import Trouble
from pipeline.fleet.batches import ASIDE, Batches, Later
from pipeline.fleet.clock import FleetClock
from pipeline.fleet.connection import FleetError
from pipeline.fleet.jobs import Jobs
from pipeline.fleet.members import BEAT_EVERY
from pipeline.fleet.pool import Pool, fetch
from pipeline.fleet.tasks import end
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.monitoring.reporter import Reporter
from pipeline.store.database import DatabaseError

_AFTER_A_CRASH = timedelta(seconds=5)
_MARGIN = timedelta(seconds=0.05)
"""PostgreSQL's clock is known to a round trip: without it, it might not be quite time yet."""


class Session:
    """Does jobs, gives signs of life, and decides what is due, side by side."""

    def __init__(
        self,
        pool: Pool,
        engine: Engine,
        config: DaemonConfig,
        *,
        member: str,
        attendance: Attendance,
        schedule: FleetSchedule,
        on_demand: OnDemandRuns,
        status: DaemonStatus,
        reporter: Reporter,
        fleet_clock: FleetClock,
        clock: Clock,
        prepare: Callable[[], Awaitable[bool]],
        join: Callable[[], Awaitable[None]],
        on_contact: Callable[[Trouble | None], None],
    ) -> None:
        """`prepare` is called before each decision; the session ends if it returns False. `join` joins again.

        `on_contact`: called when PostgreSQL has answered (None), or has not.
        """
        self.idle = asyncio.Event()
        """Set while there is nothing to decide."""
        self._pool = pool
        self._config = config
        self._attendance = attendance
        self._schedule = schedule
        self._on_demand = on_demand
        self._status = status
        self._reporter = reporter
        self._fleet_clock = fleet_clock
        self._clock = clock
        self._prepare = prepare
        self._join = join
        self._on_contact = on_contact
        self._woken = asyncio.Event()
        self._is_over = False
        self._mend_at: Nanoseconds | None = None
        self._batches = Batches(
            pool,
            engine,
            config.source,
            clock=fleet_clock.as_clock(),
            on_request=reporter.request_ended,
            on_change=self._show_batches,
            step_aside=lambda: self._jobs.step_aside(ASIDE),
        )
        self._jobs = Jobs(pool, self._do, name=member, now=fleet_clock.now, clock=clock)
        self._log = structlog.get_logger()

    async def run(self) -> None:
        """Do it all until the session is over. Raise Trouble if this machine cannot be a member any more."""
        works = asyncio.create_task(self._jobs.run(), name="jobs")
        attends = asyncio.create_task(self._attend(), name="attendance")
        decides = asyncio.create_task(self._decide(), name="decisions")
        try:
            await asyncio.wait({attends, decides, works}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.end()
            await end(attends)
            await asyncio.wait({attends, decides, works})
        for task in (attends, decides, works):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def end(self) -> None:
        """End the session in order: requests that are out may finish, and the rest of the batches is for others."""
        if not self._is_over:
            self._is_over = True
            self._batches.stop()
            self._jobs.stop()
            self._on_demand.stop()
        self.wake()

    def wake(self) -> None:
        """Look again for what is due."""
        self.idle.clear()
        self._woken.set()

    async def _decide(self) -> None:
        while not self._is_over:
            self._woken.clear()
            try:
                if not await self._prepare():
                    return
                while await self._schedule.do_next() or await self._on_demand.run():
                    pass
                self._show_resumption()
                self._on_contact(None)
            except (FleetError, DatabaseError) as error:
                self._on_contact(error)
            except Trouble:
                raise
            except Exception as error:  # noqa: BLE001 - a member outlives its own bugs: they are logged and reported
                self._crashed(error)
                await self._clock.sleep(_AFTER_A_CRASH.total_seconds())
            if not self._woken.is_set():
                self._status.log_next_run()
                self.idle.set()
                await self._rest()

    async def _rest(self) -> None:
        """Wait to be woken, or for the next fire time by PostgreSQL's clock: the timer rings by the one here."""
        now = self._fleet_clock.now()
        at = self._schedule.next_fire_time(now)
        within = None if at is None else (at - now + _MARGIN).total_seconds()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._woken.wait()

    async def _attend(self) -> None:
        """Attend at once, and then every few seconds. Raise Trouble if this machine cannot be a member any more."""
        while True:
            try:
                kept = self._config.outcomes_kept
                if not await self._attendance.attend(self._batches, self._jobs, outcomes_kept=kept):
                    await self._join()
                self._on_contact(None)
                self._mend()
                await self._show_last_run()
            except FleetError as error:
                self._on_contact(error)
            except Trouble:
                raise
            except Exception as error:  # noqa: BLE001 - the same
                self._crashed(error)
            self.wake()
            await self._clock.sleep(BEAT_EVERY.total_seconds())

    def _mend(self) -> None:
        """If a batch could not be stored, leave jobs to others for a while; then end, to begin with a new engine."""
        now, failure = self._clock.monotonic(), self._batches.failure
        if failure is None:
            self._mend_at = None
        elif self._mend_at is None:
            self._mend_at = now + nanoseconds(ASIDE)
            self._jobs.step_aside(ASIDE)
            self._reporter.storage_failed(DatabaseError(str(failure)))
        elif now >= self._mend_at:
            self.end()

    async def _do(self, run: int, number: int) -> None:
        """Do a batch. One that crashes ends its run as failed, which is resumed later, as that of a single machine."""
        try:
            await self._batches.do(run, number)
        except (Later, FleetError):
            raise
        except Exception as error:  # noqa: BLE001 - the same
            detail = self._crashed(error)
            await fetch(self._pool, "SELECT fleet.halt_run(%s, 'failed', %s, false)", run, detail)
            raise Later(self._fleet_clock.now()) from None

    def _crashed(self, error: Exception) -> str:
        self._log.error("crashed", exc_info=error)
        detail = crash_detail(error)
        self._reporter.run_crashed(detail)
        return detail

    def _show_batches(self) -> None:
        self._status.active_run = next(iter(self._batches.active), None)
        self._status.beat()

    def _show_resumption(self) -> None:
        if self._schedule.resumes_at != self._status.resumes_at:
            self._status.resumes_at = self._schedule.resumes_at
            self._status.beat()

    async def _show_last_run(self) -> None:
        """Show how the last run of the fleet ended, once the file has its end."""
        with suppress(DatabaseError):  # reported by what follows into the file
            last = await self._attendance.following.last_run()
            if last != self._status.last_run:
                self._status.last_run = last
                self._status.beat()
