"""Store probe: one check at a time, and how long it waits."""

import asyncio
from datetime import timedelta

from pipeline.daemon.store_probe import StoreProbe
from tests.support.clocks import ManualClock

MINUTE = timedelta(minutes=1)


async def turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_no_check_starts_while_one_waits_and_the_silence_is_measured(clock: ManualClock) -> None:
    probe = StoreProbe(clock.as_clock())
    answers, checks = asyncio.Event(), 0

    async def check() -> None:
        nonlocal checks
        checks += 1
        await answers.wait()

    for _ in range(4):
        probe.start(check)
        await turns()
        clock.advance(MINUTE)
    assert checks == 1
    assert probe.silence == 4 * MINUTE

    answers.set()
    await turns()
    assert probe.silence == timedelta()
    probe.start(check)
    await turns()
    assert checks == 2
