"""Throttling: all workers pause while the API throttles."""

import asyncio
from datetime import timedelta
from typing import NamedTuple

from pipeline.api.errors import QuotaEnded, Throttled
from pipeline.clock import Clock
from pipeline.instants import nanoseconds

# Throttles


FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=2)
PATIENCE = timedelta(seconds=60)
"""A throttle that lasts so long, whatever was asked, is taken for the quota's end."""


class Pass(NamedTuple):
    """Leave to ask: given before or after which pause, and whether to one worker alone."""

    pauses: int
    alone: bool


class Brake:
    """Where all workers wait while the API throttles. Refusals of one burst count as one."""

    def __init__(
        self,
        *,
        has_day_window: bool,
        is_probing: bool,
        clock: Clock,
    ) -> None:
        self._has_day_window = has_day_window
        self._clock = clock
        self.is_closed = is_probing
        self._has_probe = False
        self._pauses = 0
        self._in_a_row = 0
        self._since = self._resume_at = clock.monotonic()
        self._changed = asyncio.Event()

    async def passed(self) -> Pass:
        """Return when one may ask: at once, or after the pause, and then alone until an answer is back."""
        while self.is_closed:
            left = self._resume_at - self._clock.monotonic()
            if left > 0:
                await self._clock.sleep(left / 1e9)
            elif self._has_probe:
                self._changed.clear()
                await self._changed.wait()
            else:
                self._has_probe = True
                return Pass(self._pauses, alone=True)
        return self.free_pass()

    def free_pass(self) -> Pass:
        """Return leave to ask at once, which is there while the brake is not closed."""
        return Pass(self._pauses, alone=False)

    def still_admits(self, given: Pass) -> bool:
        """Whether no throttle came in since the pass was given."""
        return given.pauses == self._pauses and (given.alone or not self.is_closed)

    def throttled(self, error: Throttled, given: Pass) -> None:
        """Pause everyone for 2 s, then 4, 8, ... Raise QuotaEnded where the throttle is no burst's."""
        if given.pauses < self._pauses:
            return  # asked before the pause: refused together with the one that began it
        now = self._clock.monotonic()
        self._release()
        if self._in_a_row and error.ambiguous and self._has_day_window:
            raise QuotaEnded(f"refused again after a pause: {error}")
        if self._in_a_row == 0:
            self._since = now
        elif now - self._since >= nanoseconds(PATIENCE):
            raise QuotaEnded(f"nothing but refusals for {PATIENCE.total_seconds():g} s: {error}")
        pause = max(FIRST_PAUSE * 2**self._in_a_row, error.retry_after or timedelta())
        self._in_a_row += 1
        self._pauses += 1
        self.is_closed = True
        self._resume_at = now + nanoseconds(min(pause, LONGEST_PAUSE))

    def answered(self, given: Pass) -> None:
        """Let everyone go on: the API answered a request sent since the pause with anything but a throttle."""
        if self.is_closed and given.pauses == self._pauses:
            self.is_closed = False
            self._in_a_row = 0
            self._release()

    def unanswered(self, given: Pass) -> None:
        """Let the next worker ask alone: this request came to nothing, which tells nothing."""
        if given.alone and given.pauses == self._pauses:
            self._release()

    def _release(self) -> None:
        self._has_probe = False
        self._changed.set()
