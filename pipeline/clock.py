"""The clock of a run: the time as it is told, so that a test can tell another. Apart: asyncio takes long to load."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from pipeline.instants import Nanoseconds, utc_now

Sleep = Callable[[float], Awaitable[None]]
"""Waits so many seconds."""


_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux's monotonic clock stands still while the machine sleeps, and a day's allowance would with it."""


def boot_clock() -> Nanoseconds:
    """Return the process's own time, which no step of the wall clock moves, and no sleep holds up."""
    return time.clock_gettime_ns(_SINCE_BOOT)


@dataclass(frozen=True, slots=True)
class Clock:
    """The time, as a run is told it: the wall clock, the process's own, and a way to wait."""

    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], Nanoseconds] = boot_clock
    sleep: Sleep = asyncio.sleep


REAL_CLOCK = Clock()
