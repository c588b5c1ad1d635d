import asyncio
from itertools import repeat

import pytest

from pipeline.fleet.log import open_log
from pipeline.fleet.pool import open_pool
from pipeline.model.outcomes import Outcome
from pipeline.store.database import StorageError
from tests.support.clocks import ManualClock
from tests.support.fleet_log import MEMBER, answer, ended, reserved, rows, unreliable


async def test_what_was_posted_since_the_last_turn_is_one_commit(fleet_url: str, clock: ManualClock) -> None:
    async with open_pool(fleet_url) as pool, open_log(pool, MEMBER, clock=clock.as_clock()) as log:
        number = await reserved(pool, "IBM")
        await log.write([answer(number, 1, {"Symbol": "IBM"}), ended(Outcome.FAILED, 1, symbol="PEP")])

    transactions = rows(fleet_url, "SELECT xmin::text FROM fleet.log")
    assert len(transactions) == 2
    assert len(set(transactions)) == 1


async def test_a_machine_that_is_cut_off_hands_its_answers_over_later_and_each_once(
    fleet_url: str, clock: ManualClock
) -> None:
    said: list[str] = []
    async with open_pool(fleet_url) as pool:
        number = await reserved(pool, "IBM")
        broken = unreliable(pool, "before", "after", "before")
        async with open_log(broken, MEMBER, clock=clock.as_clock(), on_retry=said.append) as log:
            await log.write([answer(number, 1, {"Symbol": "IBM"}), ended(Outcome.FAILED, 1, symbol="PEP")])

    assert clock.waits == [0.25, 0.5, 1]
    assert "retrying in 0.25 s" in said[0]
    assert rows(fleet_url, "SELECT seq, symbol FROM fleet.log ORDER BY seq") == [(1, "IBM"), (2, "PEP")]


async def test_a_machine_that_stops_gives_up_after_a_while_and_says_what_is_lost(
    fleet_url: str, clock: ManualClock
) -> None:
    async with open_pool(fleet_url) as pool:
        broken = unreliable(pool, *repeat("before", 99))
        async with open_log(broken, MEMBER, clock=clock.as_clock()) as log:
            writing = asyncio.create_task(log.write([ended(Outcome.FAILED, 1)]))
            await asyncio.sleep(0)

        with pytest.raises(StorageError, match="1 symbol could not be logged"):
            await writing
        with pytest.raises(StorageError):
            await log.write([ended(Outcome.FAILED, 1)])


async def test_what_postgresql_refuses_is_an_error_at_once(fleet_url: str, clock: ManualClock) -> None:
    async with open_pool(fleet_url) as pool, open_log(pool, MEMBER, clock=clock.as_clock()) as log:
        with pytest.raises(StorageError, match="refuses"):
            await log.write([ended(Outcome.FAILED, 1, symbol="a\0b")])
