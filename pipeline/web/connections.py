"""Inbound connections: how many there may be, and how long each may take: none must keep the daemon from collecting."""

import asyncio
import resource
from collections.abc import Collection
from datetime import timedelta
from typing import cast

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from pipeline.web.refusals import Busy

MOST_CONNECTIONS = 100
_SPARE = 8
"""Connections beyond that, when all of them are being answered."""
FIRST_WITHIN = timedelta(seconds=0.1)
"""A new connection has this time for its first request, however many others come."""
_LOOKS_AGAIN = 0.01
"""Seconds after which room is looked for again."""
REQUEST_WITHIN = timedelta(seconds=10)
"""A connection sends a request within this time, its first one and each further one, once it has taken the answer."""
ANSWER_WITHIN = timedelta(seconds=60)
"""An answer is computed, and taken by the client, within this time."""


def most_connections() -> int:
    """Return how many connections there may be: an eighth of the process's descriptors, and at most 100.

    The others are for requests to the API, and for the database.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(2, min(MOST_CONNECTIONS, soft // 8))


class Connections:
    """Ends connections that exceed their time. At the limit, each new one replaces the one that has been idle longest.

    So a health check is answered however many clients are idle, or slow to take what they asked for. A new connection
    is not ended before it had the time to send its request: until then, the next ones wait with the system. Neither is
    one whose answer is being computed: if all are, a few more are let in, for health checks and metrics alone.
    """

    def __init__(
        self,
        most: int,
        *,
        first_within: timedelta = FIRST_WITHIN,
        request_within: timedelta = REQUEST_WITHIN,
        answer_within: timedelta = ANSWER_WITHIN,
    ) -> None:
        self._most = most
        self._first_within = first_within.total_seconds()
        self._request_within = request_within.total_seconds()
        self._answer_within = answer_within.total_seconds()
        self._open: dict[asyncio.Transport, asyncio.TimerHandle] = {}
        """Each with what ends it in time; that whose time began first comes first."""
        self._new: set[asyncio.Transport] = set()
        """Those that may be about to send their first request."""
        self._answered: set[asyncio.Transport] = set()
        """Those with a request that is being answered."""

    def limit(self, protocol: asyncio.Protocol) -> asyncio.Protocol:
        """Return a protocol for a new connection, for which there is room; it passes everything on to `protocol`."""
        return _Limited(self, protocol)

    async def room(self) -> None:
        """Return when another connection may be opened. Another one is ended for it if there are as many as may be."""
        while True:
            if self._makes_room():
                return
            await asyncio.sleep(_LOOKS_AGAIN)

    def _makes_room(self) -> bool:
        if len(self._open) < self._most:
            return True
        waiting = [one for one in self._open if one not in self._answered]
        idle = [one for one in waiting if one not in self._new]
        if idle:
            ended = next((one for one in idle if not one.get_write_buffer_size()), idle[0])
            self.forget(ended)
            ended.abort()
            return True
        return not waiting and len(self._open) < self._most + _SPARE

    def opened(self, transport: asyncio.Transport) -> None:
        """Note that there is a new connection."""
        self._new.add(transport)
        asyncio.get_running_loop().call_later(self._first_within, self._new.discard, transport)
        self._limit_time(transport, self._request_within)

    def forget(self, transport: asyncio.Transport) -> None:
        """Note that a connection has ended."""
        self._new.discard(transport)
        self._answered.discard(transport)
        timer = self._open.pop(transport, None)
        if timer is not None:
            timer.cancel()

    def middleware(self, always: Collection[str] = ()) -> Middleware:
        """Return what limits the time of an answer, and then of the next request of its connection.

        `always`: the paths that are answered though as many others are being answered as may be.
        """

        @web.middleware
        async def limit_time(request: web.Request, handler: Handler) -> web.StreamResponse:
            transport = request.transport
            if len(self._answered) >= self._most and request.path not in always:
                return _refused()
            if transport in self._open:
                self._new.discard(transport)
                self._answered.add(transport)
                self._limit_time(transport, self._answer_within)
            last = asyncio.get_running_loop().time() + self._answer_within
            try:
                return await handler(request)
            finally:
                if transport in self._open:
                    self._answered.discard(transport)
                    self._limit_time(transport, self._request_within, last=last)

        return limit_time

    def _limit_time(self, transport: asyncio.Transport, seconds: float, *, last: float = 0.0) -> None:
        timer = self._open.pop(transport, None)
        if timer is not None:
            timer.cancel()
        self._open[transport] = asyncio.get_running_loop().call_later(seconds, self._end, transport, last)

    def _end(self, transport: asyncio.Transport, last: float) -> None:
        """End a connection: in order, unless the client does not take what was sent. It may, until `last`."""
        if not transport.get_write_buffer_size():
            transport.close()
        elif asyncio.get_running_loop().time() < last:
            self._limit_time(transport, self._request_within, last=last)
        else:
            transport.abort()


def _refused() -> web.Response:
    refusal = Busy()
    response = web.Response(status=refusal.status, text=f"{refusal}\n", headers={"Retry-After": str(Busy.RETRY_AFTER)})
    response.force_close()
    return response


class _Limited(asyncio.Protocol):
    """One connection: passes everything on to the protocol inside."""

    def __init__(self, connections: Connections, inside: asyncio.Protocol) -> None:
        self._connections = connections
        self._inside = inside
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it
        self._connections.opened(self._transport)
        self._inside.connection_made(self._transport)

    def data_received(self, data: bytes) -> None:
        self._inside.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inside.eof_received()

    def pause_writing(self) -> None:
        self._inside.pause_writing()

    def resume_writing(self) -> None:
        self._inside.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._connections.forget(self._transport)
        self._inside.connection_lost(error)
