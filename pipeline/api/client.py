"""The HTTP client of the API: one request to OVERVIEW, the only endpoint used, and its overview or an ApiError.

Every exception of aiohttp becomes an ApiError whose text never contains the key. aiohttp resends a GET when the server
drops the connection; this client does not, because each request uses quota. It follows no redirects, keeps no cookies,
takes no proxy from the environment, and verifies TLS.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import lru_cache
from urllib.parse import quote

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientHandlerType,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    ServerDisconnectedError,
    TCPConnector,
)
from yarl import URL

from pipeline import __version__
from pipeline.api.errors import Rejected, TooLarge, Unavailable, Unreachable
from pipeline.api.responses import LARGEST_BODY, read_response
from pipeline.model.document import Overview
from pipeline.model.symbols import Symbol, requested_as
from pipeline.redaction import Redaction

_CHUNK = 65_536
_HEADERS = {
    "Accept": "application/json, */*;q=0.1",
    "Accept-Encoding": "gzip",
    "User-Agent": f"overview-pipeline/{__version__}",
}


class OverviewApi:
    """Requests overviews over one HTTP session."""

    def __init__(self, session: ClientSession, base_url: str, key: str) -> None:
        self._session = session
        self._before_symbol = f"{base_url}?function=OVERVIEW&symbol="
        self._after_symbol = f"&apikey={quote(key, safe='')}"
        self._redaction = Redaction([key])

    async def overview(self, symbol: Symbol, *, within: timedelta) -> Overview:
        """Return the overview of the symbol. Raise the ApiError that says what came instead.

        The whole answer must arrive `within` that time.
        """
        url = URL(f"{self._before_symbol}{quote(requested_as(symbol), safe='')}{self._after_symbol}", encoded=True)
        timeout = _timeout(within)
        try:
            async with self._session.get(url, timeout=timeout, allow_redirects=False) as response:
                body = await _body(response)
        except (ClientConnectorError, ConnectionTimeoutError) as error:
            # The class's name only: texts of aiohttp's errors can contain the URL, and so the key.
            raise Unreachable(f"no connection to the server ({_name(error)})") from None
        except TimeoutError as error:
            raise Unavailable(f"no complete answer within {within.total_seconds():g} s ({_name(error)})") from None
        except (ClientError, ValueError) as error:
            raise Unavailable(f"incomplete answer or invalid HTTP ({_name(error)})") from None
        return self._read(symbol, response, body)

    def _read(self, symbol: Symbol, response: ClientResponse, body: bytes) -> Overview:
        """Return the overview in the body. Raise an ApiError without the key, which the API's own notices echo.

        An overview that contains the key is rejected: nothing may alter a document, nor store the key.
        """
        overview = read_response(symbol, response.status, response.headers, body, redact=self._redaction)
        if self._redaction.finds_key(body):
            raise Rejected("the overview contains the API key")
        return overview


@lru_cache(maxsize=16)
def _timeout(within: timedelta) -> ClientTimeout:
    """Return aiohttp's timeout. Of its kinds only `total` stops a server that sends a byte at a time."""
    return ClientTimeout(total=within.total_seconds())


async def _body(response: ClientResponse) -> bytes:
    chunks, size = [], 0
    while chunk := await response.content.read(_CHUNK):
        size += len(chunk)
        if size > LARGEST_BODY:
            response.close()
            raise TooLarge(f"answer larger than {LARGEST_BODY:,} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _name(error: BaseException) -> str:
    return type(error).__name__


@asynccontextmanager
async def open_api(base_url: str, key: str, *, concurrency: int, reuse: bool) -> AsyncIterator[OverviewApi]:
    """Open the session. `reuse` keeps connections alive: faster, and right only for a plan without limits.

    With limits, a request on a connection that the server is just closing would waste a slot.
    """
    connector = TCPConnector(limit=concurrency, force_close=not reuse, ttl_dns_cache=300)
    async with ClientSession(
        connector=connector,
        headers=_HEADERS,
        cookie_jar=DummyCookieJar(),
        middlewares=(_sent_once,),
        trust_env=False,
        auto_decompress=True,
    ) as session:
        yield OverviewApi(session, base_url, key)
    # TLS connections close one iteration of the event loop later.
    await asyncio.sleep(0)


async def _sent_once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Replace the errors after which aiohttp would resend a request by one after which it does not."""
    try:
        return await handler(request)
    except ClientConnectorError:
        raise
    except (ClientOSError, ServerDisconnectedError) as error:
        raise Unavailable(f"the server dropped the connection ({_name(error)})") from None
