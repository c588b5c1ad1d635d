"""Blockers: why what is due cannot run, and why it could not, for fire times that were missed."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

NOT_RUNNING = "the daemon was not running"
NOTICED_LATE = "the machine slept, or the daemon was held up"
_REMEMBERED = 100


@dataclass(frozen=True, slots=True)
class _Past:
    until: datetime
    why: str


class Blockers:
    """What hindered a daemon since it started."""

    def __init__(self, started_at: datetime) -> None:
        self.current: str | None = None
        """Why nothing can run now, None if nothing hinders."""
        self._started_at = started_at
        self._past: deque[_Past] = deque(maxlen=_REMEMBERED)

    def block(self, why: str, *, now: datetime) -> bool:
        """Take note of why nothing can run from now on. Return whether that is new."""
        if self.current == why:
            return False
        self.clear(now=now)
        self.current = why
        return True

    def clear(self, *, now: datetime) -> bool:
        """Take note that nothing hinders any more. Return whether something did."""
        if self.current is None:
            return False
        self.remember(self.current, until=now)
        self.current = None
        return True

    def remember(self, why: str, *, until: datetime) -> None:
        """Take note of what hindered until an instant."""
        self._past.append(_Past(until, why))

    def shift(self, step: timedelta, *, now: datetime) -> None:
        """Take note that the clock was set back by a step (negative): what was noted by it may be still to come."""
        self._started_at += step
        self._past = deque((past for past in self._past if past.until <= now), maxlen=_REMEMBERED)

    def reason_at(self, fire_time: datetime) -> str:
        """Return why nothing ran at a fire time: what was first to end after it, or has not ended yet."""
        if fire_time < self._started_at:
            return NOT_RUNNING
        found = (past.why for past in self._past if past.until >= fire_time)
        return next(found, self.current or NOTICED_LATE)
