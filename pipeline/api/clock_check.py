"""Clock check: compares the clock that dates an answer with the server's, by the `Date` of the answer."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from pipeline import instants
from pipeline.api.errors import WrongClock
from pipeline.api.server_time import MOST_OFF, ServerTime, dates
from pipeline.clock import Clock
from pipeline.instants import Nanoseconds


class ClockCheck:
    """Compares a clock with the server's."""

    def __init__(self, clock: Clock, hear: Callable[[ServerTime], object]) -> None:
        """`hear` is called with the server's time after each answer that says it."""
        self._clock = clock
        self._hear = hear

    def begin(self) -> Nanoseconds:
        """Return when a request leaves, for `listen`."""
        return self._clock.monotonic()

    def listen(self, headers: Mapping[str, str], *, began: Nanoseconds) -> WrongClock | None:
        """Note the time that an answer's headers say. Return the error if it is not the clock's; None without `Date`.

        The server may have dated its answer at any time since the request left. An answer out of a cache is as right
        by the time when it was made as by the time when it left the cache.
        """
        took = timedelta(microseconds=(self._clock.monotonic() - began) // 1000)
        times = [ServerTime.of(date, took=took) for date in dates(headers)]
        if not times:
            return None
        self._hear(times[-1])
        now = self._clock.now()
        if any(time.is_within(MOST_OFF, now) for time in times):
            return None
        shown, servers = instants.for_people(now), instants.for_people(times[-1].earliest)
        return WrongClock(
            f"{self._clock.name} shows {shown} UTC, the API's server {servers} UTC: its answer would be stored with a"
            " wrong time; set the clock, and keep it set by NTP"
        )
