"""Throttle: pauses all workers while the API throttles, then lets one request go ahead alone to test it."""

import asyncio
from datetime import timedelta
from typing import NamedTuple

from pipeline.api.errors import QuotaEnded, Throttled
from pipeline.clock import Clock
from pipeline.instants import nanoseconds

FIRST_PAUSE = timedelta(seconds=2)
"""Doubled for each throttle that follows on the last one."""
LONGEST_PAUSE = timedelta(minutes=2)
PATIENCE = timedelta(seconds=60)
"""When every answer for this long was a throttle, the quota has ended."""


class Permit(NamedTuple):
    """Permission to send, as far as throttling is concerned."""

    pauses: int
    """How many pauses there had been when it was given: a later one revokes it."""
    alone: bool
    """Whether it is the one request that tests, after a pause, whether the API answers again."""


class Throttle:
    """Where all workers wait while the API throttles. The refusals of one burst count as one."""

    def __init__(self, *, has_day_window: bool, is_probing: bool, clock: Clock) -> None:
        self._has_day_window = has_day_window
        self._clock = clock
        self._is_paused = is_probing
        self._has_probe = False
        self._pauses = 0
        self._in_a_row = 0
        self._since = self._resume_at = clock.monotonic()
        self._changed = asyncio.Event()

    async def permit(self) -> Permit:
        """Return a permit: at once, or after the pause, and then to one worker alone until its answer is back."""
        while self._is_paused:
            left = self._resume_at - self._clock.monotonic()
            if left > 0:
                await self._clock.sleep(left / 1e9)
            elif self._has_probe:
                self._changed.clear()
                await self._changed.wait()
            else:
                self._has_probe = True
                return Permit(self._pauses, alone=True)
        return Permit(self._pauses, alone=False)

    def still_admits(self, permit: Permit) -> bool:
        """Return whether no pause began since the permit was given."""
        return permit.pauses == self._pauses and (permit.alone or not self._is_paused)

    def pause(self, error: Throttled, permit: Permit) -> None:
        """Pause everyone for 2 s, then 4, 8, ... Raise QuotaEnded if the throttle means that the quota has ended."""
        if permit.pauses < self._pauses:
            return  # sent before the pause: refused together with the one that began it
        now = self._clock.monotonic()
        self._release_probe()
        if self._in_a_row and error.ambiguous and self._has_day_window:
            raise QuotaEnded(f"{error} (again after a pause)", is_answer=True)
        if self._in_a_row == 0:
            self._since = now
        elif now - self._since >= nanoseconds(PATIENCE):
            raise QuotaEnded(f"{error} (every answer for {PATIENCE.total_seconds():g} s)", is_answer=True)
        pause = max(FIRST_PAUSE * 2**self._in_a_row, error.retry_after or timedelta())
        self._in_a_row += 1
        self._pauses += 1
        self._is_paused = True
        self._resume_at = now + nanoseconds(min(pause, LONGEST_PAUSE))

    def resume(self, permit: Permit) -> None:
        """Let everyone send again: a request sent since the pause got an answer that is not a throttle."""
        if self._is_paused and permit.pauses == self._pauses:
            self._is_paused = False
            self._in_a_row = 0
            self._release_probe()

    def release(self, permit: Permit) -> None:
        """Let the next worker test the API: this permit's request got no answer, or never left."""
        if permit.alone and permit.pauses == self._pauses:
            self._release_probe()

    def _release_probe(self) -> None:
        self._has_probe = False
        self._changed.set()
