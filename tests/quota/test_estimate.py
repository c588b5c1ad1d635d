"""Estimates: how much of each window is used, and when a number of requests is done at the plan's pace."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from pipeline.instants import nanoseconds
from pipeline.model.slots import Block, QuotaState, SpentSlot
from pipeline.quota.estimate import KeyQuota, finish_at, pace, remaining, time_for, window_usage
from pipeline.quota.limits import PERIODS, PLANS, Limit
from pipeline.quota.windows import Windows
from tests.support.clocks import START

SECOND = nanoseconds(PERIODS["second"])
TICK = 1_000_000
FREE = PLANS["free"]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def spent(*ago: timedelta) -> QuotaState:
    return QuotaState([SpentSlot(START - one, retry=False) for one in ago])


def quota(limits: Sequence[Limit], state: QuotaState, name: str = "") -> KeyQuota:
    return KeyQuota(name, tuple(limits), state)


def test_pace_is_when_the_last_request_may_leave() -> None:
    assert pace([Windows(FREE)], 1, now=0) == 0
    assert pace([Windows(FREE)], 25, now=0) == 24 * (SECOND + TICK)
    assert pace([Windows(FREE)], 26, now=0) == nanoseconds(PERIODS["day"]) + TICK
    assert pace([Windows(())], 1000, now=7) == 7


def test_the_usage_of_a_window_is_what_ended_less_than_its_period_ago() -> None:
    day, second = window_usage([quota(FREE, spent(HOUR, 23 * HOUR, 25 * HOUR))], now=START)

    assert (day.limit, day.used, day.left, day.next_free_at) == ("25/day", 2, 23, None)
    assert (second.limit, second.used, second.left, second.next_free_at) == ("1/second", 0, 1, None)


def test_a_full_window_is_free_when_its_oldest_slot_leaves_it() -> None:
    (usage,) = window_usage([quota([Limit(2, DAY)], spent(HOUR, 2 * HOUR, 30 * HOUR))], now=START)

    assert (usage.left, usage.next_free_at) == (0, START + 22 * HOUR)


@pytest.mark.parametrize("ends_in", [timedelta(hours=-1), HOUR])
def test_a_block_holds_every_window_until_it_is_over(ends_in: timedelta) -> None:
    state = QuotaState(block=Block(START - 3 * HOUR, START + ends_in))

    free_at = {usage.next_free_at for usage in window_usage([quota(FREE, state)], now=START)}

    assert free_at == {START + HOUR if ends_in > timedelta() else None}
    assert finish_at([quota(FREE, state)], requests=1, now=START) == max(START, START + ends_in)


def test_what_a_clock_that_was_ahead_stored_counts_as_now() -> None:
    assert finish_at([quota([Limit(1, DAY)], spent(-30 * DAY))], requests=1, now=START) == START + DAY + timedelta(
        milliseconds=1
    )


def test_the_last_request_is_done_at_the_plans_pace() -> None:
    assert finish_at([quota(FREE, QuotaState())], requests=0, now=START) is None
    assert finish_at([quota(FREE, QuotaState())], requests=1, now=START) == START
    assert finish_at([quota(FREE, spent(HOUR))], requests=25, now=START) == START + 23 * HOUR + timedelta(
        milliseconds=1
    )


def test_of_several_keys_each_window_is_named_and_a_block_holds_its_own_key() -> None:
    blocked = QuotaState(block=Block(START - HOUR, START + HOUR))
    both = [quota((Limit(2, DAY),), spent(HOUR), "main"), quota((Limit(1, DAY),), blocked, "second")]

    main, second = window_usage(both, now=START)

    assert (main.key, main.used, main.next_free_at) == ("main", 1, None)
    assert (second.key, second.left, second.next_free_at) == ("second", 1, START + HOUR)
    assert [finish_at(both, requests=number, now=START) for number in (1, 2)] == [START, START + HOUR]
    assert window_usage([quota(FREE, QuotaState())], now=START)[0].key is None


def test_several_keys_have_what_remains_of_each_and_take_their_share_of_the_time() -> None:
    minute, day = [Limit(60, PERIODS["minute"])], [Limit(25, DAY)]
    both = [(minute, Windows(minute)), (day, Windows(day))]

    assert remaining(both, now=0) == 85
    assert remaining([*both, ((), Windows(()))], now=0) is None
    assert time_for(both, 85, now=0) == timedelta()
    assert time_for([both[0], both[0]], 7_000, now=0) < time_for([both[0]], 3_600, now=0)


def test_what_remains_is_what_the_longest_window_still_admits() -> None:
    windows = Windows(FREE, [0] * 3)

    assert remaining([(FREE, windows)], now=SECOND) == 22
    assert remaining([((), Windows(()))], now=SECOND) is None


def test_beyond_a_thousand_requests_the_slowest_limit_sets_the_pace() -> None:
    limits = [Limit(60, PERIODS["minute"])]

    def minutes(requests: int) -> int:
        return round(time_for([(limits, Windows(limits))], requests, now=0) / timedelta(minutes=1))

    assert [minutes(requests) for requests in (1, 61, 1000, 1060, 7000)] == [0, 1, 16, 17, 116]
