"""Counting: which requests of one key are over its limits."""

from collections import deque
from collections.abc import Sequence
from datetime import timedelta

from pipeline.instants import Nanoseconds
from pipeline.quota.limits import Limit


class KeyCounter:
    """The requests that arrived with one key."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        # The longest first: the refusal of a request over several limits names the longest.
        self.limits = sorted(limits, key=lambda limit: limit.period, reverse=True)
        self._arrivals: deque[Nanoseconds] = deque(maxlen=max((limit.count for limit in limits), default=0))

    def count(self, now: Nanoseconds) -> Limit | None:
        """Count a request, and return the limit that it exceeds, if any. Refused requests count too.

        Both ends of a window belong to it, so that no other way to count is stricter.
        """
        exceeded = next((limit for limit in self.limits if self._is_full(limit, now)), None)
        self._arrivals.append(now)
        return exceeded

    def _is_full(self, limit: Limit, now: Nanoseconds) -> bool:
        since = now - limit.period // timedelta(microseconds=1) * 1000
        return len(self._arrivals) >= limit.count and self._arrivals[-limit.count] >= since
