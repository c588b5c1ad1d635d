"""Windows: how many requests a plan allows, and the arithmetic of the slots that keep within it.

A slot counts from the moment it is taken until its window has passed since its answer came back. The server counted the
request no later than that, so no window of the server's, sliding or fixed, can hold one too many: whatever the latency,
and wherever its windows begin.
"""

import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.instants import Nanoseconds, nanoseconds

PERIODS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
_LIMIT = re.compile(r"\s*([1-9][0-9]{0,6})\s*/\s*([a-z]+)\s*")

_TICK: Nanoseconds = 1_000_000
"""The resolution in which the ledger is kept: a window ends one tick late, so that it may include both its ends."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` requests in any `period`: `25/day`."""

    count: int
    period: timedelta

    @classmethod
    def parse(cls, text: str) -> "Limit":
        """Return the limit that the text spells. Raise ValueError, with the spelling that is meant, for any other."""
        match = _LIMIT.fullmatch(text)
        if match is None or match[2] not in PERIODS:
            raise ValueError(f'{text!r} is no limit: a count and one of {", ".join(PERIODS)}, as in "25/day"')
        return cls(int(match[1]), PERIODS[match[2]])

    def __str__(self) -> str:
        unit = next((name for name, period in PERIODS.items() if period == self.period), str(self.period))
        return f"{self.count}/{unit}"


def _premium(minute: int, second: int) -> tuple[Limit, ...]:
    return Limit(minute, PERIODS["minute"]), Limit(second, PERIODS["second"])


PLANS: dict[str, tuple[Limit, ...]] = {
    "free": (Limit(25, PERIODS["day"]), Limit(1, PERIODS["second"])),
    "premium-75": _premium(75, 5),
    "premium-150": _premium(150, 5),
    "premium-300": _premium(300, 10),
    "premium-600": _premium(600, 20),
    "premium-1200": _premium(1200, 30),
}
"""What each plan allows. The caps per second are the API's "burst" limits."""


@dataclass(frozen=True, slots=True)
class Spent:
    """A slot of the ledger, by the instant from which its windows run: its answer, or else its deadline."""

    at: datetime
    retry: bool


@dataclass(frozen=True, slots=True)
class Block:
    """The API's word that the quota has ended: no request before `until`."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Opening:
    """When the next slot is free. If not `certain`, then no sooner than this: it hangs on an answer still out."""

    at: Nanoseconds
    certain: bool


class Windows:
    """The slots taken so far, seen by every limit at once. A value with no clock: instants are arguments."""

    def __init__(self, limits: Sequence[Limit], ended: Iterable[Nanoseconds] = ()) -> None:
        self._limits = [(limit.count, nanoseconds(limit.period)) for limit in limits]
        # Of the slots whose answer is back, a limit of n looks no further than the n that ended last.
        self._ended = deque(sorted(ended), maxlen=max((limit.count for limit in limits), default=0))
        self._out = 0

    def copy(self) -> "Windows":
        """Return windows with the same slots, to reckon ahead with."""
        other = Windows(())
        other._limits, other._ended, other._out = self._limits, self._ended.copy(), self._out
        return other

    def opening(self, now: Nanoseconds) -> Opening:
        """Return when the next slot is free: `now` if one is."""
        at, certain = now, True
        for count, period in self._limits:
            room = count - self._out  # of the answers that are back, how many may still count
            if room <= 0:
                soonest = now + period
                if soonest > at:
                    at, certain = soonest, False
            elif len(self._ended) >= room:
                at_limit = self._ended[-room] + period + _TICK
                if at_limit > at:
                    at, certain = at_limit, True
        return Opening(at, certain)

    def take(self) -> None:
        """Count one slot more, until its `end`."""
        self._out += 1

    def end(self, now: Nanoseconds) -> None:
        """A slot's answer is back, or its request was given up: it counts for a period more."""
        self._out -= 1
        self._ended.append(max(now, self._ended[-1]) if self._ended else now)

    def give_back(self) -> None:
        """A slot's request never left: it counts no more."""
        self._out -= 1

    def used(self, limit: Limit, now: Nanoseconds) -> int:
        """Return how many slots count in this limit's window."""
        since = now - nanoseconds(limit.period) - _TICK
        return self._out + sum(1 for ended in self._ended if ended > since)


def pace(windows: Windows, requests: int, *, now: Nanoseconds) -> Nanoseconds:
    """Return when the last of so many requests may leave, if each answer came at once. Uses the windows up."""
    at = now
    for _ in range(requests):
        at = windows.opening(at).at
        windows.take()
        windows.end(at)
    return at


@dataclass(frozen=True, slots=True)
class Standing:
    """How much of one window is used."""

    limit: str
    used: int
    left: int
    next_free_at: datetime | None
    """When the next request may go; None: now, as far as this window is concerned."""


def standings(limits: Sequence[Limit], spent: Sequence[Spent], block: Block | None, *, now: datetime) -> list[Standing]:
    """Return how much of each window is used, as a process that began now would reckon."""
    ended = sorted(min(one.at, now) for one in spent)
    blocked = block.until if block is not None and block.until > now else None
    states = []
    for limit in limits:
        used = sum(1 for at in ended if at > now - limit.period)
        free_at = ended[-limit.count] + limit.period if used >= limit.count else None
        waits = [at for at in (free_at, blocked) if at is not None]
        states.append(Standing(str(limit), used, max(limit.count - used, 0), max(waits, default=None)))
    return states


def finish_at(
    limits: Sequence[Limit], spent: Sequence[Spent], block: Block | None, *, requests: int, now: datetime
) -> datetime | None:
    """Return when the last of so many requests may leave at the plan's pace, None if there are none."""
    if not requests:
        return None
    start = max(now, block.until) if block is not None else now
    windows = Windows(limits, [-nanoseconds(start - min(one.at, start)) for one in spent])
    return start + timedelta(microseconds=pace(windows, requests, now=0) // 1000)


def retry_limits(limits: Sequence[Limit]) -> list[Limit]:
    """Return what retries may take of these limits: a fifth of the day's, so that they never eat the allowance.

    An allowance of fewer than five a day leaves none; the other windows leave retries to the slots they share.
    """
    return [Limit(limit.count // 5, limit.period) for limit in limits if limit.period >= PERIODS["day"]]


MOST_WORKERS = 128
"""More than this many requests at once cost memory and sockets, and no plan gains by them."""
UNLIMITED_WORKERS = 32
"""Enough to keep one core busy where no limit says how many may be out; at 128 each request costs a fifth more."""


def workers(limits: Sequence[Limit]) -> int:
    """Return how many requests the limits let be out at once: as many workers can be of use."""
    return min(MOST_WORKERS, *(limit.count for limit in limits)) if limits else UNLIMITED_WORKERS
