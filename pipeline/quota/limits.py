"""Plans and limits: PLANS says how many requests each plan of Alpha Vantage allows per second, minute and day.

A new plan is a line in PLANS; the configuration, `sandbox --plan` and their messages take its name from there.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pipeline.text import quoted

PERIODS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
_LIMIT = re.compile(r"\s*([1-9][0-9]{0,6})\s*/\s*([a-z]+)\s*")


@dataclass(frozen=True, slots=True)
class Limit:
    """Up to `count` requests in any `period`: `25/day`."""

    count: int
    period: timedelta

    @classmethod
    def parse(cls, text: str) -> "Limit":
        """Return the limit, of text such as `25/day`. Raise ValueError for any other text."""
        match = _LIMIT.fullmatch(text)
        if match is None or match[2] not in PERIODS:
            raise ValueError(f'invalid limit {quoted(text)}: use a count per {", ".join(PERIODS)}, such as "25/day"')
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
"""The limits of each plan. Those per second are the API's "burst" limits."""


def longest_window(limits: Iterable[Limit]) -> timedelta:
    """Return the longest period of the limits, zero where there are none."""
    return max((limit.period for limit in limits), default=timedelta())


def retry_limits(limits: Sequence[Limit]) -> list[Limit]:
    """Return the limits of retries: a fifth of each limit per day, so that retries never use up the allowance.

    Less than five a day leaves no retries. Shorter windows need no such share: they refill soon.
    """
    return [Limit(limit.count // 5, limit.period) for limit in limits if limit.period >= PERIODS["day"]]


MAX_WORKERS = 128
"""More requests at once cost memory and sockets, and no plan is faster with them."""
UNLIMITED_WORKERS = 32
"""Workers where there is no limit: enough to keep one core busy. At 128 each request costs a fifth more."""


def max_workers(limits: Sequence[Limit]) -> int:
    """Return how many requests the limits allow at once, which is how many workers can be of use."""
    return min(MAX_WORKERS, *(limit.count for limit in limits)) if limits else UNLIMITED_WORKERS
