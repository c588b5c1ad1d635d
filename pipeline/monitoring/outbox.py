"""Outbox: messages wait here for one address, are retried, and never hold up the caller."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Generic, TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from pipeline.clock import Sleep

T = TypeVar("T")

ATTEMPTS = 3
KEPT = 20
"""How many messages wait at most for an address that is down: the newest."""
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=1)
"""Between the attempts to send one message."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=6)
"""After those attempts, until the next ones: the network may be down, as for the run that failed."""
SENDING, PINGING, CLOSING = timedelta(seconds=30), timedelta(seconds=10), timedelta(seconds=2)
"""Time limits: for a notification, for a ping, and for what still waits when the daemon ends."""


class Undelivered(Exception):
    """A message was not accepted. The text is for the log: no part of an address."""


class NotNow(Undelivered):
    """A message was not accepted; a retry may help."""


class Outbox(Generic[T]):
    """A queue of messages to one address, and the task that sends them in order.

    `send` gets all waiting messages, oldest first, and returns how many it has dealt with; 0 if the address is down.
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
        """Queue a message, and return at once. If the queue is full, the oldest message is dropped."""
        self._dropped += len(self._waiting) == KEPT
        self._waiting.append(item)
        self._put.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="outbox")

    @property
    def waiting(self) -> tuple[T, ...]:
        """Return the messages that are not dealt with yet, oldest first."""
        return tuple(self._waiting)

    async def close(self, within: timedelta) -> int:
        """Send what waits, within this time. Return how many messages were not sent."""
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
        """Send waiting messages, and remove those that are dealt with. Return how many those are."""
        self._put.clear()
        dropped = self._dropped
        done = await self._send(tuple(self._waiting))
        # Messages dropped meanwhile were among the first, and are gone already.
        for _ in range(done - (self._dropped - dropped)):
            self._waiting.popleft()
        return done

    @staticmethod
    async def _either(*waits: Awaitable[object]) -> None:
        """Return as soon as one of them has."""
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()


def retrying(sleep: Sleep) -> AsyncRetrying:
    """Return the attempts at sending one message: retried after growing waits if `NotNow` is raised."""
    return AsyncRetrying(
        retry=retry_if_exception_type(NotNow),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(multiplier=FIRST_WAIT.total_seconds(), max=LONGEST_WAIT.total_seconds()),
        sleep=sleep,
        reraise=True,
    )
