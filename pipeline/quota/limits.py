"""Limits: how many requests each plan allows."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

PERIODS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
_LIMIT = re.compile(r"\s*([1-9][0-9]{0,6})\s*/\s*([a-z]+)\s*")


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


def longest_window(limits: Iterable[Limit]) -> timedelta:
    """Return the longest period that a limit counts over, zero where there are no limits."""
    return max((limit.period for limit in limits), default=timedelta())


def retry_limits(limits: Sequence[Limit]) -> list[Limit]:
    """Return what retries may take of these limits: a fifth of the day's, so that they never eat the allowance.

    An allowance of fewer than five a day leaves none; the other windows leave retries to the slots they share.
    """
    return [Limit(limit.count // 5, limit.period) for limit in limits if limit.period >= PERIODS["day"]]


MAX_WORKERS = 128
"""More than this many requests at once cost memory and sockets, and no plan gains by them."""
UNLIMITED_WORKERS = 32
"""Enough to keep one core busy where no limit says how many may be out; at 128 each request costs a fifth more."""


def max_workers(limits: Sequence[Limit]) -> int:
    """Return how many requests the limits let be out at once: as many workers can be of use."""
    return min(MAX_WORKERS, *(limit.count for limit in limits)) if limits else UNLIMITED_WORKERS
