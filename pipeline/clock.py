"""The clock of a run: the time as it is told, so that a test can tell another. Apart: asyncio takes long to load."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from pipeline.instants import Nanoseconds, utc_now

Sleep = Callable[[float], Awaitable[None]]
"""Waits so many seconds."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The time, as a run is told it: the wall clock, the process's own, and a way to wait."""

    now: Callable[[], datetime] = utc_now
    own: Callable[[], Nanoseconds] = time.monotonic_ns
    sleep: Sleep = asyncio.sleep
