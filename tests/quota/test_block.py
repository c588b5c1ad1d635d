"""The quota block: an hour at first, twice as long each time the API says again that the quota has ended."""

from datetime import timedelta

from pipeline.instants import nanoseconds
from pipeline.model.slots import LONGEST_BLOCK, Block
from pipeline.quota.block import FIRST_BLOCK, QuotaBlock
from tests.support.clocks import START

HOUR = timedelta(hours=1)


def test_each_block_is_twice_as_long_as_the_last_and_ends_before_a_daily_schedule_fires_again() -> None:
    block = QuotaBlock(None, last_request_id=0, wall=START, monotonic=0)

    blocks = [block.extend(last_request_id=0, wall=START, monotonic=0) for _ in range(7)]

    assert [one.until - one.since for one in blocks] == [hours * HOUR for hours in (1, 2, 4, 8, 16, 20, 20)]


def test_a_stored_block_goes_on_until_its_end_and_no_longer_than_a_day() -> None:
    def until(end: timedelta) -> int:
        stored = Block(START - HOUR, START + end)
        return QuotaBlock(stored, last_request_id=0, wall=START, monotonic=7).until

    assert until(HOUR) == 7 + nanoseconds(HOUR)
    assert until(-HOUR) == 7
    assert until(timedelta(days=400)) == 7 + nanoseconds(LONGEST_BLOCK)


def test_the_block_of_a_lost_ledger_lasts_as_long_as_its_window() -> None:
    day = timedelta(hours=24, seconds=1)
    stored = Block(START - HOUR, START - HOUR + day, "the requests before are not known")

    assert QuotaBlock(stored, last_request_id=0, wall=START, monotonic=7).until == 7 + nanoseconds(day - HOUR)


def test_a_block_covers_the_requests_that_were_out_when_it_was_set() -> None:
    block = QuotaBlock(None, last_request_id=3, wall=START, monotonic=0)
    block.extend(last_request_id=5, wall=START, monotonic=0)

    assert block.covers(5)
    assert not block.covers(6)


def test_after_a_good_answer_the_next_block_is_the_first_again() -> None:
    block = QuotaBlock(Block(START - 8 * HOUR, START), last_request_id=0, wall=START, monotonic=0)
    assert block.is_set

    block.lift()

    assert not block.is_set
    again = block.extend(last_request_id=0, wall=START, monotonic=0)
    assert again.until - again.since == FIRST_BLOCK
