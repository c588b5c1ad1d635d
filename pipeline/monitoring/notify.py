"""Notifications through apprise, to mail, chat or phone. They cannot fail a run, nor hold it up.

An outbox for each address sends them in order. The addresses are secrets: they reach no log, no error, no file. What
is logged is a scheme and a number, a class name, a status.
"""

import asyncio
import logging
import re
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, Protocol

import structlog

from pipeline import extras
from pipeline.clock import Sleep
from pipeline.monitoring.messages import Message, joined
from pipeline.monitoring.outbox import CLOSING, SENDING, NotNow, Outbox, Undelivered, retrying, silence


class _Plugin(Protocol):
    """A service, as apprise knows it."""

    def notify(self, *, body: str, title: str, notify_type: str, body_format: str) -> bool: ...


_SCHEME = re.compile(r"\s*([a-zA-Z][a-zA-Z0-9.+-]{0,19})://")


class _Service:
    """One of the addresses, known in logs by its scheme and number."""

    def __init__(self, plugin: _Plugin, name: Mapping[str, object], *, sleep: Sleep, within: timedelta) -> None:
        self._plugin = plugin
        self._log = structlog.get_logger().bind(**name)
        self._sleep = sleep
        self._within = within
        self._under_way: Future[bool] | None = None

    async def send(self, messages: Sequence[Message]) -> int:
        """Send them as one message, and return how many they are; 0 if the service did not accept it."""
        message = joined(messages)
        try:
            async for attempt in retrying(self._sleep):
                with attempt:
                    await self._attempt(message)
        except Undelivered as error:
            self._log.warning("notification not sent", error=str(error), waiting=len(messages))
            return 0
        return len(messages)

    async def _attempt(self, message: Message) -> None:
        """Hand it to apprise, which blocks, in a thread of its own that nothing waits for.

        The loop's own few threads would fill with services that hang, and collecting needs them for DNS. Python waits
        at exit for the threads of apprise's `async_notify`.
        """
        if self._under_way is not None and not self._under_way.done():
            raise Undelivered("the previous message still hangs")
        future: Future[bool] = Future()
        future.set_running_or_notify_cancel()
        threading.Thread(target=self._deliver, args=(message, future), name="notify", daemon=True).start()
        self._under_way = future
        try:
            async with asyncio.timeout(self._within.total_seconds()):
                was_taken = await asyncio.wrap_future(future)
        except TimeoutError:
            raise Undelivered(f"no end within {self._within.total_seconds():g} s") from None
        if not was_taken:
            raise NotNow("refused, or no connection")

    def _deliver(self, message: Message, future: "Future[bool]") -> None:
        try:
            was_taken = self._plugin.notify(
                body=message.body,
                title=message.title,
                notify_type=message.severity.value,
                body_format="text",
            )
        except Exception as error:  # noqa: BLE001 - a hundred plugins raise what they like, and no text of theirs is safe
            future.set_exception(NotNow(type(error).__name__))
        else:
            future.set_result(bool(was_taken))


class Notifier:
    """Sends messages to every configured service, each at its own pace."""

    def __init__(self, urls: Sequence[str], *, sleep: Sleep = asyncio.sleep, within: timedelta = SENDING) -> None:
        """Load apprise, which takes about a second, if there are addresses. Raise Trouble if it is not installed."""
        self.refused: list[str] = []
        """A line for each address that apprise does not accept."""
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
                    f"PIPELINE_NOTIFY_URLS: address {number} ({scheme}) is not used: apprise does not accept it;"
                    " appriseit.com/services shows how to write it"
                )
                continue
            service = _Service(plugin, {"service": scheme, "number": number}, sleep=sleep, within=within)
            self._outboxes.append(Outbox(service.send, sleep=sleep))

    def send(self, message: Message) -> None:
        """Queue the message for all services, and return at once."""
        for outbox in self._outboxes:
            outbox.put(message)

    async def close(self, within: timedelta = CLOSING) -> None:
        """Give waiting messages up to this much time."""
        unsent = sum(await asyncio.gather(*(outbox.close(within) for outbox in self._outboxes)))
        if unsent:
            structlog.get_logger().warning("notifications not sent before the end", messages=unsent)


def _loader() -> Callable[[str], _Plugin | None]:
    """Return a function that makes a service of an address, None of one that apprise does not accept."""
    # Their log lines hold addresses, in part or (at trace level) whole, or their paths (at debug level).
    for library in ("apprise", "urllib3", "slixmpp"):
        silence(logging.getLogger(library))
    apprise: Any = extras.apprise()
    asset = apprise.AppriseAsset()
    # A redirect can leak a token; an address that needs one says redirect=yes. (Not every version knows this.)
    asset.http_redirects = False

    def load(url: str) -> _Plugin | None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about deprecated plugins
                plugin: _Plugin | None = apprise.Apprise.instantiate(url, asset=asset)
        except Exception:  # noqa: BLE001 - parsing raises what it likes (UnicodeEncodeError), with the address in its text
            return None
        return plugin

    return load
