"""The HTTP client of the API: one request to OVERVIEW, the only endpoint used, and its overview or an ApiError.

Every exception of aiohttp becomes an ApiError whose text never contains the key. aiohttp resends a GET when the server
drops the connection; this client does not, because each request uses quota. It follows no redirects, keeps no cookies,
takes no proxy from the environment, and verifies TLS: a proxy that is configured sees the server's name, and no more.
"""

import asyncio
import math
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from types import SimpleNamespace
from urllib.parse import quote

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientHandlerType,
    ClientHttpProxyError,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    ServerDisconnectedError,
    TraceConfig,
    TraceRequestHeadersSentParams,
)
from yarl import URL

from pipeline import __version__
from pipeline.api.clock_check import ClockCheck
from pipeline.api.connection_errors import is_temporary, reason
from pipeline.api.errors import (
    CONTAINS_KEY,
    ApiError,
    ProxyRefused,
    Rejected,
    TooLarge,
    Unavailable,
    UnknownSymbol,
    Unreachable,
)
from pipeline.api.interim import Connector
from pipeline.api.responses import LARGEST_BODY, read_response
from pipeline.api.server_time import ServerTime
from pipeline.clock import REAL_CLOCK, Clock
from pipeline.model.document import Overview
from pipeline.model.slots import KeyId
from pipeline.model.symbols import Symbol, requested_as
from pipeline.redaction import Redaction

_TO_ARRIVE = timedelta(seconds=5)
"""How long before it is given up a request leaves at the latest."""
_CHUNK = 65_536
_HEADERS = {
    "Accept": "application/json, */*;q=0.1",
    "Accept-Encoding": "gzip",
    "User-Agent": f"overview-pipeline/{__version__}",
}


class OverviewApi:
    """Requests overviews over one HTTP session."""

    def __init__(
        self,
        session: ClientSession,
        base_url: str,
        keys: Mapping[KeyId, str],
        *,
        proxy: str | None,
        clock_check: ClockCheck,
    ) -> None:
        self._session = session
        self._clock_check = clock_check
        self._before_symbol = f"{base_url}?function=OVERVIEW&symbol="
        self._after_symbol = {id_: f"&apikey={quote(key, safe='')}" for id_, key in keys.items()}
        self._redaction = Redaction(keys.values())
        self._proxy = proxy_for(base_url, proxy)

    async def overview(self, symbol: Symbol, *, key: KeyId, within: timedelta) -> Overview:
        """Return the overview of the symbol, requested with a key. Raise the ApiError that says what came instead.

        The whole answer must arrive `within` that time.
        """
        name = quote(requested_as(symbol), safe="")
        url = URL(f"{self._before_symbol}{name}{self._after_symbol[key]}", encoded=True)
        sending, began = Sending(), self._clock_check.begin()
        try:
            async with self._session.get(
                url, timeout=timeout_of(within), allow_redirects=False, proxy=self._proxy, trace_request_ctx=sending
            ) as response:
                body = await _body(response)
        except (ClientError, TimeoutError, ValueError, Dropped) as error:
            raise self._translated(error, within, has_left=sending.has_left) from None
        wrong_clock = self._clock_check.listen(response.headers, began=began)
        try:
            overview = self._read(symbol, response, body)
        except UnknownSymbol:
            if wrong_clock is None:
                raise
        if wrong_clock is not None:
            raise wrong_clock
        return overview

    def _translated(self, error: Exception, within: timedelta, *, has_left: bool) -> ApiError:
        """Return the ApiError for an exception. A request that has not left cannot have been counted."""
        if not has_left:
            why = reason(error)
            if isinstance(error, ClientHttpProxyError) and not is_temporary(error.status):
                return ProxyRefused(f"{why.problem}; {why.remedy}")
            to = "to the server" if self._proxy is None else f"through the proxy {self._proxy.host}:{self._proxy.port}"
            return Unreachable(f"no connection {to}: {why.problem} (pipeline doctor --online says more)")
        # The class's name only: texts of aiohttp's errors can contain the URL, and so the key.
        name = type(error).__name__
        if isinstance(error, TimeoutError):
            return Unavailable(f"no complete answer within {within.total_seconds():g} s ({name})")
        if isinstance(error, Dropped):
            return Unavailable(f"the server dropped the connection ({error})")
        return Unavailable(f"incomplete answer or invalid HTTP ({name})")

    def _read(self, symbol: Symbol, response: ClientResponse, body: bytes) -> Overview:
        """Return the overview in the body. Raise an ApiError without the key, which the API's own notices echo.

        An overview that contains the key is rejected: nothing may alter a document, nor store the key.
        """
        overview = read_response(symbol, response.status, response.headers, body, redact=self._redaction)
        if self._redaction.finds_key(body):
            raise Rejected(CONTAINS_KEY)
        return overview


