"""Store probe: checks at each heartbeat that the database still answers."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta

from pipeline.clock import Clock


class StoreProbe:
    """Runs one check at a time, and knows how long the current one has been waiting for an answer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started_at = clock.monotonic()
        self._check: asyncio.Task[None] | None = None

    def start(self, check: Callable[[], Coroutine[None, None, None]]) -> None:
        """Start a check, which returns once the store has answered; unless one is still waiting."""
        if self._check is None or self._check.done():
            self._started_at = self._clock.monotonic()
            self._check = asyncio.create_task(check(), name="store probe")

    @property
    def silence(self) -> timedelta:
        """How long the store has owed an answer: 0 if it owes none."""
        if self._check is None or self._check.done():
            return timedelta()
        return timedelta(microseconds=(self._clock.monotonic() - self._started_at) // 1000)
