"""Telling: notifications through apprise, and pings in the style of healthchecks.io. Neither can fail a run.

Callers put down what is to be told, and go on: an outbox for each address sends it, in order. The addresses are
secrets. They reach no log, no error, no file: what is logged is a scheme and a number, a class name, a status.
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
from pipeline.errors import ExitCode, Trouble
from pipeline.monitoring.messages import Message, joined
from pipeline.monitoring.outbox import CLOSING, SENDING, NotNow, Outbox, Undelivered, retrying, silence


class AddressError(Trouble):
    """An address that cannot be used. The line names its variable, and nothing of the address."""

    exit_code = ExitCode.REFUSED


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
            async for attempt in retrying(self._sleep):
                with attempt:
                    await self._attempt(message)
        except Undelivered as error:
            self._log.warning("a notification was not taken", error=str(error), waiting=len(messages))
            return 0
        return len(messages)

    async def _attempt(self, message: Message) -> None:
        """Hand it to apprise, which blocks: in a thread of its own, that nobody waits for.

        Not in the loop's own few threads: services that hang would fill them, and collecting needs them for DNS. Nor by
        apprise's `async_notify`: its threads are waited for when Python ends.
        """
        if self._under_way is not None and not self._under_way.done():
            raise Undelivered("it still hangs over the one before")
        future: Future[bool] = Future()
        future.set_running_or_notify_cancel()
        threading.Thread(target=self._deliver, args=(message, future), name="notify", daemon=True).start()
        self._under_way = future
        try:
            async with asyncio.timeout(self._within.total_seconds()):
                was_taken = await asyncio.wrap_future(future)
        except TimeoutError:
            raise Undelivered(f"it did not end within {self._within.total_seconds():g} s") from None
        if not was_taken:
            raise NotNow("refused, or no connection")

    def _deliver(self, message: Message, future: "Future[bool]") -> None:
        try:
            was_taken = self._plugin.notify(
                body=message.body,
                title=message.title,
                notify_type="success" if message.is_good else "warning",
                body_format="text",
            )
        except Exception as error:  # noqa: BLE001 - a hundred plugins raise what they like, and no text of theirs is safe
            future.set_exception(NotNow(type(error).__name__))
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
        silence(logging.getLogger(library))
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
