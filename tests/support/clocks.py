"""A clock that a test sets, and that waiting moves."""

import asyncio
from datetime import UTC, datetime, timedelta

from pipeline.clock import Clock
from pipeline.instants import nanoseconds

START = datetime(2026, 3, 14, 18, 30, tzinfo=UTC)


class ManualClock:
    """The wall clock and the process's own, which can be set apart. Waiting moves both at once."""

    def __init__(self, wall: datetime = START) -> None:
        self.wall = wall
        self.monotonic = 1_000_000_000_000
        self.waits: list[float] = []

    def as_clock(self) -> Clock:
        return Clock(now=lambda: self.wall, monotonic=lambda: self.monotonic, sleep=self.sleep)

    def advance(self, span: timedelta) -> None:
        self.wall += span
        self.monotonic += nanoseconds(span)

    def set_by(self, step: timedelta) -> None:
        """The wall clock is set; the process's own is not."""
        self.wall += step

    async def sleep(self, seconds: float) -> None:
        self.waits.append(float(seconds))
        self.advance(timedelta(seconds=seconds))
        await asyncio.sleep(0)
