"""Full passes: how long it takes at most until each symbol of a list has been observed once more.

It follows from the list, the plan's windows and the schedules: for each fire time a symbol is observed once, the
stalest first, as soon as the windows admit its request. No smaller threshold for staleness can hold.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from heapq import merge
from itertools import islice, pairwise, takewhile

from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.quota.limits import PLANS, Limit, longest_window
from pipeline.quota.windows import Windows, first_to_open
from pipeline.schedule.cron import Schedule

_START = datetime(2024, 1, 5, tzinfo=UTC)
"""A Friday, so that the first fire times have a weekend between them."""
_COMPARED, _FEWEST_FIRE_TIMES, _MOST_FIRE_TIMES = timedelta(days=60), 14, 2_000
"""Over which time fire times are compared, and at least and at most how many."""
_MOST_REQUESTS = 20_000
"""How many requests are simulated, which takes 0.1 s. A pass of more takes longer in proportion."""
_FORTNIGHT = nanoseconds(timedelta(days=14))
"""Passes are simulated for at least as long: each may begin on another day of the week."""
_MINUTE = timedelta(minutes=1)
_NEVER: Nanoseconds = -1
_NO_MORE: Nanoseconds = 10**30


@dataclass(frozen=True, slots=True)
class Load:
    """Symbols that are observed at the same fire times: how many, and the schedules that have them."""

    symbols: int
    schedules: tuple[Schedule, ...]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a list is collected."""

    plans: tuple[tuple[Limit, ...], ...]
    """The limits of each key."""
    resumes: bool
    """Whether a run that the quota cut short is resumed before the next fire time."""
    longest_wait: timedelta
    """How long a run waits for a slot before the quota cuts it short."""

    @property
    def is_limited(self) -> bool:
        """Whether there are keys, and each has a limit."""
        return bool(self.plans) and all(self.plans)

    @property
    def longest_window(self) -> timedelta:
        return longest_window(limit for limits in self.plans for limit in limits)


def full_pass(loads: Sequence[Load], pace: Pace) -> timedelta:
    """Return the longest time between two observations of one symbol, in whole minutes; zero if there are no symbols.

    Each request is taken to be answered at once, and clocks never to change: where they go back, a gap of three days
    between fire times has one more hour.
    """
    return round(_longest_interval(tuple(loads), pace) / _MINUTE) * _MINUTE


def most_symbols(load: Load, pace: Pace, threshold: timedelta) -> int:
    """Return how many symbols, at most as many as the load has, are observed often enough for a threshold."""

    def holds(symbols: int) -> bool:
        return full_pass([replace(load, symbols=symbols)], pace) <= threshold

    low, step = int(load.symbols * min(threshold / full_pass([load], pace), 1)), 1  # a guess, and often right
    while low > 0 and not holds(low):
        low, step = max(low - step, 0), 2 * step
    high, step = low + 1, 1
    while high <= load.symbols and holds(high):
        low, high, step = high, high + step, 2 * step
    high = min(high, load.symbols + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def smallest_plan(loads: Sequence[Load], pace: Pace, threshold: timedelta) -> str | None:
    """Return the smallest plan with which each symbol is observed often enough for a threshold; None if none does.

    With several keys it is the plan of each.
    """
    for name, limits in PLANS.items():
        if full_pass(loads, replace(pace, plans=(limits,) * len(pace.plans))) <= threshold:
            return name
    return None


@lru_cache(maxsize=64)  # a daemon's settings and its status ask again and again
def _longest_interval(loads: tuple[Load, ...], pace: Pace) -> timedelta:
    loads = tuple(load for load in loads if load.symbols)
    gaps = [gap for load in loads for gap in _gaps(load.schedules)]
    longest = max(gaps, default=timedelta())
    if not pace.is_limited or not loads:
        return longest
    total = sum(load.symbols for load in loads)
    simulated = _Simulation(loads, pace)
    first = simulated.run(min(total, _MOST_REQUESTS))
    if total > _MOST_REQUESTS:
        return max(longest, first * (total / _MOST_REQUESTS))
    if first + pace.longest_window > min(gaps, default=timedelta()):  # else each run begins like the first
        simulated.run(min(2 * total, _MOST_REQUESTS), until=_FORTNIGHT)
    return max(longest, first, simulated.longest)


class _FireTimes:
    """The fire times of some schedules after the start, found as they are needed."""

    def __init__(self, schedules: Sequence[Schedule]) -> None:
        self._coming = merge(*(replace(one, timezone="UTC").fire_times(_START) for one in schedules))
        self._known: list[Nanoseconds] = []

    def after(self, at: Nanoseconds) -> Nanoseconds:
        """Return the first one after an instant."""
        while not self._known or self._known[-1] <= at:
            instant = next(self._coming, None)
            self._known.append(_NO_MORE if instant is None else nanoseconds(instant - _START))
        return self._known[bisect_right(self._known, at)]


def _gaps(schedules: Sequence[Schedule]) -> list[timedelta]:
    """Return the times between one fire time and the next."""
    coming = merge(*(replace(one, timezone="UTC").fire_times(_START) for one in schedules))
    compared = list(islice(coming, _FEWEST_FIRE_TIMES))
    compared += islice(takewhile(lambda instant: instant < _START + _COMPARED, coming), _MOST_FIRE_TIMES)
    return [later - earlier for earlier, later in pairwise(compared) if later > earlier]


class _Simulation:
    """Requests in the order in which the daemon sends them, with its keys' windows: `Windows` is the ledger's."""

    def __init__(self, loads: Sequence[Load], pace: Pace) -> None:
        self._pace = pace
        self._keys = [Windows(limits) for limits in pace.plans]
        self._fire_times = [_FireTimes(load.schedules) for load in loads]
        self._observed = [deque([_NEVER] * load.symbols) for load in loads]
        self._ended_until = [_NEVER] * len(loads)
        """When the next run of a load begins, after the quota has cut one short."""
        self._began = min(times.after(_NEVER) for times in self._fire_times)
        self._now = self._began
        self._sent = 0
        self._longest: Nanoseconds = 0

    @property
    def longest(self) -> timedelta:
        """The longest time between two observations of one symbol so far."""
        return timedelta(microseconds=self._longest / 1000)

    def run(self, requests: int, *, until: Nanoseconds = 0) -> timedelta:
        """Go on until so many requests were sent, and this instant has passed. Return the time since the first."""
        while self._sent < requests or (self._now < until and self._sent < _MOST_REQUESTS):
            self._step()
        return timedelta(microseconds=(self._now - self._began) / 1000)

    def _step(self) -> None:
        """Send the next request, or end the run that would wait too long for its slot."""
        due_at, load = min((self._due_at(load), load) for load in range(len(self._observed)))
        asked_at = max(self._now, due_at)
        windows, sent_at = first_to_open(self._keys, asked_at)
        if not self._pace.resumes and sent_at - asked_at > nanoseconds(self._pace.longest_wait):
            self._ended_until[load] = self._fire_times[load].after(asked_at)
            return
        windows.take()
        windows.end(sent_at)
        last = self._observed[load].popleft()
        self._observed[load].append(sent_at)
        if last != _NEVER:
            self._longest = max(self._longest, sent_at - last)
        self._now = sent_at
        self._sent += 1

    def _due_at(self, load: int) -> Nanoseconds:
        """Return the fire time for which the stalest symbol of a load is observed."""
        return max(self._fire_times[load].after(self._observed[load][0]), self._ended_until[load])
