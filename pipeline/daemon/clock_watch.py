"""Clock watch: detects a step of the wall clock (set, or the machine slept) and a stalled timer."""

from datetime import timedelta

import structlog

from pipeline.clock import Clock
from pipeline.daemon.blockers import CLOCK_STEPPED, Blockers
from pipeline.daemon.timer import Timer
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.monitoring import heartbeat

STEP = timedelta(seconds=2)
"""The wall clock was set if it drifts from the process's own clock by more than this between two checks."""
TIMER_LATE = timedelta(seconds=5)
"""A timer that is overdue by more than this has stalled."""


class ClockWatch:
    """Compares the wall clock with the process's own at each heartbeat, and the timer with both."""

    def __init__(self, clock: Clock, timer: Timer, blockers: Blockers) -> None:
        self.timer_restarts = 0
        self._clock = clock
        self._timer = timer
        self._blockers = blockers
        self._wall, self._own = clock.now(), clock.monotonic()
        self._log = structlog.get_logger()

    def check_for_step(self) -> timedelta:
        """Return by how much the wall clock was set since the last check: 0 if it was not, negative if it was set back.

        On systems where the process's own clock stands still while the machine sleeps, a sleep is a step forward.
        """
        step = self._measure_step()
        if not step:
            return step
        now = self._clock.now()
        self._log.warning("clock was set, or machine slept", seconds=round(step.total_seconds(), 1))
        if step > timedelta():
            self._blockers.remember(CLOCK_STEPPED, until=now)
        else:
            self._blockers.shift(step, now=now)
        return step

    def check_timer(self, *, since: Nanoseconds) -> None:
        """Restart the timer if it has stalled. `since`: when it was last woken, by the process's own clock."""
        # If the loop itself was held up, the timer had no chance to fire.
        loop_is_late = self._clock.monotonic() - since > nanoseconds(heartbeat.PERIOD + TIMER_LATE)
        if not loop_is_late and self._timer.overdue(self._clock.now()) > TIMER_LATE:
            self.timer_restarts += 1
            self._log.warning("stalled timer restarted", restarts=self.timer_restarts)
        self._timer.wake()

    def _measure_step(self) -> timedelta:
        wall, own = self._clock.now(), self._clock.monotonic()
        step = wall - self._wall - timedelta(microseconds=(own - self._own) // 1000)
        self._wall, self._own = wall, own
        return step if abs(step) > STEP else timedelta()
