"""The fleet's clock: PostgreSQL's time, told by this machine's own monotonic clock. Its wall clock does not matter."""

from collections import deque
from dataclasses import replace
from datetime import datetime, timedelta

from pipeline.clock import Clock
from pipeline.instants import Nanoseconds, nanoseconds

_KEPT = 64
"""Answers of PostgreSQL that are remembered: the clocks of two machines drift apart slowly."""

_DRIFT = nanoseconds(timedelta(milliseconds=250))
"""By how much they may drift apart within these answers. A larger difference means that a clock was set."""


class FleetClock:
    """Tells PostgreSQL's time from what it said last: never earlier than it is, and at most a round trip later."""

    def __init__(self, own: Clock) -> None:
        self.own = own
        """This machine's; until PostgreSQL has said something, its wall clock has to do."""
        self._ahead: deque[Nanoseconds] = deque(maxlen=_KEPT)
        self._epoch = own.now()
        self._epoch_own = own.monotonic()
        self._stepped: Nanoseconds = 0

    def heard(self, at: datetime, *, asked: Nanoseconds) -> None:
        """Note that PostgreSQL has just shown `at`, which it was asked for at an instant of the monotonic clock."""
        since_epoch = nanoseconds(at - self._epoch)
        at_least = since_epoch - (self.own.monotonic() - self._epoch_own)
        if self._ahead and (step := at_least - min(self._ahead)) > _DRIFT:
            self._stepped += step
            self._ahead.clear()
        self._ahead.append(since_epoch - (asked - self._epoch_own))

    @property
    def has_stepped(self) -> bool:
        """Whether PostgreSQL's clock was set forward since `take_step` was last called."""
        return self._stepped > 0

    def take_step(self) -> timedelta:
        """Return by how much PostgreSQL's clock was set forward since the last time, at least; zero if it was not.

        Then every window would end too early by as much.
        """
        step, self._stepped = self._stepped, 0
        return timedelta(microseconds=step // 1000)

    def now(self) -> datetime:
        """Return PostgreSQL's time."""
        if not self._ahead:
            return self.own.now()
        since_epoch = self.own.monotonic() - self._epoch_own + min(self._ahead)
        return self._epoch + timedelta(microseconds=-(-since_epoch // 1000))

    def as_clock(self) -> Clock:
        """Return the clock that a run goes by."""
        return replace(self.own, now=self.now, name="PostgreSQL's clock")
