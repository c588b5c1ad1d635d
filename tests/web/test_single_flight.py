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
