"""Blockers: why the daemon cannot run what is due, now and in the past, as the reason given for missed fire times."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

NOT_RUNNING = "the daemon was not running"
CLOCK_STEPPED = "the machine slept, or its clock was set forward"
NOTICED_LATE = "the machine slept, or the daemon was held up"
_REMEMBERED = 100


@dataclass(frozen=True, slots=True)
class _Past:
    until: datetime
    reason: str


class Blockers:
    """What has blocked the daemon since it started."""

    def __init__(self, started_at: datetime) -> None:
        self.current: str | None = None
        """Why nothing can run now, None if something can."""
        self._started_at = started_at
        self._past: deque[_Past] = deque(maxlen=_REMEMBERED)

    def block(self, reason: str, *, now: datetime) -> bool:
        """Note why nothing can run from now on. Return whether that is new."""
        if self.current == reason:
            return False
        self.clear(now=now)
        self.current = reason
        return True

    def clear(self, *, now: datetime) -> bool:
        """Note that nothing blocks the daemon any more. Return whether something did."""
        if self.current is None:
            return False
        self.remember(self.current, until=now)
        self.current = None
        return True

    def remember(self, reason: str, *, until: datetime) -> None:
        """Note what blocked the daemon up to an instant."""
        self._past.append(_Past(until, reason))

    def shift(self, step: timedelta, *, now: datetime) -> None:
        """Note that the clock was set back by a step (negative): forget what ends in its future."""
        self._started_at += step
        self._past = deque((past for past in self._past if past.until <= now), maxlen=_REMEMBERED)

    def reason_at(self, fire_time: datetime) -> str:
        """Return why nothing ran at a fire time: the blocker that ended first after it, or has not ended yet."""
        if fire_time < self._started_at:
            return NOT_RUNNING
        found = (past.reason for past in self._past if past.until >= fire_time)
        return next(found, self.current or NOTICED_LATE)
