"""The ledger's table: what no window can contain is pruned, and a clock that was ahead is forgotten once."""

from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.api.errors import QuotaEnded
from pipeline.quota.limits import PLANS, longest_window
from pipeline.store.requests import prune_requests
from pipeline.store.writer import open_writer
from tests.support.clocks import ManualClock
from tests.support.ledgers import ledger_of_a_process, open_ledger, stored_requests, take

DAY = timedelta(days=1)


async def test_slots_that_no_window_can_contain_are_pruned(database: Path, hands: ManualClock) -> None:
    limits = PLANS["free"]
    async with open_writer(database) as writer:
        ledger = open_ledger(writer, database, hands, "25/day", "1/second")
        ledger.close(await take(ledger), "answered")
        hands.passes(2 * DAY - timedelta(seconds=5))
        await prune_requests(writer, longest=longest_window(limits), now=hands.wall)
        assert len(stored_requests(database)) == 1
        hands.passes(timedelta(seconds=10))
        await prune_requests(writer, longest=longest_window(limits), now=hands.wall)
        assert stored_requests(database) == []


async def test_what_was_stored_while_the_clock_was_ahead_counts_from_now_once(
    database: Path, hands: ManualClock
) -> None:
    hands.is_set_by(timedelta(days=365))
    async with ledger_of_a_process(database, hands, "1/day") as ledger:
        slot = await take(ledger)
        ledger.close(slot, "answered")
        await ledger.quota_ended(slot)
    hands.is_set_by(-timedelta(days=365))
    for _ in range(2):
        async with open_writer(database) as writer:
            await prune_requests(writer, longest=timedelta(days=1), now=hands.wall)
        hands.passes(DAY / 2 + timedelta(seconds=1))
    async with ledger_of_a_process(database, hands, "1/day") as ledger:
        await take(ledger)


async def test_pruning_does_not_end_a_slot_sooner(database: Path, hands: ManualClock) -> None:
    async with open_writer(database) as writer:
        ledger = open_ledger(writer, database, hands, "1/day")
        ledger.close(await take(ledger), "answered")
        await prune_requests(writer, longest=timedelta(days=1), now=hands.wall)
    hands.passes(DAY)  # to the instant: the server counts both ends of a window
    async with ledger_of_a_process(database, hands, "1/day", max_wait=0) as ledger:
        with pytest.raises(QuotaEnded):
            await take(ledger)
