"""Telling: notifications through apprise, and pings in the style of healthchecks.io. Neither can fail a run.

Callers put down what is to be told, and go on: an outbox for each address sends it, in order. The addresses are
secrets. They reach no log, no error, no file: what is logged is a scheme and a number, a class name, a status.
"""

import asyncio
import logging
import re
import threading
import warnings
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import timedelta
from enum import StrEnum
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit, urlunsplit

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential
from yarl import URL

from pipeline import __version__, extras
from pipeline.clock import Sleep
from pipeline.news import Message, joined
from pipeline.outcome import ExitCode, Trouble

T = TypeVar("T")

ATTEMPTS = 3
KEPT = 20
"""So many are kept for an address that takes none, the newest."""
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=1)
"""Between the attempts to send one thing."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=6)
"""After those attempts, until the next: the network may be down that the run failed for."""
SENDING, PINGING, CLOSING = timedelta(seconds=30), timedelta(seconds=10), timedelta(seconds=2)

_LONGEST_BODY = 10_000
"""Bytes of a ping: healthchecks.io takes 100 kB, others less."""


class AddressError(Trouble):
    """An address that cannot be used. The line names its variable, and nothing of the address."""

    exit_code = ExitCode.REFUSED


class _Undelivered(Exception):
    """It was not taken. Its text is for the log: no part of an address."""


class _NotNow(_Undelivered):
    """Trying again in a moment may help."""


class Outbox(Generic[T]):
    """What waits to be sent to one address, and the task that sends it, in order. Who puts something in never waits.

    `send` is given all that waits, oldest first, and returns how many it is done with. If none, the rest waits too.
    """

    def __init__(self, send: Callable[[Sequence[T]], Awaitable[int]], *, sleep: Sleep) -> None:
        self._send = send
        self._sleep = sleep
        self._waiting: deque[T] = deque(maxlen=KEPT)
        self._put = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._dropped = 0

    def put(self, item: T) -> None:
        """Have it sent after what waits already. Where too much does, the oldest is dropped."""
        self._dropped += len(self._waiting) == KEPT
        self._waiting.append(item)
        self._put.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="outbox")

    async def close(self, within: timedelta) -> int:
        """Send what waits, if that can be done within the time. Return how many were not sent."""
        self._closing.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=within.total_seconds())
            self._task.cancel()
            await asyncio.wait({self._task})
        return len(self._waiting)

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            while self._waiting:
                if await self._send_first():
                    pause = FIRST_PAUSE
                elif self._closing.is_set():
                    return
                else:
                    await self._either(self._sleep(pause.total_seconds()), self._closing.wait())
                    pause = min(2 * pause, LONGEST_PAUSE)
            if self._closing.is_set():
                return
            await self._either(self._put.wait(), self._closing.wait())

    async def _send_first(self) -> int:
        """Send of what waits, and take out what is done with. Return how many those are."""
        self._put.clear()
        dropped = self._dropped
        done = await self._send(tuple(self._waiting))
        # What was dropped meanwhile was among the first, and is out already.
        for _ in range(done - (self._dropped - dropped)):
            self._waiting.popleft()
        return done

    @staticmethod
    async def _either(*waits: Awaitable[object]) -> None:
        """Return when one of them has."""
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()


def _retrying(sleep: Sleep) -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception_type(_NotNow),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(multiplier=FIRST_WAIT.total_seconds(), max=LONGEST_WAIT.total_seconds()),
        sleep=sleep,
        reraise=True,
    )


# Notifications


class _Plugin(Protocol):
    """A service, as apprise knows it."""

    def notify(self, *, body: str, title: str, notify_type: str, body_format: str) -> bool: ...


_SCHEME = re.compile(r"\s*([a-zA-Z][a-zA-Z0-9.+-]{0,19})://")


class _Service:
    """One of the addresses, and what it is called where it must not be named."""

    def __init__(self, plugin: _Plugin, name: Mapping[str, object], *, sleep: Sleep, within: timedelta) -> None:
        self._plugin = plugin
        self._log = structlog.get_logger().bind(**name)
        self._sleep = sleep
        self._within = within
        self._under_way: Future[bool] | None = None

    async def send(self, messages: Sequence[Message]) -> int:
        """Send them as one, and return how many they are; 0 if they were not taken."""
        message = joined(messages)
        try:
            async for attempt in _retrying(self._sleep):
                with attempt:
                    await self._attempt(message)
        except _Undelivered as error:
            self._log.warning("a notification was not taken", error=str(error), waiting=len(messages))
            return 0
        return len(messages)

    async def _attempt(self, message: Message) -> None:
        """Hand it to apprise, which blocks: in a thread of its own, that nobody waits for.

        Not in the loop's own few threads: services that hang would fill them, and collecting needs them for DNS. Nor by
        apprise's `async_notify`: its threads are waited for when Python ends.
        """
        if self._under_way is not None and not self._under_way.done():
            raise _Undelivered("it still hangs over the one before")
        future: Future[bool] = Future()
        future.set_running_or_notify_cancel()
        threading.Thread(target=self._deliver, args=(message, future), name="notify", daemon=True).start()
        self._under_way = future
        try:
            async with asyncio.timeout(self._within.total_seconds()):
                was_taken = await asyncio.wrap_future(future)
        except TimeoutError:
            raise _Undelivered(f"it did not end within {self._within.total_seconds():g} s") from None
        if not was_taken:
            raise _NotNow("refused, or no connection")

    def _deliver(self, message: Message, future: "Future[bool]") -> None:
        try:
            was_taken = self._plugin.notify(
                body=message.body,
                title=message.title,
                notify_type="success" if message.is_good else "warning",
                body_format="text",
            )
        except Exception as error:  # noqa: BLE001 - a hundred plugins raise what they like, and no text of theirs is safe
            future.set_exception(_NotNow(type(error).__name__))
        else:
            future.set_result(bool(was_taken))


class Notifier:
    """Sends messages to every service it was given an address of, each in its own time."""

    def __init__(self, urls: Sequence[str], *, sleep: Sleep = asyncio.sleep, within: timedelta = SENDING) -> None:
        """Load apprise, which takes about a second, if there is any address. Raise Trouble if it is not installed."""
        self.refused: list[str] = []
        """A line for each address that apprise cannot take."""
        self._outboxes: list[Outbox[Message]] = []
        if not urls:
            return
        load = _loader()
        for number, url in enumerate(urls, start=1):
            match = _SCHEME.match(url)
            scheme = f"{match[1].lower()}://" if match else "no scheme"
            plugin = load(url.strip())
            if plugin is None:
                self.refused.append(
                    f"PIPELINE_NOTIFY_URLS: address {number} ({scheme}) is none that apprise takes, so it is not used;"
                    " how to write it: appriseit.com/services"
                )
                continue
            service = _Service(plugin, {"service": scheme, "number": number}, sleep=sleep, within=within)
            self._outboxes.append(Outbox(service.send, sleep=sleep))

    def send(self, message: Message) -> None:
        """Have the message sent to all. Returns at once."""
        for outbox in self._outboxes:
            outbox.put(message)

    async def close(self, within: timedelta = CLOSING) -> None:
        """Give what waits that much time."""
        unsent = sum(await asyncio.gather(*(outbox.close(within) for outbox in self._outboxes)))
        if unsent:
            structlog.get_logger().warning("notifications were not sent before the end", messages=unsent)


def _loader() -> Callable[[str], _Plugin | None]:
    """Return what makes a service of an address, or None of what apprise cannot take."""
    # Its lines hold addresses, in part or (when it traces) whole; what it sends with logs their paths when it debugs.
    for library in ("apprise", "urllib3", "slixmpp"):
        _silence(logging.getLogger(library))
    apprise: Any = extras.apprise()
    asset = apprise.AppriseAsset()
    # A redirect can carry a token away; an address that needs it says redirect=yes. (Not every version knows this.)
    asset.http_redirects = False

    def load(url: str) -> _Plugin | None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of plugins that are deprecated, and not used
                plugin: _Plugin | None = apprise.Apprise.instantiate(url, asset=asset)
        except Exception:  # noqa: BLE001 - parsing raises what it likes (UnicodeEncodeError), with the address in its text
            return None
        return plugin

    return load


def _silence(logger: logging.Logger) -> None:
    """Let nothing of it, nor of those below it, be written (`disabled` would leave those below)."""
    logger.setLevel(logging.CRITICAL + 1)
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


# Pings


class _Signal(StrEnum):
    """What a ping says: the end of its path."""

    START = "/start"
    SUCCESS = ""
    FAIL = "/fail"


class _Beat(NamedTuple):
    signal: _Signal
    text: str


class Ping:
    """Tells a monitor that runs start and how they end, so that it misses them when they do not.

    A ping is about now: one that is not taken after a few attempts is given up.
    """

    def __init__(self, url: str | None, *, sleep: Sleep = asyncio.sleep, within: timedelta = PINGING) -> None:
        """Raise AddressError if the address is none. Without one, nothing is sent."""
        self._urls = None if url is None else {signal: _extended(url, signal) for signal in _Signal}
        self._sleep = sleep
        self._timeout = ClientTimeout(total=within.total_seconds())
        self._outbox: Outbox[_Beat] = Outbox(self._send, sleep=sleep)
        self._session: ClientSession | None = None

    def start(self, text: str = "") -> None:
        """Say that a run has started. Returns at once."""
        self._put(_Signal.START, text)

    def success(self, text: str = "") -> None:
        """Say that a run has ended well. Returns at once."""
        self._put(_Signal.SUCCESS, text)

    def fail(self, text: str = "") -> None:
        """Say that a run has failed. Returns at once."""
        self._put(_Signal.FAIL, text)

    async def close(self, within: timedelta = CLOSING) -> None:
        """Give what waits that much time."""
        unsent = await self._outbox.close(within)
        if unsent:
            structlog.get_logger().warning("pings were not sent before the end", pings=unsent)
        if self._session is not None:
            await self._session.close()

    def _put(self, signal: _Signal, text: str) -> None:
        if self._urls is not None:
            self._outbox.put(_Beat(signal, text))

    async def _send(self, beats: Sequence[_Beat]) -> int:
        """Send the first."""
        beat = beats[0]
        try:
            async for attempt in _retrying(self._sleep):
                with attempt:
                    await self._attempt(beat)
        except _Undelivered as error:
            structlog.get_logger().warning("a ping was not taken", ping=beat.signal.name.lower(), error=str(error))
        return 1

    async def _attempt(self, beat: _Beat) -> None:
        assert self._urls is not None
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(limit=1, force_close=True),
                headers={"User-Agent": f"overview-pipeline/{__version__}", "Content-Type": "text/plain; charset=utf-8"},
                cookie_jar=DummyCookieJar(),
                timeout=self._timeout,
                trust_env=False,
            )
        body = beat.text.encode(errors="replace")[:_LONGEST_BODY]
        try:
            # Nothing of the answer is read but its status. A redirect is not followed: it could carry the secret away.
            async with self._session.post(self._urls[beat.signal], data=body, allow_redirects=False) as response:
                status = response.status
        except (ClientError, TimeoutError, ValueError) as error:
            # The name of the class only: texts of aiohttp's errors can hold the URL.
            raise _NotNow(type(error).__name__) from None
        if status >= 500 or status == 429:
            raise _NotNow(f"HTTP {status}")
        if status >= 300:
            raise _Undelivered(f"HTTP {status}")


def _extended(url: str, signal: _Signal) -> URL:
    """Return the address with the signal at the end of its path; its query stays where it is."""
    text = url.strip()
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        path = f"{parts.path.rstrip('/')}{signal}" if signal else parts.path
        address = URL(urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")), encoded=True)
    except ValueError:
        is_address = False
    if not is_address or not (text.isascii() and text.isprintable()) or " " in text:
        raise AddressError(
            "PIPELINE_PING_URL: no address that can be pinged: it begins with https://, and has no spaces"
        )
    return address
