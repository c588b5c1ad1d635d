"""The daemon's own status: written to the heartbeat file, reported to systemd, and answered by the health checks."""

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import structlog

from pipeline import instants
from pipeline.clock import Clock
from pipeline.collect.active_run import ActiveRun
from pipeline.daemon import systemd
from pipeline.daemon.blockers import Blockers
from pipeline.daemon.clock_watch import ClockWatch
from pipeline.daemon.store_probe import StoreProbe
from pipeline.errors import Trouble, file_reason
from pipeline.monitoring import heartbeat
from pipeline.monitoring.checks import silent_store
from pipeline.monitoring.heartbeat import DaemonState, Heartbeat
from pipeline.schedule.cron import Schedule
from pipeline.store.migrate import Progress

_MIGRATION_LOGGED_EVERY = timedelta(seconds=10)


class LastRun(NamedTuple):
    """A run that has ended, and how."""

    run: int
    status: str


class DaemonStatus:
    """Collects what the parts of the daemon know, and reports it. The daemon's parts set the public attributes."""

    def __init__(
        self,
        database: Path,
        schedules: Sequence[Schedule],
        *,
        blockers: Blockers,
        clock_watch: ClockWatch,
        probe: StoreProbe,
        clock: Clock,
    ) -> None:
        self.schedules = schedules
        self.is_stopping = False
        self.active_run: ActiveRun | None = None
        """The run in progress."""
        self.last_run: LastRun | None = None
        """The last run of this daemon, or of its fleet, that has ended."""
        self.resumes_at: datetime | None = None
        """When the last run, which was cut short, is resumed."""
        self.refused: str | None = None
        """Why the last reload failed, None if it did not."""
        self._database = database
        self._blockers = blockers
        self._clock_watch = clock_watch
        self._probe = probe
        self._clock = clock
        self._started_at = clock.now()
        self._logged: dict[str, datetime | None] = {}
        self._is_unwritable = False
        self._migration_logged = instants.EARLIEST_PLAUSIBLE
        self._log = structlog.get_logger()
        self.heartbeat = self._read()

    def refuse_configuration(self, trouble: Trouble) -> None:
        """Note and log why a configuration was rejected: the previous one stays in force."""
        self.refused = str(trouble)
        self._log.error("configuration rejected, the previous one stays in force", error=self.refused)

    def accept_configuration(self, schedules: Sequence[Schedule]) -> None:
        """Note and log that another configuration is in force, with these schedules."""
        self.refused = None
        self.schedules = schedules
        self._log.info("configuration reloaded")

    def beat(self) -> None:
        """Write the heartbeat, and report to systemd: with a sign of life only if the store answers."""
        self.heartbeat = self._read()
        self._write()
        if self.why_unhealthy() is None:
            systemd.watchdog()
        systemd.status(self.line())

    def report_ready(self) -> None:
        """Report to systemd that the daemon has started, or has reloaded its configuration."""
        systemd.ready(self.line())

    def report_migration(self, progress: Progress) -> None:
        """Note that a migration blocks runs, and log and report to systemd how far it has come, now and then.

        Nothing of one that takes no time.
        """
        now, name = self._clock.now(), progress.migration.name
        if progress.is_complete or abs(now - self._migration_logged) < _MIGRATION_LOGGED_EVERY:
            return
        self._migration_logged = now
        self.block(f"the database is being migrated ({name})")
        self._log.info("migrating", migration=name, rows=progress.done, of=progress.total)
        systemd.status(f"migrating the database ({name}): {progress.done:,} of {progress.total:,} rows")

    def block(self, reason: str) -> None:
        """Note, log and report why nothing can run."""
        if self._blockers.block(reason, now=self._clock.now()):
            self._log.warning("runs are blocked", reason=reason)
            self.beat()
            self.report_ready()

    def unblock(self) -> bool:
        """Note that something can run. Return whether something had blocked it."""
        was_blocked = self._blockers.clear(now=self._clock.now())
        if was_blocked:
            self.beat()
        return was_blocked

    @property
    def is_blocked(self) -> bool:
        """Whether it is known that nothing can run."""
        return self._blockers.current is not None

    def why_unhealthy(self) -> str | None:
        """Return why the daemon is unhealthy, None if it is healthy."""
        problem = silent_store(self._probe.silence)
        return None if problem is None else str(problem)

    def why_not_ready(self) -> str | None:
        """Return why the daemon cannot run what is due, None if it can."""
        return "stopping" if self.is_stopping else self._blockers.current

    def line(self) -> str:
        """Return what the daemon is doing, for `systemctl status`."""
        if self._blockers.current is not None:
            return self._blockers.current
        at = self.heartbeat.next_fire
        return str(self._state()) + ("" if at is None else f", next run {instants.for_people(at)} UTC")

    def log_next_run(self) -> None:
        """Log when there will be something to do, if that has changed since it was last logged."""
        times = {"at": self.heartbeat.next_fire, "resumes_at": self.resumes_at}
        if times != self._logged:
            self._logged = times
            shown = {name: f"{instants.for_people(at)} UTC" for name, at in times.items() if at is not None}
            self._log.info("next run", **shown)

    def _read(self) -> Heartbeat:
        now = self._clock.now()
        return Heartbeat(
            pid=os.getpid(),
            started_at=self._started_at,
            at=now,
            state=self._state(),
            run=None if self.active_run is None else self.active_run.id,
            blocked_by=self._blockers.current,
            next_fire=min(filter(None, (schedule.next(now) for schedule in self.schedules)), default=None),
            resumes_at=self.resumes_at,
            last_run=None if self.last_run is None else self.last_run.run,
            last_status=None if self.last_run is None else self.last_run.status,
            silent_seconds=round(self._probe.silence.total_seconds(), 1),
            refused=self.refused,
            timer_restarts=self._clock_watch.timer_restarts,
        )

    def _state(self) -> DaemonState:
        if self.is_stopping:
            return DaemonState.STOPPING
        if self.active_run is not None:
            return DaemonState.COLLECTING
        return DaemonState.IDLE if self._blockers.current is None else DaemonState.WAITING

    def _write(self) -> None:
        try:
            heartbeat.write(self._database, self.heartbeat)
        except OSError as error:
            if not self._is_unwritable:
                path = heartbeat.heartbeat_path(self._database)
                self._log.warning("heartbeat not written", file=str(path), error=file_reason(error))
            self._is_unwritable = True
        else:
            self._is_unwritable = False
