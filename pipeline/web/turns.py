"""Turns: while the process has other work, requests begin one at a time, and some time apart.

Clients that ask again as soon as they have an answer would otherwise take all the time that there is: a run that
collects meanwhile would send its requests late.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Container
from datetime import timedelta

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

APART = timedelta(milliseconds=10)


class Turns:
    """Lets those who wait go on, one after another while the process is busy, and otherwise at once."""

    def __init__(self, is_busy: Callable[[], bool], *, apart: timedelta = APART) -> None:
        self._is_busy = is_busy
        self._apart = apart.total_seconds()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_taken = False

    async def wait(self) -> None:
        """Return when it is the caller's turn: at once, unless another had one a moment ago."""
        if not self._is_taken and not self._is_busy():
            return
        if self._is_taken:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        else:
            self._take()

    def _take(self) -> None:
        self._is_taken = True
        asyncio.get_running_loop().call_later(self._apart, self._pass_on)

    def _pass_on(self) -> None:
        """Let the first one who still waits go on."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._take()
                return
        self._is_taken = False

    def middleware(self, unhindered: Container[str]) -> Middleware:
        """Return what lets each request wait for its turn, but for those to some paths."""

        @web.middleware
        async def in_turn(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path not in unhindered:
                await self.wait()
            return await handler(request)

        return in_turn
