"""Halt: ends every wait of a run at once."""

import asyncio

import pytest

from pipeline.collect.halt import Halt, Halted


async def test_halting_ends_every_wait_at_once() -> None:
    halt = Halt()

    async def wait() -> None:
        async with halt.interrupts():
            await asyncio.Event().wait()

    waits = [asyncio.create_task(wait()) for _ in range(3)]
    await asyncio.sleep(0)
    halt(RuntimeError("enough"))
    async with asyncio.timeout(30):
        results = await asyncio.gather(*waits, return_exceptions=True)
    assert {type(result) for result in results} == {Halted}
    with pytest.raises(Halted):
        await wait()


async def test_a_run_can_be_halted_for_two_reasons_at_once() -> None:
    halt = Halt()

    async def wait() -> None:
        async with halt.interrupts():
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    halt(RuntimeError("one"))
    await asyncio.sleep(0)
    halt(RuntimeError("two"))
    with pytest.raises(Halted):
        await waiting
    assert len(halt.reasons) == 2


async def test_a_timeout_inside_an_interruptible_wait_is_not_the_runs_end() -> None:
    with pytest.raises(TimeoutError):
        async with Halt().interrupts():
            raise TimeoutError
