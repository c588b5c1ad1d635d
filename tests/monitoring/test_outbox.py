"""Outbox: messages wait in order, the oldest are dropped, and nobody waits for them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from pipeline.monitoring.outbox import FIRST_PAUSE, KEPT, LONGEST_PAUSE, Outbox
from tests.support.places import PLENTY, SleepLog


class Takes:
    """Accepts what it is sent, or nothing while it is down."""

    def __init__(self) -> None:
        self.is_down = False
        self.sent: list[tuple[int, ...]] = []

    async def __call__(self, waiting: Sequence[int]) -> int:
        self.sent.append(tuple(waiting))
        await asyncio.sleep(0)
        return 0 if self.is_down else len(waiting)


def stops_after(count: int, log: list[float]) -> tuple[Callable[[float], Awaitable[None]], asyncio.Event]:
    """Return a sleep that records and, from `count` on, never returns; and an event that is set then."""
    reached = asyncio.Event()

    async def sleep(seconds: float) -> None:
        log.append(seconds)
        if len(log) >= count:
            reached.set()
            await asyncio.Event().wait()

    return sleep, reached


async def test_while_an_address_is_down_the_newest_are_kept_and_it_is_tried_ever_more_rarely() -> None:
    takes, pauses = Takes(), list[float]()
    takes.is_down = True
    sleep, reached = stops_after(10, pauses)
    outbox: Outbox[int] = Outbox(takes, sleep=sleep)

    for number in range(1_000):
        outbox.put(number)
    async with asyncio.timeout(20):
        await reached.wait()

    assert len(takes.sent) == 10
    assert takes.sent[-1] == tuple(range(1_000 - KEPT, 1_000))
    assert pauses[0] == FIRST_PAUSE.total_seconds()
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE.total_seconds()
    takes.is_down = False
    assert await outbox.close(PLENTY) == 0
    assert len(takes.sent) == 11


async def test_what_is_dropped_while_sending_is_not_taken_out_twice() -> None:
    sent: list[int] = []

    async def floods(waiting: Sequence[int]) -> int:
        sent.append(waiting[0])
        if len(sent) == 1:
            for number in range(100, 100 + KEPT + 1):
                outbox.put(number)
        return 1

    outbox: Outbox[int] = Outbox(floods, sleep=SleepLog())
    outbox.put(0)
    outbox.put(1)
    await outbox.close(PLENTY)

    assert sent == [0, *range(101, 100 + KEPT + 1)]


async def test_closing_does_not_wait_for_an_address_that_is_down() -> None:
    takes, pauses = Takes(), list[float]()
    takes.is_down = True
    sleep, reached = stops_after(1, pauses)
    outbox: Outbox[int] = Outbox(takes, sleep=sleep)
    outbox.put(1)
    async with asyncio.timeout(20):
        await reached.wait()

    assert await outbox.close(PLENTY) == 1
    assert takes.sent == [(1,), (1,)]


async def test_an_outbox_that_was_never_used_closes() -> None:
    assert await Outbox(Takes(), sleep=SleepLog()).close(PLENTY) == 0


async def test_what_is_put_after_a_rest_is_sent_too() -> None:
    takes = Takes()
    outbox: Outbox[int] = Outbox(takes, sleep=SleepLog())
    outbox.put(1)
    async with asyncio.timeout(20):
        while not takes.sent:
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
    outbox.put(2)
    assert await outbox.close(PLENTY) == 0
    assert takes.sent == [(1,), (2,)]
