"""Requests: what the ledger's table holds after slots are closed, pruned, or the clock was wrong."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipeline.api.errors import QuotaEnded
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.model.outcomes import RunId
from pipeline.model.slots import KeyId, Slot
from pipeline.quota.limits import PLANS, longest_window
from pipeline.store.reader import Reader
from pipeline.store.requests import (
    UNSENT,
    ClosedRequest,
    KeyName,
    close_requests,
    name_keys,
    prune_requests,
    reserve_requests,
)
from pipeline.store.writer import open_writer
from tests.support.clocks import START, ManualClock
from tests.support.ledgers import KEY, ledger_of_a_process, open_ledger, stored_requests, take
from tests.support.store import HOUR, IBM, at

DAY = timedelta(days=1)


def slot(number: int, reserved_at: datetime, *, timeout: timedelta = HOUR) -> Slot:
    deadline = Nanoseconds(nanoseconds(timeout))
    return Slot(number, KEY, RunId(1), IBM, False, reserved_at, Nanoseconds(0), deadline)


def rows(database: Path) -> list[tuple[int, str, str | None]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute("SELECT id, deadline_at, finished_at FROM requests ORDER BY id").fetchall()


async def test_a_slot_counts_from_its_deadline_until_it_is_closed_and_never_if_it_was_not_sent(database: Path) -> None:
    async with open_writer(database) as writer:
        for number in (1, 2, 3):
            await writer.write(reserve_requests, slot(number, START))
        await writer.write(close_requests, ClosedRequest(slot(2, START), at(0.5), "answered"))
        await writer.write(close_requests, ClosedRequest(slot(3, START), at(0.5), UNSENT))

    with Reader.open(database) as reader:
        state = reader.quota_state(START - DAY)
    assert sorted(one.at for one in state.spent) == [START + HOUR / 2, START + HOUR]
    assert state.last_request_id == 3


async def test_pruning_deletes_what_is_older_than_the_longest_window_and_a_day(database: Path) -> None:
    async with open_writer(database) as writer:
        for number in range(2_500):
            writer.post(reserve_requests, slot(number + 1, START, timeout=timedelta(seconds=1)))
        await writer.write(reserve_requests, slot(9_000, START + HOUR))
        await prune_requests(writer, longest=DAY, now=START + 2 * DAY + HOUR)

    assert [number for number, *_ in rows(database)] == [9_000]


async def test_slots_that_no_window_can_contain_are_pruned(database: Path, clock: ManualClock) -> None:
    limits = PLANS["free"]
    async with open_writer(database) as writer:
        ledger = open_ledger(writer, database, clock, "25/day", "1/second")
        ledger.close(await take(ledger), "answered")
        clock.advance(2 * DAY - timedelta(seconds=5))
        await prune_requests(writer, longest=longest_window(limits), now=clock.wall)
        assert len(stored_requests(database)) == 1
        clock.advance(timedelta(seconds=10))
        await prune_requests(writer, longest=longest_window(limits), now=clock.wall)
        assert stored_requests(database) == []


async def test_pruning_does_not_end_a_slot_sooner(database: Path, clock: ManualClock) -> None:
    async with open_writer(database) as writer:
        ledger = open_ledger(writer, database, clock, "1/day")
        ledger.close(await take(ledger), "answered")
        await prune_requests(writer, longest=timedelta(days=1), now=clock.wall)
    clock.advance(DAY)  # to the instant: the server counts both ends of a window
    async with ledger_of_a_process(database, clock, "1/day", max_wait=0) as ledger:
        with pytest.raises(QuotaEnded):
            await take(ledger)


async def test_a_name_is_that_of_the_key_that_had_it_last(database: Path) -> None:
    a, b = KeyId("a"), KeyId("b")
    async with open_writer(database) as writer:
        for key, name in ((b, "main"), (a, "second"), (b, "second")):
            await writer.write(name_keys, KeyName(key, name))

    with Reader.open(database) as reader:
        assert [reader.key_named(name) for name in ("main", "second")] == [None, b]
