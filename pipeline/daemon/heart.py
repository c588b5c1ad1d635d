"""The heart: what lives as long as the process, and beats: its status, its timer, and the watch on clocks and store."""

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

import structlog

from pipeline.clock import Clock
from pipeline.daemon import systemd
from pipeline.daemon.blockers import Blockers
from pipeline.daemon.clock_watch import ClockWatch
from pipeline.daemon.status import DaemonStatus
from pipeline.daemon.store_probe import StoreProbe
from pipeline.daemon.timer import Timer
from pipeline.errors import Trouble
from pipeline.monitoring import heartbeat
from pipeline.schedule.cron import Schedule
from pipeline.store.lock import keep_daemon_lock


class Heart:
    """The parts that every daemon has."""

    def __init__(
        self, database: Path, schedules: Sequence[Schedule], *, wake: Callable[[], None], clock: Clock
    ) -> None:
        """`wake` is called at fire times, and at each beat."""
        self.timer = Timer(wake)
        self.blockers = Blockers(clock.now())
        self.clock_watch = ClockWatch(clock, self.timer, self.blockers)
        self.probe = StoreProbe(clock)
        self.status = DaemonStatus(
            database,
            schedules,
            blockers=self.blockers,
            clock_watch=self.clock_watch,
            probe=self.probe,
            clock=clock,
        )
        self._database = database
        self._second_daemon = ""
        self._wake = wake
        self._clock = clock
        self._log = structlog.get_logger()

    async def beat(
        self,
        *,
        ask_store: Callable[[], Coroutine[None, None, None]],
        report: Callable[[], None],
        check_clock: Callable[[], None],
    ) -> None:
        """Write a heartbeat and check the clocks every `heartbeat.PERIOD`, whatever else happens; until cancelled.

        `ask_store` returns once the store has answered.
        """
        period = min(heartbeat.PERIOD, (systemd.watchdog_period() or 2 * heartbeat.PERIOD) / 2)
        while True:
            beat_at = self._clock.monotonic()
            try:
                self._keep_lock()
                self.probe.start(ask_store)
                self.status.beat()
                report()
            except Exception:  # noqa: BLE001 - the heartbeat outlives its own bugs
                self._log.exception("heartbeat failed")
            await self._clock.sleep(period.total_seconds())
            try:
                check_clock()
                self.clock_watch.check_timer(since=beat_at)
            except Exception:  # noqa: BLE001 - the heartbeat outlives its own bugs
                self._log.exception("clock check failed")
            self._wake()

    def _keep_lock(self) -> None:
        """Lock the daemon's lock again, if somebody has removed its file. Log once if another daemon was faster."""
        problem = ""
        try:
            keep_daemon_lock(self._database, now=self._clock.now())
        except Trouble as trouble:
            problem = str(trouble)
        if problem and problem != self._second_daemon:
            self._log.error(problem)
        self._second_daemon = problem
