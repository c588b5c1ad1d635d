"""Turns: while there is other work, requests begin one at a time, and some time apart; otherwise at once."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta

from pipeline.web.turns import Turns

LONG, SHORT = timedelta(hours=1), timedelta(milliseconds=5)


async def went_on(waiting: Awaitable[None]) -> float:
    await waiting
    return asyncio.get_running_loop().time()


async def test_while_there_is_no_other_work_nobody_waits() -> None:
    turns = Turns(lambda: False, apart=LONG)
    async with asyncio.timeout(10):
        for _ in range(50):
            await turns.wait()


async def test_while_there_is_one_goes_on_at_a_time_and_the_others_wait() -> None:
    turns = Turns(lambda: True, apart=LONG)
    tasks = [asyncio.create_task(turns.wait()) for _ in range(10)]
    for _ in range(50):
        await asyncio.sleep(0)
    assert [task.done() for task in tasks] == [True, *[False] * 9]
    for task in tasks:
        task.cancel()


async def test_those_who_wait_go_on_in_order_and_the_last_not_before_all_their_turns() -> None:
    turns = Turns(lambda: True, apart=SHORT)
    begin = asyncio.get_running_loop().time()
    async with asyncio.timeout(10):
        times = await asyncio.gather(*(went_on(turns.wait()) for _ in range(10)))
    assert times == sorted(times)
    assert times[-1] - begin >= 9 * SHORT.total_seconds() * 0.9  # the loop's precision; later it may be at any time


async def test_one_that_goes_away_keeps_nobody_waiting() -> None:
    turns = Turns(lambda: True, apart=SHORT)
    tasks = [asyncio.create_task(turns.wait()) for _ in range(5)]
    await asyncio.sleep(0)
    for task in tasks[1:4]:
        task.cancel()
    async with asyncio.timeout(10):
        await tasks[4]
        await turns.wait()


async def test_when_the_work_has_ended_those_who_wait_go_on_and_then_nobody_waits() -> None:
    is_busy = True
    turns = Turns(lambda: is_busy, apart=SHORT)
    async with asyncio.timeout(10):
        await asyncio.gather(*(turns.wait() for _ in range(3)))
        is_busy = False
        while turns._is_taken:
            await asyncio.sleep(0.001)
        turns = Turns(lambda: is_busy, apart=LONG)
        for _ in range(50):
            await turns.wait()
