"""The fleet's clock: PostgreSQL's time, told by this machine's own monotonic clock. Its wall clock does not matter."""

from collections import deque
from datetime import datetime, timedelta

from pipeline.clock import Clock
from pipeline.instants import Nanoseconds, nanoseconds

_KEPT = 64
"""Answers of PostgreSQL that are remembered: the clocks of two machines drift apart slowly."""


class FleetClock:
    """Tells PostgreSQL's time from what it said last: never earlier than it is, and at most a round trip later."""

    def __init__(self, own: Clock) -> None:
        self.own = own
        """This machine's; until PostgreSQL has said something, its wall clock has to do."""
        self._ahead: deque[Nanoseconds] = deque(maxlen=_KEPT)
        self._epoch = own.now()
        self._epoch_own = own.monotonic()

    def heard(self, at: datetime, *, asked: Nanoseconds) -> None:
        """Note that PostgreSQL showed `at`, which it was asked for at an instant of the monotonic clock."""
        self._ahead.append(nanoseconds(at - self._epoch) - (asked - self._epoch_own))

    def now(self) -> datetime:
        """Return PostgreSQL's time."""
        if not self._ahead:
            return self.own.now()
        since_epoch = self.own.monotonic() - self._epoch_own + min(self._ahead)
        return self._epoch + timedelta(microseconds=-(-since_epoch // 1000))

    def as_clock(self) -> Clock:
        """Return the clock that a run goes by."""
        return Clock(now=self.now, monotonic=self.own.monotonic, sleep=self.own.sleep)
