"""The ledger's clock in the file: its mark, and corrections of what a wrong clock has dated."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipeline import instants
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.model.outcomes import RunId
from pipeline.model.slots import LONGEST_BLOCK, Block, LedgerMark, Slot
from pipeline.store.blocks import block_requests
from pipeline.store.database import connect
from pipeline.store.reader import Reader
from pipeline.store.requests import (
    ClosedRequest,
    KeyBlock,
    close_requests,
    reserve_requests,
    set_block,
)
from pipeline.store.slot_dates import Correction, correct, set_mark
from pipeline.store.writer import open_writer
from pipeline.uptime import Uptime
from tests.support.clocks import START
from tests.support.ledgers import KEY
from tests.support.store import HOUR, IBM, at

DAY = timedelta(days=1)
MARK = LedgerMark(START, Uptime("a", timedelta(seconds=1234.25)))


def slot(number: int, reserved_at: datetime) -> Slot:
    return Slot(number, KEY, RunId(1), IBM, False, reserved_at, Nanoseconds(0), Nanoseconds(nanoseconds(HOUR)))


def rows(database: Path) -> list[tuple[int, str, str, str | None]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute("SELECT id, reserved_at, deadline_at, finished_at FROM requests ORDER BY id").fetchall()


def mark(database: Path) -> LedgerMark | None:
    with Reader.open(database) as reader:
        return reader.ledger_mark()


async def test_a_mark_comes_back_as_it_was_written(database: Path) -> None:
    assert mark(database) is None
    async with open_writer(database) as writer:
        for one in (LedgerMark(START + DAY), MARK, LedgerMark(START, MARK.uptime, START + HOUR)):
            await writer.write(set_mark, one)
            assert mark(database) == one


async def test_a_file_of_an_earlier_version_has_the_instant_of_its_newest_request(database: Path) -> None:
    async with open_writer(database) as writer:
        await writer.write(reserve_requests, slot(1, START))
        await writer.write(reserve_requests, slot(2, START + HOUR))
        await writer.write(close_requests, ClosedRequest(slot(1, START), at(1.5), "answered"))

    assert mark(database) == LedgerMark(START + 1.5 * HOUR)


@pytest.mark.parametrize("uptime", [-1.0, 1e300, None])
async def test_a_damaged_uptime_is_none(database: Path, uptime: float | None) -> None:
    with connect(database, "rw") as db:
        db.execute("INSERT INTO clock (id, at, boot, uptime) VALUES (1, ?, 'a', ?)", (at(0), uptime))

    assert mark(database) == LedgerMark(START)


@pytest.mark.parametrize("end", ["0001-01-01T00:00:00.000Z", instants.LATEST])
def test_a_mark_at_the_end_of_time_can_be_computed_with(database: Path, end: str) -> None:
    with connect(database, "rw") as db:
        db.execute("INSERT INTO clock VALUES (1, ?, 'a', 1.0, ?)", (end, end))
    found = mark(database)

    assert found is not None
    assert found.confirmed_at == found.at
    for years in (-900, 900):
        assert (found.at + years * 365 * DAY).year


async def test_what_was_written_while_the_clock_was_ahead_becomes_as_old_as_now(database: Path) -> None:
    ahead = START + 365 * DAY
    async with open_writer(database) as writer:
        for number in (1, 2):
            await writer.write(reserve_requests, slot(number, ahead))
        await writer.write(close_requests, ClosedRequest(slot(2, ahead), instants.to_text(ahead + HOUR), "answered"))
        await writer.write(set_block, KeyBlock(KEY, Block(ahead, ahead + DAY)))
        await writer.write(correct, Correction(MARK, START))

    now = START + instants.MILLISECOND
    text = instants.to_text(now)
    assert rows(database) == [(1, text, instants.to_text(now + HOUR), None), (2, text, text, text)]
    with Reader.open(database) as reader:
        assert reader.quota_state(START - DAY).block == Block(now, now + LONGEST_BLOCK)
    assert mark(database) == MARK


async def test_a_clock_that_is_not_trusted_corrects_nothing(database: Path) -> None:
    async with open_writer(database) as writer:
        await writer.write(reserve_requests, slot(1, START + DAY))
        before = rows(database)
        await writer.write(correct, Correction(MARK))

    assert rows(database) == before


async def test_the_block_of_a_lost_ledger_lasts_as_long_as_its_window(database: Path) -> None:
    block = Block(START, START + DAY + timedelta(seconds=1), "the requests before are not known")
    with connect(database, "rw") as db:
        block_requests(db, block)
    async with open_writer(database) as writer:
        await writer.write(correct, Correction(MARK, START + timedelta(seconds=20)))

    with Reader.open(database) as reader:
        assert reader.quota_state(START - DAY).block == block


@pytest.mark.parametrize("hours", [10, -10])
async def test_what_this_boot_has_dated_moves_with_the_clock(database: Path, hours: int) -> None:
    by, beginning = hours * HOUR, START - 1.5 * HOUR
    async with open_writer(database) as writer:
        await writer.write(reserve_requests, slot(1, START - 3 * HOUR))  # before it: its deadline was an hour later
        await writer.write(reserve_requests, slot(2, START - HOUR))
        await writer.write(close_requests, ClosedRequest(slot(2, START), at(-0.5), "answered"))
        await writer.write(set_block, KeyBlock(KEY, Block(START - HOUR, START)))
        await writer.write(correct, Correction(MARK, START, by, beginning))

    assert rows(database) == [(1, at(-3), at(-2), None), (2, at(-1 + hours), at(hours), at(-0.5 + hours))]
    with Reader.open(database) as reader:
        assert reader.quota_state(START - 2 * DAY).block == Block(START - HOUR + by, START + by)


async def test_what_is_not_corrected_stays_though_it_is_later(database: Path) -> None:
    block = Block(START - HOUR, START)
    async with open_writer(database) as writer:
        await writer.write(reserve_requests, slot(1, START - HOUR))
        await writer.write(close_requests, ClosedRequest(slot(1, START), at(0), "answered"))
        await writer.write(reserve_requests, slot(2, START))
        await writer.write(set_block, KeyBlock(KEY, block))
        await writer.write(correct, Correction(MARK, START - HOUR, 10 * HOUR, START + instants.MILLISECOND))

    moved, deadline = (instants.to_text(START + hours * HOUR + instants.MILLISECOND) for hours in (9, 10))
    assert rows(database) == [(1, at(-1), at(0), at(0)), (2, moved, deadline, None)]
    with Reader.open(database) as reader:
        assert reader.quota_state(START - DAY).block == block


async def test_an_instant_at_the_end_of_time_is_not_lost(database: Path) -> None:
    end = instants.from_text(instants.LATEST) - 2 * HOUR
    async with open_writer(database) as writer:
        await writer.write(reserve_requests, slot(1, end))
        await writer.write(correct, Correction(MARK, end, DAY, START))

    assert [deadline for _, _, deadline, _ in rows(database)] == [instants.to_text(end + HOUR)]


async def test_a_request_that_was_out_when_its_process_was_killed_still_counts_from_its_deadline(
    database: Path,
) -> None:
    """It may be under way until then: only a deadline that a wrong clock has dated is corrected."""
    async with open_writer(database) as writer:
        await writer.write(reserve_requests, slot(1, START - HOUR / 2))
        before = rows(database)
        await writer.write(correct, Correction(MARK, START))

    assert rows(database) == before


@pytest.mark.parametrize("reserved_at", [at(-9e4), at(9e4)])
async def test_a_damaged_deadline_closes_no_window_for_long(database: Path, reserved_at: str) -> None:
    async with open_writer(database) as writer:
        await writer.write(reserve_requests, slot(1, START))
        with connect(database, "rw") as db:
            db.execute("UPDATE requests SET reserved_at = ?, deadline_at = ?", (reserved_at, instants.LATEST))
        await writer.write(correct, Correction(MARK, START))

    assert rows(database)[0][2] == instants.to_text(START + HOUR + instants.MILLISECOND)
