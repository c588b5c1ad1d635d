import asyncio
from datetime import timedelta

import pytest

from pipeline.daemon.blockers import NOT_RUNNING, NOTICED_LATE, Blockers
from pipeline.daemon.clock_watch import ClockWatch
from tests.support.clocks import START, ManualClock

MINUTE = timedelta(minutes=1)


async def turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "step", [timedelta(hours=1), -timedelta(hours=1), timedelta(seconds=3), timedelta(days=20_000)]
)
async def test_a_step_of_the_clock_is_told_once(hands: ManualClock, step: timedelta) -> None:
    watch = ClockWatch(hands.clock())
    hands.passes(MINUTE)
    hands.is_set_by(step)
    assert watch.step() == step
    hands.passes(MINUTE)
    assert watch.step() == timedelta()


async def test_a_clock_that_is_drawn_to_the_right_time_is_not_stepped(hands: ManualClock) -> None:
    watch = ClockWatch(hands.clock())
    for _ in range(100):
        hands.passes(MINUTE)
        hands.is_set_by(timedelta(milliseconds=30))
        assert watch.step() == timedelta()


async def test_a_store_that_owes_an_answer_is_not_asked_again_and_is_dead_after_a_while(hands: ManualClock) -> None:
    watch = ClockWatch(hands.clock())
    answers, asked = asyncio.Event(), 0

    async def sign_of_life() -> None:
        nonlocal asked
        asked += 1
        await answers.wait()

    for _ in range(4):
        watch.ask(sign_of_life)
        await turns()
        hands.passes(MINUTE)
    assert asked == 1
    assert watch.why_silent() == "the store has not answered for 240 s"

    answers.set()
    await turns()
    assert watch.why_silent() is None
    watch.ask(sign_of_life)
    await turns()
    assert asked == 2


# Blockers


def test_a_missed_fire_time_is_put_down_to_what_was_first_to_end_after_it() -> None:
    blockers = Blockers(START)
    blockers.remember("run 1 was still going", until=START + 5 * MINUTE)
    assert blockers.block("the disk is full", now=START + 10 * MINUTE)
    assert not blockers.block("the disk is full", now=START + 11 * MINUTE)

    assert blockers.reason_at(START - MINUTE) == NOT_RUNNING
    assert blockers.reason_at(START + MINUTE) == "run 1 was still going"
    assert blockers.reason_at(START + 8 * MINUTE) == "the disk is full"

    assert blockers.clear(now=START + 20 * MINUTE)
    assert not blockers.clear(now=START + 20 * MINUTE)
    assert blockers.current is None
    assert blockers.reason_at(START + 19 * MINUTE) == "the disk is full"
    assert blockers.reason_at(START + 21 * MINUTE) == NOTICED_LATE
