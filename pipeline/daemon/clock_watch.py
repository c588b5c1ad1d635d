"""The pulse: what a heartbeat finds out: whether the wall clock was stepped, and whether the store still answers."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta

from pipeline.clock import Clock
from pipeline.monitoring.heartbeat import ANSWERS_WITHIN

STEP = timedelta(seconds=2)
"""The wall clock may stray so far from the process's own between two heartbeats: more, and it was set."""


class ClockWatch:
    """Compares the clocks, and asks the store for signs of life."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall, self._own = clock.now(), clock.monotonic()
        self._asked_at = self._own
        self._asking: asyncio.Task[None] | None = None

    def step(self) -> timedelta:
        """Return by how much the wall clock has gone ahead of the process's own since last asked; 0 for a little."""
        wall, own = self._clock.now(), self._clock.monotonic()
        step = wall - self._wall - timedelta(microseconds=(own - self._own) // 1000)
        self._wall, self._own = wall, own
        return step if abs(step) > STEP else timedelta()

    @property
    def silence(self) -> timedelta:
        """How long the store has owed an answer."""
        if self._asking is None or self._asking.done():
            return timedelta()
        return timedelta(microseconds=(self._clock.monotonic() - self._asked_at) // 1000)

    def why_silent(self) -> str | None:
        """Return that the store is dead, or as good as; None while it answers."""
        if self.silence <= ANSWERS_WITHIN:
            return None
        return f"the store has not answered for {self.silence.total_seconds():.0f} s"

    def ask(self, sign_of_life: Callable[[], Coroutine[None, None, None]]) -> None:
        """Ask for a sign of life, unless one is still owed."""
        if self._asking is None or self._asking.done():
            self._asked_at = self._clock.monotonic()
            self._asking = asyncio.create_task(sign_of_life(), name="sign of life")
