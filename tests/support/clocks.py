"""A clock that a test sets, and that waiting moves."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pipeline.clock import Clock
from pipeline.instants import Nanoseconds, nanoseconds, utc_now
from pipeline.uptime import Uptime

START = datetime(2026, 3, 14, 18, 30, tzinfo=UTC)


class ManualClock:
    """The wall clock and the process's own, which can be set apart. Waiting moves both at once.

    And the time that truly passes, which nothing moves but `advance`.
    """

    def __init__(self, wall: datetime = START) -> None:
        self.wall = self._began = wall
        self.monotonic = 1_000_000_000_000
        self._before_boot = -self.monotonic
        self.boot = 1
        self.waits: list[float] = []
        self.on_sleep: Callable[[], object] = lambda: None
        """Called before each wait."""

    def as_clock(self) -> Clock:
        return Clock(
            now=lambda: self.wall, monotonic=lambda: self.monotonic, sleep=self.sleep, uptime=lambda: self.uptime
        )

    @property
    def uptime(self) -> Uptime:
        """How long the machine has been up."""
        return Uptime(f"boot {self.boot}", timedelta(microseconds=self.monotonic // 1000))

    def advance(self, span: timedelta) -> None:
        self.wall += span
        self.monotonic += nanoseconds(span)

    def machine_is_suspended(self, span: timedelta) -> None:
        """As a virtual machine is: its own clock stands still, and its wall clock is set right afterwards."""
        self.wall += span
        self._before_boot += nanoseconds(span)

    def machine_reboots(self) -> None:
        """The machine's own clock starts at zero again."""
        self._before_boot += self.monotonic
        self.monotonic = 0
        self.boot += 1

    def server_time(self) -> Nanoseconds:
        """Return the monotonic clock of the server, which neither sleeps nor reboots."""
        return self.monotonic + self._before_boot

    def true(self) -> datetime:
        """Return what a wall clock shows that was right at the beginning and never set."""
        return self._began + timedelta(microseconds=self.server_time() // 1000)

    def set_right(self) -> None:
        self.wall = self.true()

    def set_by(self, step: timedelta) -> None:
        """The wall clock is set; the process's own is not."""
        self.wall += step

    async def sleep(self, seconds: float) -> None:
        self.waits.append(float(seconds))
        self.on_sleep()
        self.advance(timedelta(seconds=seconds))
        await asyncio.sleep(0)


_SERVERS: dict[str, ManualClock] = {}


def server_goes_by(base_url: str, clock: ManualClock | None) -> None:
    """Let the stand-in API at a URL date its answers by a test's clock; None: by the real one."""
    _SERVERS.pop(base_url, None)
    if clock is not None:
        _SERVERS[base_url] = clock


def shown_at(base_url: str) -> datetime:
    """Return what the clock shows that the stand-in API at a URL goes by."""
    return _SERVERS[base_url].wall if base_url in _SERVERS else utc_now()
