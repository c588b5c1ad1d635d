"""Notifications through apprise, to mail, chat or phone. They cannot fail a run, nor hold it up.

An outbox for each address sends them in order. The addresses are secrets: they reach no log, no error, no file. What
is logged is a scheme and a number, a class name, a status; `recipients` says what else may be shown.
"""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import structlog

from pipeline import __version__
from pipeline.clock import Sleep
from pipeline.monitoring.messages import Message, joined
from pipeline.monitoring.outbox import CLOSING, SENDING, NotNow, Outbox, Undelivered, retrying
from pipeline.monitoring.recipients import Plugin, Recipient
from pipeline.text import encodable


@dataclass(frozen=True, slots=True)
class Sender:
    """Who notifies: a reader may have several programs, machines and databases."""

    host: str
    database: Path

    def signed(self, message: Message) -> Message:
        """Return the message with its sender in the title and at the end of the body."""
        host, database = encodable(self.host), encodable(str(self.database.absolute()))
        signature = f"overview-pipeline {__version__} on {host}, database {database}"
        return replace(message, title=f"pipeline on {host}: {message.title}", body=f"{message.body}\n\n{signature}")


class _Service:
    """One of the addresses, known in logs by its scheme and number."""

    def __init__(
        self, recipient: Recipient, plugin: Plugin, sender: Sender, *, sleep: Sleep, within: timedelta
    ) -> None:
        self._plugin = plugin
        self._sender = sender
        self._log = structlog.get_logger().bind(service=recipient.scheme, number=recipient.number)
        self._sleep = sleep
        self._within = within
        self._under_way: Future[bool] | None = None

    async def send(self, messages: Sequence[Message]) -> int:
        """Send them as one message, and return how many they are; 0 if the service did not accept it."""
        message = joined(messages)
        try:
            async for attempt in retrying(self._sleep):
                with attempt:
                    await self.attempt(message)
        except Undelivered as error:
            self._log.warning("notification not sent", error=str(error), waiting=len(messages))
            return 0
        return len(messages)

    async def attempt(self, message: Message) -> None:
        """Try once to send a message. Raise Undelivered.

        Apprise blocks, so it gets a thread of its own that nothing waits for.
        The loop's own few threads would fill with services that hang, and collecting needs them for DNS. Python waits
        at exit for the threads of apprise's `async_notify`.
        """
        if self._under_way is not None and not self._under_way.done():
            raise Undelivered("the previous message still hangs")
        future: Future[bool] = Future()
        future.set_running_or_notify_cancel()
        threading.Thread(
            target=self._deliver, args=(self._sender.signed(message), future), name="notify", daemon=True
        ).start()
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

    def __init__(
        self,
        recipients: Sequence[Recipient],
        sender: Sender,
        *,
        sleep: Sleep = asyncio.sleep,
        within: timedelta = SENDING,
    ) -> None:
        """Take the addresses. Those that cannot be used get nothing: the caller says so."""
        self._services = [
            (recipient, _Service(recipient, recipient.plugin, sender, sleep=sleep, within=within))
            for recipient in recipients
            if recipient.plugin is not None
        ]
        self._outboxes = [Outbox(service.send, sleep=sleep) for _, service in self._services]

    def send(self, message: Message) -> None:
        """Queue the message for all services, and return at once."""
        for outbox in self._outboxes:
            outbox.put(message)

    def unsent(self) -> list[Message]:
        """Return the messages that one of the services has not accepted yet."""
        return list(dict.fromkeys(message for outbox in self._outboxes for message in outbox.waiting))

    async def try_each(self, message: Message) -> dict[int, str | None]:
        """Send the message to all services at once, without retries.

        Return why it was not accepted, None if it was, by the number of the address.
        """
        reasons = await asyncio.gather(*(_failure(service, message) for _, service in self._services))
        return {recipient.number: reason for (recipient, _), reason in zip(self._services, reasons, strict=True)}

    async def close(self, within: timedelta = CLOSING) -> None:
        """Give waiting messages up to this much time."""
        unsent = sum(await asyncio.gather(*(outbox.close(within) for outbox in self._outboxes)))
        if unsent:
            structlog.get_logger().warning("notifications not sent before the end", messages=unsent)


async def _failure(service: _Service, message: Message) -> str | None:
    try:
        await service.attempt(message)
    except Undelivered as error:
        return str(error)
    return None
