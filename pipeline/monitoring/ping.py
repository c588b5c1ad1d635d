"""Pings to a healthchecks.io-style address at the start and end of each run, which notices when they stay out."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar
from yarl import URL

from pipeline import __version__
from pipeline.api.interim import Connector
from pipeline.clock import Sleep
from pipeline.monitoring.outbox import CLOSING, PINGING, NotNow, Outbox, Undelivered, retrying

_LONGEST_BODY = 10_000
"""Bytes of a ping: healthchecks.io accepts 100 kB, others less."""


class _Signal(StrEnum):
    """What a ping reports: the end of its path."""

    START = "/start"
    SUCCESS = ""
    FAIL = "/fail"


class _Message(NamedTuple):
    signal: _Signal
    text: str


class Ping:
    """Reports that runs start and how they end, in order.

    A ping is about now: one that is not accepted after a few attempts is dropped.
    """

    def __init__(self, url: str | None, *, sleep: Sleep = asyncio.sleep, within: timedelta = PINGING) -> None:
        """Take an address that `settings.secrets` accepts; None: nothing is sent."""
        self._urls = None if url is None else {signal: _extended(url, signal) for signal in _Signal}
        self._sleep = sleep
        self._timeout = ClientTimeout(total=within.total_seconds())
        self._outbox: Outbox[_Message] = Outbox(self._send, sleep=sleep)
        self._session: ClientSession | None = None

    def start(self, text: str = "") -> None:
        """Report that a run has started, and return at once."""
        self._put(_Signal.START, text)

    def success(self, text: str = "") -> None:
        """Report that a run has succeeded, and return at once."""
        self._put(_Signal.SUCCESS, text)

    def fail(self, text: str = "") -> None:
        """Report that a run has failed, and return at once."""
        self._put(_Signal.FAIL, text)

    async def close(self, within: timedelta = CLOSING) -> None:
        """Give waiting pings up to this much time."""
        unsent = await self._outbox.close(within)
        if unsent:
            structlog.get_logger().warning("pings not sent before the end", pings=unsent)
        if self._session is not None:
            await self._session.close()

    def _put(self, signal: _Signal, text: str) -> None:
        if self._urls is not None:
            self._outbox.put(_Message(signal, text))

    async def _send(self, messages: Sequence[_Message]) -> int:
        """Send the first, and drop it if that fails."""
        message = messages[0]
        try:
            async for attempt in retrying(self._sleep):
                with attempt:
                    await self._attempt(message)
        except Undelivered as error:
            structlog.get_logger().warning("ping not sent", ping=message.signal.name.lower(), error=str(error))
        return 1

    async def _attempt(self, message: _Message) -> None:
        assert self._urls is not None
        if self._session is None:
            self._session = ClientSession(
                connector=Connector(limit=1, force_close=True),
                headers={"User-Agent": f"overview-pipeline/{__version__}", "Content-Type": "text/plain; charset=utf-8"},
                cookie_jar=DummyCookieJar(),
                timeout=self._timeout,
                trust_env=False,
            )
        body = message.text.encode(errors="replace")[:_LONGEST_BODY]
        try:
            # Only the status of the answer is read. Redirects are not followed: they could leak the secret.
            async with self._session.post(self._urls[message.signal], data=body, allow_redirects=False) as response:
                status = response.status
        except (ClientError, TimeoutError, ValueError) as error:
            # Only the class: the texts of aiohttp's errors can hold the URL.
            raise NotNow(type(error).__name__) from None
        if status >= 500 or status == 429:
            raise NotNow(f"HTTP {status}")
        if status >= 300:
            raise Undelivered(f"HTTP {status}")


def _extended(url: str, signal: _Signal) -> URL:
    """Return the address with the signal at the end of its path, before its query."""
    parts = urlsplit(url)
    path = f"{parts.path.rstrip('/')}{signal}" if signal else parts.path
    return URL(urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")), encoded=True)
