"""The stand-in API over HTTP: a plan's windows, enforced as it says, and answers in the API's manner.

Tests script it: what it says of a symbol can be laid down beforehand, so that they need no other server.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from aiohttp import web

from pipeline.instants import Nanoseconds
from pipeline.model.symbols import parse_symbol
from pipeline.quota.limits import PERIODS, Limit
from pipeline.sandbox.companies import Companies

_PATH = "/query"
_JSON = "application/json"
_DEMO_KEY, _DEMO_SYMBOL = "demo", "IBM"
_RENDERED = 4096
"""Bodies kept: 10 MB of them at most."""
_SEEN = 200_000
"""Symbols kept in `seen`, so that a sandbox that runs for months does not grow."""
_PATIENCE_SECONDS = 0.05
"""How long answers under way may take when the server closes. Those that are delayed longer are dropped."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says to a request."""

    body: bytes
    status: int = 200
    content_type: str = _JSON
    headers: Mapping[str, str] | None = None

    def response(self) -> web.Response:
        """Return a response of its own, since one can be sent only once."""
        headers = {"Content-Type": self.content_type, **(self.headers or {})}
        return web.Response(body=self.body, status=self.status, headers=headers)


# What it says. The phrases by which the API's refusals are told apart are the API's, the sentences are the sandbox's.


def _render(document: Mapping[str, object]) -> Answer:
    """Return the document as the API writes it: a field a line, indented by four, characters as they are."""
    text = json.dumps(
        document, ensure_ascii=False, separators=(",\n    ", ": ")
    )  # indent= would cost ten times as much
    return Answer(f"{{\n    {text[1:-1]}\n}}".encode() if document else b"{}")


def _refusal(key: str, text: str) -> Answer:
    return _render({key: text})


def _daily_quota(apikey: str, limit: Limit) -> Answer:
    detected = (
        f"We have detected your API key as {apikey} and our standard API rate limit is {limit.count} requests per day"
    )
    return _refusal("Information", f"{detected}. The sandbox will answer again when a day has gone by.")


_AMBIGUOUS = _refusal(
    "Information",
    "The sandbox asks for spreading out your free API requests more sparingly (1 request per second), as the API does "
    "for a burst, for the end of the daily quota (requests per day) and for what a free key may not have.",
)
_MINUTE = _refusal(
    "Information", "Minute-level rate limit exceeded: this plan of the sandbox has no more for the minute."
)


def _burst(limit: Limit) -> Answer:
    ask = f"query no more than {limit.count} requests per second"
    return _refusal("Information", f"Burst pattern detected by the sandbox: please {ask}.")


_KEY_MISSING = _refusal(
    "Error Message", "Says the sandbox: the parameter apikey is invalid or missing. Any key but demo will do here."
)
_DEMO = _refusal(
    "Information",
    f"The **demo** API key is for demo purposes only: of the sandbox it gets {_DEMO_SYMBOL}, nothing else.",
)
_INVALID_CALL = _refusal("Error Message", "Invalid API call: the sandbox needs a symbol for OVERVIEW.")


def _no_function(name: str) -> Answer:
    return _refusal(
        "Error Message", f"This API function ({name[:40]}) is not one of the sandbox: OVERVIEW and LISTING_STATUS are."
    )


def _over(limit: Limit, limits: Sequence[Limit], apikey: str) -> Answer:
    """Return how the API refuses a request over this limit: with a day's limit in the plan, it tells little."""
    if limit.period >= PERIODS["day"]:
        return _daily_quota(apikey, limit)
    if any(other.period >= PERIODS["day"] for other in limits):
        return _AMBIGUOUS
    return _burst(limit) if limit.period <= PERIODS["second"] else _MINUTE


# The server


