"""The API's edge: one request, one answer. Whatever aiohttp raises becomes an ApiError here, and holds no key.

Never more requests than asked for: aiohttp by itself sends a GET again when the server drops a connection; here it
does not. Never elsewhere: no redirects, no cookies, no proxy from the environment, TLS verified.
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
from pipeline.api.errors import ApiError, Rejected, TooLarge, Unavailable, Unreachable
from pipeline.api.responses import LARGEST_BODY, excerpt, read_response
from pipeline.model.document import Overview
from pipeline.model.symbols import Symbol

_CHUNK = 65_536
_KEY_WORTH_LOOKING_FOR = 8
"""A key shorter than this stands in many a text by chance."""
_HEADERS = {
    "Accept": "application/json, */*;q=0.1",
    "Accept-Encoding": "gzip",
    "User-Agent": f"overview-pipeline/{__version__}",
}


class OverviewApi:
    """Asks for overviews over one session."""

    def __init__(self, session: ClientSession, base_url: str, key: str) -> None:
        self._session = session
        self._before_symbol = f"{base_url}?function=OVERVIEW&symbol="
        self._after_symbol = f"&apikey={quote(key, safe='')}"
        self._keys = {key.encode(), quote(key, safe="").encode()}
        self._is_telling = len(key) >= _KEY_WORTH_LOOKING_FOR

    async def overview(self, symbol: Symbol, *, within: timedelta) -> Overview:
        """Return the overview of the symbol. Raise the ApiError that says what came instead.

        The answer must be here whole `within` that time.
        """
        url = URL(f"{self._before_symbol}{quote(symbol, safe='')}{self._after_symbol}", encoded=True)
        timeout = _timeout(within)
        try:
            async with self._session.get(url, timeout=timeout, allow_redirects=False) as response:
                body = await _body(response)
        except (ClientConnectorError, ConnectionTimeoutError) as error:
            # The name of the class only: texts of aiohttp's errors can hold the URL, and so the key.
            raise Unreachable(f"no connection to the server ({_name(error)})") from None
        except TimeoutError as error:
            raise Unavailable(f"no whole answer within {within.total_seconds():g} s ({_name(error)})") from None
        except (ClientError, ValueError) as error:
            raise Unavailable(f"the answer broke off or was no HTTP ({_name(error)})") from None
        return self._read(symbol, response, body)

    def _read(self, symbol: Symbol, response: ClientResponse, body: bytes) -> Overview:
        """Return the overview in the body. The API's own notice echoes the key: it is taken out of what is no overview.

        An overview that holds the key is not altered, and so cannot be kept.
        """
        scrubbed = body
        for key in self._keys:
            scrubbed = scrubbed.replace(key, b"***")
        if scrubbed == body:
            try:
                return read_response(symbol, response.status, response.headers, body)
            except ApiError as refusal:
                # Escapes of JSON hide a key from those who look for it in the bytes.
                refusal.args = tuple(self._without_keys(str(text)) for text in refusal.args)
                raise
        overview, error = _sorted(symbol, response, body)
        if error is not None:
            # Sorted by its own words, told without the key.
            error.args = (excerpt(scrubbed),)
            raise error
        if overview is None or self._is_telling:
            raise Rejected("an overview that holds the API key: not kept")
        return overview

    def _without_keys(self, text: str) -> str:
        for key in self._keys:
            text = text.replace(key.decode(), "***")
        return text


def _sorted(symbol: Symbol, response: ClientResponse, body: bytes) -> tuple[Overview | None, ApiError | None]:
    """Return what the answer is, as a value: an error raised while another is handled would carry that one along."""
    try:
        return read_response(symbol, response.status, response.headers, body), None
    except ApiError as error:
        return None, error


@lru_cache(maxsize=16)
def _timeout(within: timedelta) -> ClientTimeout:
    """Return the timeout as aiohttp takes it. Of its kinds only `total` stops a server that drips."""
    return ClientTimeout(total=within.total_seconds())


async def _body(response: ClientResponse) -> bytes:
    chunks, size = [], 0
    while chunk := await response.content.read(_CHUNK):
        size += len(chunk)
        if size > LARGEST_BODY:
            response.close()
            raise TooLarge(f"an answer of more than {LARGEST_BODY:,} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _name(error: BaseException) -> str:
    return type(error).__name__


@asynccontextmanager
async def open_api(base_url: str, key: str, *, concurrency: int, reuse: bool) -> AsyncIterator[OverviewApi]:
    """Open the session. `reuse` keeps connections for the next request, which is fast where no window is to be kept.

    With a window none is reused: a request on a connection that the server is just closing would take a slot for
    nothing.
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
    # TLS connections close a turn of the loop later.
    await asyncio.sleep(0)


async def _sent_once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Turn the errors after which aiohttp would send a request again into one after which it does not."""
    try:
        return await handler(request)
    except ClientConnectorError:
        raise
    except (ClientOSError, ServerDisconnectedError) as error:
        raise Unavailable(f"the server dropped the connection ({_name(error)})") from None
