"""The member's loop: a machine of a fleet wakes up, finds out what is due, and does its part of it.

Like `daemon/loop`, it trusts no timer, and keeps no state that a crash could lose: it asks PostgreSQL. What is to be
requested comes as jobs (`fleet/jobs`); what came back, from any member, is followed into the file (`following`).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from pipeline import instants
from pipeline.clock import REAL_CLOCK, Clock
from pipeline.collect.on_demand import NotCollected
from pipeline.daemon import systemd
from pipeline.daemon.access import DatabaseAccess
from pipeline.daemon.agreeing import join_again, join_with
from pipeline.daemon.attendance import Attendance
from pipeline.daemon.config import DaemonConfig
from pipeline.daemon.fleet_on_demand import OnDemandRuns
from pipeline.daemon.fleet_schedule import FleetSchedule
from pipeline.daemon.heart import Heart
from pipeline.daemon.member_file import Following
from pipeline.daemon.on_demand import OnDemand
from pipeline.daemon.session import Session
from pipeline.errors import ExitCode, Trouble
from pipeline.fleet.agreement import Disagreement
from pipeline.fleet.clock import FleetClock
from pipeline.fleet.connection import FleetError
from pipeline.fleet.engine import open_fleet_engine
from pipeline.fleet.install import check_fleet
from pipeline.fleet.members import Membership
from pipeline.fleet.pool import Pool, open_pool
from pipeline.monitoring import heartbeat
from pipeline.monitoring.reporter import Reporter
from pipeline.store.database import DatabaseError, StorageError
from pipeline.store.record import Begin
from pipeline.store.schedules import last_firings

CONNECTIONS = 8
"""To PostgreSQL, at most: for two batches, the log, the file, and the questions of the loop."""
_AGAIN = timedelta(seconds=3)
"""Before this machine tries to join again, when PostgreSQL could not be reached."""


class Member:
    """Takes part in a fleet, until it is stopped."""

    def __init__(
        self,
        database: Path,
        config: DaemonConfig,
        *,
        url: str,
        name: str,
        reload_config: Callable[[], DaemonConfig],
        reporter: Reporter,
        begin: Begin = Begin.FIRST,
        clock: Clock = REAL_CLOCK,
    ) -> None:
        """`url`: where the fleet's PostgreSQL is. `name`: what this machine is called. `begin`: as for a daemon."""
        self._database = database
        self._config = config
        self._url = url
        self._name = name
        self._reload_config = reload_config
        self._reporter = reporter
        self._clock = clock
        self._fleet_clock = FleetClock(clock)
        self._new_config: DaemonConfig | None = None
        """Loaded, and to be put in force if the fleet agrees."""
        self._session: Session | None = None
        self._schedule: FleetSchedule | None = None  # since this machine was started or reloaded
        self._attendance: Attendance | None = None
        self._following: Following | None = None
        self._woken = asyncio.Event()
        self._heart = Heart(database, config.schedules, wake=self._wake, clock=clock)
        self.status = self._heart.status
        self._access = DatabaseAccess(database, begin, self.status, clock)
        self.on_demand = OnDemand(
            database,
            wake=self._wake,
            why_not=self.why_not_ready,
            active_run=lambda: None,
            config=lambda: self._config,
            clock=clock,
        )
        """Where clients ask for symbols that are not fresh."""

    def stop(self) -> None:
        """Stop in order: begin nothing more, and let the requests that are out finish within `INTERRUPT_GRACE`."""
        self._access.stop()
        systemd.stopping("stopping")
        if self._session is not None:
            self._session.end()
        self._wake()
        self.status.beat()

    def reload(self) -> None:
        """Read the configuration again. If it is wrong, or the others do not agree, the previous one stays in force."""
        systemd.reloading()
        try:
            self._new_config = self._reload_config()
        except Trouble as trouble:
            self._refuse(trouble)
        self._wake()

    def why_not_ready(self) -> str | None:
        """Return why this machine cannot take part, None if it does."""
        is_there = self._session is not None and self._following is not None and self._following.is_ready.is_set()
        return self.status.why_not_ready() or (None if is_there else "starting")

    async def run(self) -> None:
        """Take part until stopped. Raise Trouble for what waiting cannot change."""
        self._heart.timer.start()
        self._heart.timer.set(self._config.schedules)
        heart = self._heart.beat(ask_store=self._ask_store, report=self._report, check_clock=self._check_clock)
        beats = asyncio.create_task(heart, name="heartbeat")
        try:
            async with open_pool(self._url, size=CONNECTIONS) as pool:
                await self._wait_for_fleet()
                await self._serve(pool)
        finally:
            beats.cancel()
            with suppress(asyncio.CancelledError):
                await beats
            self._heart.timer.stop()
            self.on_demand.refuse_all(NotCollected("the daemon is stopping"))
            heartbeat.remove(self._database)

    async def _wait_for_fleet(self) -> None:
        """Return once PostgreSQL has answered, or when stopped. Raise FleetError if the fleet there is of no use."""
        while not self.status.is_stopping:
            try:
                await asyncio.to_thread(check_fleet, self._url)
            except FleetError as error:
                await self._wait_after(error)
            else:
                return

    async def _serve(self, pool: Pool) -> None:
        """Follow, and have one session after another. Leave the fleet at the end."""
        membership = Membership(pool, self._clock)
        self._following = following = Following(
            self._database, pool, self._config, access=self._access, reporter=self._reporter, clock=self._clock
        )
        follows = asyncio.create_task(following.run(), name="following")
        self._attendance = Attendance(
            pool, membership, following, reporter=self._reporter, fleet_clock=self._fleet_clock, clock=self._clock
        )
        works = asyncio.create_task(self._have_sessions(pool, membership, self._attendance), name="sessions")
        try:
            await asyncio.wait({follows, works}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.stop()
            following.stop()
            await asyncio.wait({follows, works})
            await membership.leave_soon()
        await asyncio.gather(works, follows)  # raises the error of one

    async def _have_sessions(self, pool: Pool, membership: Membership, attendance: Attendance) -> None:
        while not self.status.is_stopping:
            try:
                await self._join(pool, membership, attendance.following)
                await self._have_session(pool, membership, attendance)
            except (FleetError, StorageError) as error:
                await self._wait_after(error)

    async def _wait_after(self, error: Trouble) -> None:
        """Wait a moment, as PostgreSQL could not be reached. Raise the error if waiting cannot help."""
        if error.exit_code == ExitCode.REFUSED:
            raise error
        self._note_contact(error)
        await self._pause(_AGAIN)

    async def _join(self, pool: Pool, membership: Membership, following: Following) -> None:
        """Join with what is in force here, or is configured by now. Raise what `join_again` raises."""
        new = await join_again(pool, membership, self._name, self._config, self._reload_config)
        if new is not None:
            self._put_in_force(new, following)
            if self._session is not None:
                self._session.end()

    async def _have_session(self, pool: Pool, membership: Membership, attendance: Attendance) -> None:
        config, member, following = self._config, self._name, attendance.following
        if self._schedule is None:
            self._schedule = FleetSchedule(pool, config, member=member, blockers=self._heart.blockers)
        async with open_fleet_engine(
            pool, config.source, member=member, instance=membership.instance, clock=self._fleet_clock
        ) as engine:
            self._session = Session(
                pool,
                engine,
                config,
                member=member,
                attendance=attendance,
                schedule=self._schedule,
                on_demand=OnDemandRuns(
                    pool,
                    config,
                    self.on_demand,
                    following,
                    member=member,
                    membership=membership,
                    reporter=self._reporter,
                    fleet_clock=self._fleet_clock,
                ),
                status=self.status,
                reporter=self._reporter,
                fleet_clock=self._fleet_clock,
                clock=self._clock,
                prepare=partial(self._prepare, pool, membership, following),
                join=partial(self._join, pool, membership, following),
                on_contact=self._note_contact,
            )
            if self.status.is_stopping:
                self._session.end()
            try:
                await engine.results.record_list(config.listed, at=self._fleet_clock.now())
                self._reporter.schedules_in_force(map(str, config.schedules))
                self.status.report_ready()
                await self._session.run()
            finally:
                self._session = None

    async def _prepare(self, pool: Pool, membership: Membership, following: Following) -> bool:
        """Put another configuration in force, if one was loaded. Return whether the session goes on."""
        now = self._fleet_clock.now()
        if now < instants.EARLIEST_PLAUSIBLE:
            raise FleetError(f"the clock of PostgreSQL is not set: it says {now.date()}")
        if self._config.changes_at is not None and self._config.changes_at <= now:
            self._config = replace(self._config, changes_at=None)  # once, also if what is read is refused
            self.reload()
        if self._new_config is None:
            return True
        config, self._new_config = self._new_config, None
        try:
            await join_with(pool, membership, self._name, config)
        except Disagreement as trouble:
            self._refuse(trouble)
            return True
        self._put_in_force(config, following)
        return False

    def _put_in_force(self, config: DaemonConfig, following: Following) -> None:
        """Go on with another configuration, with which this machine has joined."""
        self._config, self._schedule = config, None
        self.status.accept_configuration(config.schedules)
        self._reporter.scope = config.scope
        self._heart.timer.set(config.schedules)
        following.reconfigure(config)
        self.on_demand.end_pause()
        self._reporter.configuration_reloaded(None)
        self.status.beat()

    def _refuse(self, trouble: Trouble) -> None:
        self.status.refuse_configuration(trouble)
        self._reporter.configuration_reloaded(self.status.refused)
        self.status.beat()
        self.status.report_ready()

    def _note_contact(self, error: Trouble | None) -> None:
        """Note that PostgreSQL has answered, or has not: then nothing can be done."""
        if error is not None:
            if not self.status.is_blocked:
                self._reporter.storage_failed(DatabaseError(str(error)))
            self.status.block(str(error))
        elif self.status.unblock():
            self._reporter.database_opened()

    def _report(self) -> None:
        self._reporter.check(of_record=self._attendance is not None and self._attendance.reports)

    async def _ask_store(self) -> None:
        """Return once the file has answered. An error counts as an answer: what needs the file will report it."""
        with suppress(DatabaseError):
            await asyncio.to_thread(last_firings, self._database, now=self._clock.now())

    def _check_clock(self) -> None:
        """If the clock here was set, wake by the new time. What is due, PostgreSQL's says."""
        if self._heart.clock_watch.check_for_step():
            self._heart.timer.set(self._config.schedules)

    def _wake(self) -> None:
        self._woken.set()
        if self._session is not None:
            self._session.wake()

    async def _pause(self, span: timedelta) -> None:
        """Wait, but not longer than until something happens."""
        self._woken.clear()
        if not self.status.is_stopping:
            with suppress(TimeoutError):
                async with asyncio.timeout(span.total_seconds()):
                    await self._woken.wait()
