"""Attendance: every few seconds a member says that it lives, checks its batches, and does what one does for all."""

from datetime import timedelta

from pipeline.clock import Clock
from pipeline.daemon.member_file import Following
from pipeline.fleet.batches import Batches
from pipeline.fleet.clock import FleetClock
from pipeline.fleet.ended_runs import note_reported, read_unreported
from pipeline.fleet.jobs import Jobs
from pipeline.fleet.members import Membership
from pipeline.fleet.pool import Pool, fetch
from pipeline.fleet.sweep import prune, sweep
from pipeline.instants import nanoseconds
from pipeline.monitoring.reporter import Reporter

PRUNE_EVERY = timedelta(minutes=1)
SWEEP, REPORT = "sweep", "report"
"""The tasks that one member does for all."""


class Attendance:
    """What is done at each sign of life, while a member is in its fleet. All of it raises FleetError."""

    def __init__(
        self,
        pool: Pool,
        membership: Membership,
        following: Following,
        *,
        reporter: Reporter,
        fleet_clock: FleetClock,
        clock: Clock,
    ) -> None:
        self.reports = False
        """Whether this member reports for all."""
        self._pool = pool
        self._membership = membership
        self.following = following
        self._reporter = reporter
        self._fleet_clock = fleet_clock
        self._clock = clock
        self._prune_at = clock.monotonic()
        self._seen: set[int] = set()
        """The runs that were under way when this member last looked."""

    async def attend(self, batches: Batches, jobs: Jobs, *, outcomes_kept: timedelta) -> bool:
        """Do it all once. Return False if this member has to join again, as `Membership.beat` says."""
        asked = self._clock.monotonic()
        self._fleet_clock.heard(await self._membership.measure_clock(), asked=asked)
        failure = None if batches.failure is None else str(batches.failure)
        trouble = self.following.trouble or failure or next(iter(batches.refusals), None)
        agrees = await self._membership.beat(followed=self.following.followed, trouble=trouble)
        await batches.check()
        await jobs.recover()
        if await self._membership.holds(SWEEP):
            await sweep(self._pool, jobs.app)
            await self._prune(outcomes_kept)
        self.reports = await self._membership.holds(REPORT)
        if self.reports:
            await self._report()
        return agrees

    async def _prune(self, outcomes_kept: timedelta) -> None:
        if self._clock.monotonic() >= self._prune_at:
            await prune(self._pool, outcomes_kept=outcomes_kept)
            self._prune_at = self._clock.monotonic() + nanoseconds(PRUNE_EVERY)

    async def _report(self) -> None:
        """Report which of the fleet's runs have begun, ended or been missed."""
        under_way = dict(await fetch(self._pool, _UNDER_WAY))
        for run in under_way.keys() - self._seen:
            self._reporter.fleet_run_started(under_way[run])
        self._seen = set(under_way)
        unreported = await read_unreported(self._pool)
        if unreported.ended:
            ((head,),) = await fetch(self._pool, "SELECT seq FROM fleet.log_head")
            await self.following.reach(head)  # what the documents show is read from the file
        for times in unreported.missed:
            self._reporter.fire_times_missed(times.schedule, times.count, times.until, times.reason)
        for run in unreported.ended:
            self._reporter.run_ended(run.summary, run.schedule, run.fire_time, began=run.began)
        await note_reported(self._pool, unreported)


_UNDER_WAY = "SELECT id, scheduled_for FROM fleet.runs WHERE status = 'running' AND scheduled_for IS NOT NULL"