class SandboxApi:
    """The API's stand-in: it answers for invented companies, and counts."""

    def __init__(
        self,
        *,
        companies: Companies,
        limits: Sequence[Limit],
        day: Callable[[], date],
        latency: timedelta = timedelta(0),
        now: Callable[[], Nanoseconds] = time.monotonic_ns,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.requests = 0
        """How many requests came, answered or refused."""
        self.refused = 0
        """How many of them were over a limit."""
        self.seen: list[str] = []
        """The symbols asked for, as spelled, in order of arrival; the refused ones too."""
        self._companies = companies
        # The longest first: a request that is over several limits is told of the one that holds the longest.
        self._limits = sorted(limits, key=lambda limit: limit.period, reverse=True)
        self._arrivals: deque[Nanoseconds] = deque(maxlen=max((limit.count for limit in limits), default=0))
        self._day = day
        self._latency = latency
        self._now = now
        self._sleep = sleep
        self._queued: dict[str, deque[Answer]] = {}
        self._standing: dict[str, Answer] = {}
        self._rendered = lru_cache(_RENDERED)(self._overview)

    def says(
        self,
        symbol: str,
        body: str | bytes,
        *,
        status: int = 200,
        content_type: str = _JSON,
        headers: Mapping[str, str] | None = None,
        times: int | None = 1,
    ) -> None:
        """Lay down what the next requests for this symbol get, after what was laid down before.

        `times` of None lays it down for all requests that nothing else is left for.
        """
        answer = Answer(body.encode() if isinstance(body, str) else body, status, content_type, headers)
        if times is None:
            self._standing[symbol] = answer
        else:
            self._queued.setdefault(symbol, deque()).extend([answer] * times)

    def knows(self, symbol: str, document: Mapping[str, object]) -> None:
        """Lay down the symbol's document on every day from now on."""
        self._standing[symbol] = _render(document)

    @asynccontextmanager
    async def serve(self, *, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[str]:
        """Serve while the block runs, and give the URL to ask. Port 0 takes a free one; OSError if it cannot be had."""
        # aiohttp's bare server, for there is but one path: an application's routes would only cost time.
        runner = web.ServerRunner(
            web.Server(self._handle, access_log=None),  # the path holds the key
            shutdown_timeout=_PATIENCE_SECONDS,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            yield f"http://{host}:{runner.addresses[0][1]}{_PATH}"
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != _PATH:
            return web.Response(status=404)
        if request.method != "GET":
            return web.Response(status=405, headers={"Allow": "GET"})
        answer = self._answer(request.query)  # on arrival: what is delayed is only the answer
        if self._latency:
            await self._sleep(self._latency.total_seconds())
        return answer.response()

    def _answer(self, query: Mapping[str, str]) -> Answer:
        """Count the request, and return the answer to it."""
        apikey, symbol = query.get("apikey", ""), query.get("symbol", "")
        exceeded = self._count(symbol)
        if exceeded is not None:
            self.refused += 1
            return _over(exceeded, self._limits, apikey)
        if not apikey:
            return _KEY_MISSING
        function = query.get("function", "")
        if function == "LISTING_STATUS":
            return Answer(self._companies.listing(self._day()).encode(), content_type="text/csv")
        if function != "OVERVIEW":
            return _no_function(function)
        return self._of(symbol, apikey)

    def _count(self, symbol: str) -> Limit | None:
        """Note that a request has come, and return the limit that it exceeds. The refused count like the others.

        Both ends of a window belong to it, so that no other way to count is stricter.
        """
        now = self._now()
        self.requests += 1
        self._note(symbol)
        exceeded = next((limit for limit in self._limits if self._is_full(limit, now)), None)
        self._arrivals.append(now)
        return exceeded

    def _is_full(self, limit: Limit, now: Nanoseconds) -> bool:
        since = now - limit.period // timedelta(microseconds=1) * 1000
        return len(self._arrivals) >= limit.count and self._arrivals[-limit.count] >= since

    def _note(self, symbol: str) -> None:
        if len(self.seen) >= _SEEN:
            del self.seen[: _SEEN // 2]
        self.seen.append(symbol)

    def _of(self, symbol: str, apikey: str) -> Answer:
        """Return what is said of a symbol: what was laid down, or its company's overview."""
        if apikey == _DEMO_KEY and symbol != _DEMO_SYMBOL:
            return _DEMO
        if not symbol:
            return _INVALID_CALL
        if queued := self._queued.get(symbol):
            return queued.popleft()
        return self._standing.get(symbol) or self._rendered(symbol, self._day())

    def _overview(self, spelled: str, day: date) -> Answer:
        try:
            symbol = parse_symbol(spelled)
        except ValueError:
            return _render({})  # the API has no word for what cannot be a symbol
        return _render(self._companies.document(symbol, day) or {})
