"""Rate-limit windows: when the next request may leave, given those that have."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.quota.limits import Limit

_TICK: Nanoseconds = 1_000_000
"""The resolution in which the ledger is kept: a window ends one tick late, so that it may include both its ends."""


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
