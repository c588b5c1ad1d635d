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
BACKLOG = 16
"""Connections that the system accepts ahead of us: each takes a descriptor for a moment, even if it is then refused."""
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

    So a health check is answered however many clients are idle, or slow to take what they asked for. A connection whose
    answer is being computed is not ended: if all are, a few more are let in, for health checks and metrics alone.
    """

    def __init__(
        self, most: int, *, request_within: timedelta = REQUEST_WITHIN, answer_within: timedelta = ANSWER_WITHIN
    ) -> None:
        self._most = most
        self._request_within = request_within.total_seconds()
        self._answer_within = answer_within.total_seconds()
        self._open: dict[asyncio.Transport, asyncio.TimerHandle] = {}
        """Each with what ends it in time; that whose time began first comes first."""
        self._answered: set[asyncio.Transport] = set()
        """Those with a request that is being answered."""
        self._spare: set[asyncio.Transport] = set()
        """Those beyond the most: what is asked over them is refused, unless it is a health check or metrics."""

    def limit(self, protocol: asyncio.Protocol) -> asyncio.Protocol:
        """Return a protocol for a new connection, which passes on to `protocol` what may pass."""
        return _Limited(self, protocol)

    def admit(self, transport: asyncio.Transport) -> bool:
        """Return whether a new connection may stay. One that may not is closed."""
        if len(self._open) >= self._most:
            idle = [one for one in self._open if one not in self._answered]
            if idle:
                ended = next((one for one in idle if not one.get_write_buffer_size()), idle[0])
                self.forget(ended)
                ended.abort()
        if len(self._open) >= self._most:
            if len(self._spare) >= _SPARE:
                transport.abort()
                return False
            self._spare.add(transport)
        self._limit_time(transport, self._request_within)
        return True

    def forget(self, transport: asyncio.Transport) -> None:
        """Note that a connection has ended."""
        self._answered.discard(transport)
        self._spare.discard(transport)
        timer = self._open.pop(transport, None)
        if timer is not None:
            timer.cancel()

    def middleware(self, always: Collection[str] = ()) -> Middleware:
        """Return what limits the time of an answer, and then of the next request of its connection.

        `always`: the paths that are answered though all other connections are being answered, too.
        """

        @web.middleware
        async def limit_time(request: web.Request, handler: Handler) -> web.StreamResponse:
            transport = request.transport
            if len(self._open) <= self._most:
                self._spare.clear()  # others have gone: there is room for all
            if transport in self._spare and request.path not in always:
                return _refused()
            if transport in self._open:
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
    """One connection: passes everything on to the protocol inside, if it was admitted."""

    def __init__(self, connections: Connections, inside: asyncio.Protocol) -> None:
        self._connections = connections
        self._inside = inside
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it
        if self._connections.admit(stream):
            self._transport = stream
            self._inside.connection_made(stream)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._inside.data_received(data)

    def eof_received(self) -> bool | None:
        return None if self._transport is None else self._inside.eof_received()

    def pause_writing(self) -> None:
        self._inside.pause_writing()

    def resume_writing(self) -> None:
        self._inside.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._connections.forget(self._transport)
            self._inside.connection_lost(error)
