"""Halting a run: ends every wait in it at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Halting


class Halted(Exception):
    """The run has ended: nothing more is to be sent."""


class Halt:
    """Ends a run, and remembers why."""

    def __init__(self) -> None:
        self.reasons: list[Exception] = []
        self.is_closed = False
        self._waits: set[asyncio.Timeout] = set()

    def __call__(self, reason: Exception) -> None:
        """End the run, and every wait in it, at once: nothing more is to be sent."""
        self.reasons.append(reason)
        self.is_closed = True
        # Each once: a timeout that is about to go off will not be told again.
        while self._waits:
            self._waits.pop().reschedule(asyncio.get_running_loop().time())

    def begin_no_more(self, reason: Exception) -> None:
        """End the run, but let those that have a slot use it."""
        self.reasons.append(reason)

    def check(self) -> None:
        """Raise Halted if nothing more is to be sent."""
        if self.is_closed:
            raise Halted

    @asynccontextmanager
    async def interrupts(self) -> AsyncIterator[None]:
        """Let the end of the run break off what is awaited inside: raises Halted then."""
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
