"""The daemon's loop: wake up, find out what is due, do it.

Whatever wakes it (a fire time, a heartbeat, a reload), it asks the database the same question: is there a fire time
that no run exists for, or a run to resume? So no timer has to be trusted, and no state has to survive a crash.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from pipeline import instants
from pipeline.clock import REAL_CLOCK, Clock
from pipeline.collect.halt import INTERRUPT_GRACE, Halted
from pipeline.collect.on_demand import NotCollected
from pipeline.daemon import systemd
from pipeline.daemon.access import DatabaseAccess
from pipeline.daemon.config import DaemonConfig
from pipeline.daemon.heart import Heart
from pipeline.daemon.maintenance import Maintenance
from pipeline.daemon.missed import record_missed_times
from pipeline.daemon.on_demand import OnDemand
from pipeline.daemon.runner import Runner
from pipeline.errors import Trouble
from pipeline.model.firings import Firing
from pipeline.monitoring import heartbeat
from pipeline.monitoring.reporter import Reporter
from pipeline.quota.estimate import finish_at
from pipeline.quota.keys import ApiKey
from pipeline.quota.ledger_time import UntrustedClock
from pipeline.quota.stored import quotas_of, shift_of
from pipeline.schedule.next_run import Decision, FreeAt, decide, first_since
from pipeline.store.database import DatabaseError, is_temporary
from pipeline.store.marker import record_gone
from pipeline.store.reader import NoData, Reader
from pipeline.store.record import Begin
from pipeline.store.renames import record_renames
from pipeline.store.schedules import activate, last_firings
from pipeline.store.universe import record_list
from pipeline.uptime import Uptime


class Daemon:
    """Runs what is scheduled, until it is stopped."""

    def __init__(
        self,
        database: Path,
        config: DaemonConfig,
        *,
        reload_config: Callable[[], DaemonConfig],
        reporter: Reporter,
        begin: Begin = Begin.FIRST,
        clock: Clock = REAL_CLOCK,
    ) -> None:
        """`begin`: when a record may be begun, at the start. Later on, a file that vanishes ends the daemon."""
        self._database = database
        self._config = config
        self._reload_config = reload_config
        self._reporter = reporter
        self._clock = clock
        self.idle = asyncio.Event()
        """Set while there is nothing to do."""
        self._woken = asyncio.Event()
        self._wanted, self._in_force = 1, 0
        """The version of the configuration that is wanted (a step of the clock makes a new one), and the one in force.

        0: none is in force, because the daemon has just started or the database was replaced."""
        self._reset_at = clock.now()
        """When the daemon was started or reloaded: then runs that failed are retried at once."""
        self._heart = Heart(database, config.schedules, wake=self._wake, clock=clock)
        self.status = self._heart.status
        self._access = DatabaseAccess(database, begin, self.status, clock)
        self._maintenance = Maintenance(database, self._access, clock)
        self.on_demand = OnDemand(
            database,
            wake=self._wake,
            why_not=self.why_not_ready,
            active_run=lambda: None if self.status.active_run is None else self.status.active_run.id,
            config=lambda: self._config,
            clock=clock,
        )
        """Where clients ask for symbols that are not fresh."""
        self._runner = Runner(
            database,
            self._access,
            self.status,
            self.on_demand,
            blockers=self._heart.blockers,
            reporter=reporter,
            clock=clock,
        )

    def stop(self) -> None:
        """Stop in order: start nothing more, and let the requests in flight finish within `INTERRUPT_GRACE`."""
        self._access.stop()
        systemd.stopping("stopping")
        if self.status.active_run is not None:
            asyncio.get_running_loop().call_later(
                INTERRUPT_GRACE.total_seconds(), self.status.active_run.cancel_requests
            )
        self._wake()
        self.status.beat()

    def reload(self) -> None:
        """Read the configuration again. If it is wrong, report that and keep the previous one."""
        systemd.reloading()
        try:
            self._config = self._reload_config()
        except Trouble as trouble:
            self.status.refuse_configuration(trouble)
        else:
            self.status.accept_configuration(self._config.schedules)
            self._reporter.scope = self._config.scope
            self._reset_at = self._clock.now()
            self._runner.end_pause()
            self.on_demand.end_pause()
            self._wanted += 1
            self._heart.timer.set(self._config.schedules)
        self._reporter.configuration_reloaded(self.status.refused)
        self._wake()
        self.status.beat()
        self.status.report_ready()

    def why_not_ready(self) -> str | None:
        """Return why the daemon cannot run what is due, None if it can, or does."""
        if why := self.status.why_not_ready():
            return why
        return None if self._in_force or self.status.active_run is not None else "starting"

    async def run(self) -> None:
        """Serve until stopped. Raise DatabaseError for a file that waiting will not make usable."""
        self._heart.timer.start()
        self._heart.timer.set(self._config.schedules)
        beats = asyncio.create_task(
            self._heart.beat(ask_store=self._ask_store, report=self._reporter.check, check_clock=self._check_clock),
            name="heartbeat",
        )
        try:
            await self._serve()
        finally:
            beats.cancel()
            with suppress(asyncio.CancelledError):
                await beats
            self._heart.timer.stop()
            self.on_demand.refuse_all(NotCollected("the daemon is stopping"))
            heartbeat.remove(self._database)

    def _wake(self) -> None:
        self.idle.clear()
        self._woken.set()

    async def _serve(self) -> None:
        """Do what is due, then wait to be woken, and check again."""
        while not self.status.is_stopping:
            self._woken.clear()
            self._check_clock()
            try:
                while await self._do_next():
                    pass
            except Halted:
                continue
            except DatabaseError as error:
                self._reporter.storage_failed(error)
                if not is_temporary(error):
                    raise
                self.status.block(str(error))
            except UntrustedClock as error:
                self._reporter.clock_refused(error)
                self._runner.pause_for_clock()
                self.status.block(str(error))
            except Exception as error:  # noqa: BLE001 - the daemon outlives its own bugs: they are logged and recorded
                await self._runner.record_crash(error)
            if not self._woken.is_set():
                self.status.log_next_run()
                self.idle.set()
                await self._woken.wait()

    async def _ask_store(self) -> None:
        """Return once the store has answered. An error counts as an answer: what needs the store will report it."""
        with suppress(DatabaseError):
            if self.status.active_run is not None:
                await self.status.active_run.wait_for_store()
            elif self._in_force:
                await asyncio.to_thread(last_firings, self._database, now=self._clock.now())

    def _check_clock(self) -> None:
        """If the clock was set, plan by the new time."""
        step = self._heart.clock_watch.check_for_step()
        if step:
            self._reset_at += min(step, timedelta())
            self._runner.end_pause_for_clock()
            self._wanted += 1
            self._heart.timer.set(self._config.schedules)

    async def _do_next(self) -> bool:
        """Do the next thing that is due. Return whether there was one."""
        now = self._clock.now()
        if now < instants.EARLIEST_PLAUSIBLE:
            self.status.block(f"the clock is not set: it says {now.date()}")
            return False
        if self._config.changes_at is not None and self._config.changes_at <= now:
            self._config = replace(self._config, changes_at=None)  # once, also if what is read is refused
            self.reload()
        if self._runner.is_paused:
            return False
        if self._in_force == self._wanted and (await self._decide()).is_idle and self._in_force:
            if self.on_demand.is_wanted:
                await self._runner.run_on_demand(self._config)
                self.status.beat()
                return True
            await self._maintenance.run(self._config)
            self._unblock()
            return False
        async with self._access.exclusive():
            # While it waited for the lock, the clock may have been set, or the configuration reloaded.
            self._check_clock()
            config = self._config
            decision = await self._prepare(config)
            self._unblock()
            self.status.report_ready()
            self._access.check()
            if decision.run is not None:
                await self._runner.run(decision.run, config)
                await self._maintenance.checkpoint()
                self.status.beat()
        return True

    async def _prepare(self, config: DaemonConfig) -> Decision:
        """Put the configuration in force, record missed fire times, and return what is due. The lock is held."""
        wanted, now = self._wanted, self._clock.now()
        if await self._access.prepare(config.source.limits):
            self._reporter.record_begun()
        async with self._access.writing() as writer:
            if self._in_force != wanted:
                since = self._reset_at if instants.EARLIEST_PLAUSIBLE < self._reset_at < now else now
                await activate(writer, first_since(config.schedules, now), since=since, now=now)
                await record_list(writer, config.listed, at=now)
                await record_renames(writer, *config.renames)
                self._reporter.schedules_in_force(map(str, config.schedules))
                self._in_force = wanted
            decision = await self._decide()
            for past in decision.missed:
                await record_missed_times(writer, past, blockers=self._heart.blockers, reporter=self._reporter)
        return decision

    async def _decide(self) -> Decision:
        now, config = self._clock.now(), self._config
        last, free_at = await asyncio.to_thread(_read, self._database, config.source.keys, now, self._clock.uptime())
        decision = decide(
            config.schedules, last, now=now, resume=config.resumes, reset_at=self._reset_at, free_at=free_at
        )
        if not last.keys() >= set(map(str, config.schedules)):
            self._in_force = 0  # the file was replaced, by a backup for example
        if decision.resumes_at != self.status.resumes_at:
            self.status.resumes_at = decision.resumes_at
            self.status.beat()
        return decision

    def _unblock(self) -> None:
        if self.status.unblock():
            self._reporter.database_opened()


def _read(
    database: Path, keys: Sequence[ApiKey], now: datetime, uptime: Uptime | None
) -> tuple[dict[str, Firing], FreeAt]:
    """Return each schedule's last firing, and when the quota admits a request. Raise DatabaseError."""
    try:
        last = last_firings(database, now=now)
        ended = min((one.finished_at for one in last.values() if one.finished_at), default=now)
        with Reader.open(database) as reader:
            quotas = quotas_of(reader, keys, now=min(ended, now), shift=shift_of(reader, wall=now, uptime=uptime))
    except NoData:
        raise record_gone(database) from None
    return last, lambda at: finish_at(quotas, requests=1, now=at) or at
