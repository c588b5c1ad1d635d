"""Server: the stand-in API over HTTP, which enforces a plan's limits exactly and answers like the API.

Tests script its answers, so that they need no other server.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache

from aiohttp import web

from pipeline.instants import Nanoseconds, utc_now
from pipeline.model.symbols import parse_symbol
from pipeline.quota.limits import Limit
from pipeline.sandbox.answers import (
    DEMO_REFUSED,
    DEMO_SYMBOL,
    INVALID_CALL,
    JSON,
    KEY_MISSING,
    Answer,
    refuse_over,
    render,
    unknown_function,
)
from pipeline.sandbox.companies import Companies
from pipeline.sandbox.counting import KeyCounter

_PATH = "/query"
_DEMO_KEY = "demo"
_CACHED = 4096
"""Answers cached: up to 10 MB."""
_SEEN = 200_000
"""Symbols kept in `seen`, so that a sandbox that runs for months does not grow."""
_KEYS = 1_000
"""Keys whose requests are counted, for the same reason."""
_CLOSE_SECONDS = 0.05
"""How long open requests may take when the server closes. Those delayed for longer are dropped."""


class SandboxApi:
    """The stand-in API: answers requests for invented companies, and counts them."""

    def __init__(
        self,
        *,
        companies: Companies,
        limits: Sequence[Limit],
        plans: Mapping[str, Sequence[Limit]] | None = None,
        day: Callable[[], date],
        latency: timedelta = timedelta(0),
        wall: Callable[[], datetime | None] = utc_now,
        now: Callable[[], Nanoseconds] = time.monotonic_ns,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Each key may send within `limits`, those of `plans` within their own.

        Answers have the `Date` that `wall` shows; None: an empty one.
        """
        self.requests = 0
        """How many requests arrived, answered or refused."""
        self.refused = 0
        """How many of them were over a limit."""
        self.seen: list[str] = []
        """The symbols of all requests, as spelled, in order of arrival."""
        self._companies = companies
        self._limits = limits
        self._plans = plans or {}
        self._counters: dict[str, KeyCounter] = {}
        self._day = day
        self._latency = latency
        self._wall = wall
        self._now = now
        self._sleep = sleep
        self._queued: dict[str, deque[Answer]] = {}
        self._permanent: dict[str, Answer] = {}
        self._cached_overview = lru_cache(_CACHED)(self._overview)

    def says(
        self,
        symbol: str,
        body: str | bytes,
        *,
        status: int = 200,
        content_type: str = JSON,
        headers: Mapping[str, str] | None = None,
        times: int | None = 1,
    ) -> None:
        """Script the answer to the next requests for this symbol, after those scripted before.

        With `times` None it is the answer to every request that no other script is left for.
        """
        answer = Answer(body.encode() if isinstance(body, str) else body, status, content_type, headers)
        if times is None:
            self._permanent[symbol] = answer
        else:
            self._queued.setdefault(symbol, deque()).extend([answer] * times)

    def knows(self, symbol: str, document: Mapping[str, object]) -> None:
        """Script the symbol's document, on every day from now on."""
        self._permanent[symbol] = render(document)

    @asynccontextmanager
    async def serve(self, *, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[str]:
        """Serve while the block runs, and yield the base URL. Port 0: a free one.

        Raise OSError if the port is in use.
        """
        # aiohttp's bare server, without the cost of routes: there is one path.
        runner = web.ServerRunner(
            web.Server(self._dated, access_log=None),  # the path holds the key
            shutdown_timeout=_CLOSE_SECONDS,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            yield f"http://{host}:{runner.addresses[0][1]}{_PATH}"
        finally:
            await runner.cleanup()

    async def _dated(self, request: web.BaseRequest) -> web.StreamResponse:
        response = await self._handle(request)
        at = self._wall()
        response.headers.setdefault("Date", "" if at is None else format_datetime(at, usegmt=True))
        return response

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != _PATH:
            return web.Response(status=404)
        if request.method != "GET":
            return web.Response(status=405, headers={"Allow": "GET"})
        answer = self._answer(request.query)  # on arrival: only the answer is delayed
        if self._latency:
            await self._sleep(self._latency.total_seconds())
        return answer.response()

    def _answer(self, query: Mapping[str, str]) -> Answer:
        """Count the request, and return the answer to it."""
        apikey, symbol = query.get("apikey", ""), query.get("symbol", "")
        self.requests += 1
        self._note(symbol)
        counter = self._counter(apikey)
        exceeded = counter.count(self._now())
        if exceeded is not None:
            self.refused += 1
            return refuse_over(exceeded, counter.limits, apikey)
        if not apikey:
            return KEY_MISSING
        function = query.get("function", "")
        if function == "LISTING_STATUS":
            return Answer(self._companies.listing(self._day()).encode(), content_type="text/csv")
        if function != "OVERVIEW":
            return unknown_function(function)
        return self._answer_for(symbol, apikey)

    def _counter(self, apikey: str) -> KeyCounter:
        """Return what counts the requests of a key."""
        if apikey not in self._counters:
            if len(self._counters) >= _KEYS:
                del self._counters[next(iter(self._counters))]
            self._counters[apikey] = KeyCounter(self._plans.get(apikey, self._limits))
        return self._counters[apikey]

    def _note(self, symbol: str) -> None:
        if len(self.seen) >= _SEEN:
            del self.seen[: _SEEN // 2]
        self.seen.append(symbol)

    def _answer_for(self, symbol: str, apikey: str) -> Answer:
        """Return the answer for a symbol: the scripted one, or its company's overview."""
        if apikey == _DEMO_KEY and symbol != DEMO_SYMBOL:
            return DEMO_REFUSED
        if not symbol:
            return INVALID_CALL
        if queued := self._queued.get(symbol):
            return queued.popleft()
        return self._permanent.get(symbol) or self._cached_overview(symbol, self._day())

    def _overview(self, spelled: str, day: date) -> Answer:
        try:
            symbol = parse_symbol(spelled)
        except ValueError:
            return render({})  # as the API answers for a text that cannot be a symbol
        return render(self._companies.document(symbol, day) or {})