@lru_cache(maxsize=16)
def timeout_of(within: timedelta) -> ClientTimeout:
    """Return aiohttp's timeout. Of its kinds only `total` stops a server that sends a byte at a time.

    A connection that is made too late is not used: the request would be given up before it can have arrived.
    """
    connect = within - min(_TO_ARRIVE, within / 2)
    # By itself aiohttp rounds up to a full second, which may be after the deadline.
    return ClientTimeout(total=within.total_seconds(), connect=connect.total_seconds(), ceil_threshold=math.inf)


async def _body(response: ClientResponse) -> bytes:
    chunks, size = [], 0
    while chunk := await response.content.read(_CHUNK):
        size += len(chunk)
        if size > LARGEST_BODY:
            response.close()
            raise TooLarge(f"answer larger than {LARGEST_BODY:,} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


@dataclass(slots=True)
class Sending:
    """Whether a request has begun to leave: before that, the server cannot have counted it."""

    has_left: bool = False


async def _note_that_it_leaves(
    _session: ClientSession, context: SimpleNamespace, _params: TraceRequestHeadersSentParams
) -> None:
    context.trace_request_ctx.has_left = True


def proxy_for(base_url: str, proxy: str | None) -> URL | None:
    """Return the proxy for a URL; None for plain http, which is within this machine: a proxy would see the key."""
    return URL(proxy) if proxy is not None and is_encrypted(base_url) else None


def is_encrypted(url: str) -> bool:
    """Whether requests to a URL use TLS."""
    return url.lower().startswith("https:")


@asynccontextmanager
async def open_session(url: str, *, concurrency: int, reuse: bool) -> AsyncIterator[ClientSession]:
    """Open a session for requests to a URL, which sends each once and verifies TLS. `reuse` keeps connections alive.

    The trusted certificates are read for each session: a daemon runs for years, and those of its start expire.
    """
    trusted = ssl.create_default_context() if is_encrypted(url) else True
    connector = Connector(limit=concurrency, force_close=not reuse, ttl_dns_cache=300, ssl=trusted)
    leaving = TraceConfig()
    leaving.on_request_headers_sent.append(_note_that_it_leaves)
    async with ClientSession(
        connector=connector,
        headers=_HEADERS,
        cookie_jar=DummyCookieJar(),
        middlewares=(_sent_once,),
        trace_configs=[leaving],
        trust_env=False,
        auto_decompress=True,
    ) as session:
        yield session
    # TLS connections close one iteration of the event loop later.
    await asyncio.sleep(0)


@asynccontextmanager
async def open_api(
    base_url: str,
    keys: Mapping[KeyId, str],
    *,
    concurrency: int,
    reuse: bool,
    proxy: str | None = None,
    clock: Clock = REAL_CLOCK,
    hear: Callable[[ServerTime], object] = lambda _time: None,
) -> AsyncIterator[OverviewApi]:
    """Open the API with some keys, by their fingerprints.

    `proxy`: the URL of one to go through, such as `http://user:password@host:3128`. `clock` dates what is answered, and
    is compared with the server's; `hear` is called with what that shows.

    `reuse` keeps connections alive: faster, and right only for a plan without limits. With limits, a request on a
    connection that the server is just closing would waste a slot.
    """
    async with open_session(base_url, concurrency=concurrency, reuse=reuse) as session:
        yield OverviewApi(session, base_url, keys, proxy=proxy, clock_check=ClockCheck(clock, hear))


class Dropped(Exception):
    """The connection was dropped: not an error after which aiohttp would resend the request."""


async def _sent_once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Replace the errors after which aiohttp would resend a request by one after which it does not."""
    try:
        return await handler(request)
    except ClientConnectorError:
        raise
    except (ClientOSError, ServerDisconnectedError) as error:
        raise Dropped(type(error).__name__) from None
