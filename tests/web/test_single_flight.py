"""What is read in a thread is read once for all who ask meanwhile."""

import asyncio
import threading

import pytest

from pipeline.web.single_flight import Together


class Reading:
    """Counts how often it is read, and answers when it may."""

    def __init__(self) -> None:
        self.begun = 0
        self.may = threading.Event()

    def __call__(self) -> int:
        self.begun += 1
        self.may.wait(30)
        return 1 // (self.begun - 1)  # the first one fails


async def test_those_who_ask_at_one_time_get_one_reading_or_its_error_and_the_next_one_reads_again() -> None:
    reading = Reading()
    together = Together(reading)
    tasks = [asyncio.create_task(together()) for _ in range(100)]
    while not reading.begun:
        await asyncio.sleep(0)
    tasks[0].cancel()
    reading.may.set()
    await asyncio.wait(tasks)

    assert tasks[0].cancelled()
    for task in tasks[1:]:
        with pytest.raises(ZeroDivisionError):
            await task
    assert reading.begun == 1
    assert await together() == 1
    assert reading.begun == 2


async def test_who_knows_of_something_newer_gets_a_reading_that_was_begun_since() -> None:
    held: list[threading.Event] = []

    def read() -> int:
        may = threading.Event()
        held.append(may)
        may.wait(30)
        return len(held)

    together = Together(read)
    older = asyncio.create_task(together("before"))
    while not held:
        await asyncio.sleep(0)
    newer = [asyncio.create_task(together(state)) for state in ("after", "after", "later")]
    await asyncio.sleep(0)
    held[0].set()

    assert await older == 1
    while len(held) < 2:
        await asyncio.sleep(0)
    held[1].set()
    assert await asyncio.gather(*newer) == [2, 2, 2]
