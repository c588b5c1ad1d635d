"""Halt: stops a run, by ending every wait in it at once or by sending no new requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

INTERRUPT_GRACE = timedelta(seconds=5)
"""How long open requests may take to finish once a run was interrupted."""


class Interrupted(Exception):
    """The reason to halt a run that a signal, or the end of the daemon, stops."""


class Halted(Exception):
    """The run was halted: send nothing more."""


class Halt:
    """Stops a run, and remembers the reasons."""

    def __init__(self) -> None:
        self.reasons: list[Exception] = []
        self.is_immediate = False
        """Whether no request may leave any more, not even one that has its slot."""
        self._waits: set[asyncio.Timeout] = set()

    def __call__(self, reason: Exception) -> None:
        """End the run, and every wait in it, at once: no further request may leave."""
        self.reasons.append(reason)
        self.is_immediate = True
        # Each once: a timeout that is about to expire cannot be rescheduled.
        while self._waits:
            self._waits.pop().reschedule(asyncio.get_running_loop().time())

    def stop_taking_slots(self, reason: Exception) -> None:
        """End the run, but let workers that have a slot use it."""
        self.reasons.append(reason)

    def check(self) -> None:
        """Raise Halted if no request may leave any more."""
        if self.is_immediate:
            raise Halted

    @asynccontextmanager
    async def interrupts(self) -> AsyncIterator[None]:
        """Interrupt what is awaited inside when the run is halted, and raise Halted then."""
        self.check()
        wait = asyncio.timeout(None)
        try:
            async with wait:
                self._waits.add(wait)
                try:
                    yield
                finally:
                    self._waits.discard(wait)
        except TimeoutError:
            if wait.expired():
                raise Halted from None
            raise
