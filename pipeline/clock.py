"""The clock of a run: wall clock, monotonic clock and sleep as one value, so that a test can pass another.

Apart from `instants`, because asyncio takes long to import.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from pipeline.instants import Nanoseconds, utc_now
from pipeline.uptime import Uptime, read_uptime

Sleep = Callable[[float], Awaitable[None]]
"""Waits for a number of seconds."""


_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC_RAW", time.CLOCK_MONOTONIC))
"""Linux's CLOCK_MONOTONIC stops while the machine sleeps, and the quota's windows would stop with it; the raw one of
macOS does not, and is never adjusted."""


def boot_clock() -> Nanoseconds:
    """Return the time since boot: no step of the wall clock moves it, and it counts while the machine sleeps."""
    return time.clock_gettime_ns(_SINCE_BOOT)


@dataclass(frozen=True, slots=True)
class Clock:
    """The wall clock, the monotonic clock, and a way to wait."""

    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], Nanoseconds] = boot_clock
    sleep: Sleep = asyncio.sleep
    uptime: Callable[[], Uptime | None] = read_uptime
    """What two processes of one boot can compare; None where the system does not say."""
    name: str = "this machine's clock"
    """Whose clock `now` is, for messages."""


REAL_CLOCK = Clock()
