"""Rate-limit windows: when the next request may leave, given the past ones."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.quota.limits import Limit

_TICK: Nanoseconds = 1_000_000
"""The ledger's resolution, 1 ms. A window ends one tick late, because the server may count both its ends."""


@dataclass(frozen=True, slots=True)
class Opening:
    """When the next slot is free; if not `certain`, the earliest time, as it depends on an answer still awaited."""

    at: Nanoseconds
    certain: bool


class Windows:
    """The slots taken so far, counted by every limit. A value with no clock: instants are arguments."""

    def __init__(
        self, limits: Sequence[Limit], ended: Iterable[Nanoseconds] = (), *, closed_until: Nanoseconds | None = None
    ) -> None:
        """Begin with slots that have ended. None is free before `closed_until`."""
        self._limits = [(limit.count, nanoseconds(limit.period)) for limit in limits]
        # Of the slots whose answer is back, a limit of n needs only the n that ended last.
        self._ended = deque(sorted(ended), maxlen=max((limit.count for limit in limits), default=0))
        self._out = 0
        self._closed_until = closed_until

    def copy(self) -> "Windows":
        """Return windows with the same slots, to simulate with."""
        other = Windows(())
        other._limits, other._ended, other._out = self._limits, self._ended.copy(), self._out
        other._closed_until = self._closed_until
        return other

    def opening(self, now: Nanoseconds) -> Opening:
        """Return when the next slot is free: `now` if one is."""
        at, certain = now if self._closed_until is None else max(now, self._closed_until), True
        for count, period in self._limits:
            room = count - self._out  # how many of the slots that have ended may still count
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
        """Count one more slot, until its `end`."""
        self._out += 1

    def end(self, now: Nanoseconds) -> None:
        """Note that a slot's answer is back, or its request abandoned: it counts for one more period."""
        self._out -= 1
        self._ended.append(max(now, self._ended[-1]) if self._ended else now)

    def give_back(self) -> None:
        """Note that a slot's request never left: it no longer counts."""
        self._out -= 1

    def used(self, limit: Limit, now: Nanoseconds) -> int:
        """Return how many slots count in this limit's window now."""
        since = now - nanoseconds(limit.period) - _TICK
        return self._out + sum(1 for ended in self._ended if ended > since)


def first_to_open(keys: Sequence[Windows], now: Nanoseconds) -> tuple[Windows, Nanoseconds]:
    """Return the windows of the key that has a slot first, and when that is: `now` if one is free."""
    first, at = keys[0], keys[0].opening(now).at
    for other in keys[1:]:
        opens_at = other.opening(now).at
        if opens_at < at:
            first, at = other, opens_at
    return first, at
