import asyncio
from datetime import timedelta

import pytest

from pipeline.daemon.blockers import NOT_RUNNING, NOTICED_LATE, Hindrances
from pipeline.daemon.clock_watch import Pulse
from tests.support.clocks import START, Hands

MINUTE = timedelta(minutes=1)


async def turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "step", [timedelta(hours=1), -timedelta(hours=1), timedelta(seconds=3), timedelta(days=20_000)]
)
async def test_a_step_of_the_clock_is_told_once(hands: Hands, step: timedelta) -> None:
    pulse = Pulse(hands.clock())
    hands.passes(MINUTE)
    hands.is_set_by(step)
    assert pulse.step() == step
    hands.passes(MINUTE)
    assert pulse.step() == timedelta()


async def test_a_clock_that_is_drawn_to_the_right_time_is_not_stepped(hands: Hands) -> None:
    pulse = Pulse(hands.clock())
    for _ in range(100):
        hands.passes(MINUTE)
        hands.is_set_by(timedelta(milliseconds=30))
        assert pulse.step() == timedelta()


async def test_a_store_that_owes_an_answer_is_not_asked_again_and_is_dead_after_a_while(hands: Hands) -> None:
    pulse = Pulse(hands.clock())
    answers, asked = asyncio.Event(), 0

    async def sign_of_life() -> None:
        nonlocal asked
        asked += 1
        await answers.wait()

    for _ in range(4):
        pulse.ask(sign_of_life)
        await turns()
        hands.passes(MINUTE)
    assert asked == 1
    assert pulse.why_silent() == "the store has not answered for 240 s"

    answers.set()
    await turns()
    assert pulse.why_silent() is None
    pulse.ask(sign_of_life)
    await turns()
    assert asked == 2


# Hindrances


def test_a_missed_fire_time_is_put_down_to_what_was_first_to_end_after_it() -> None:
    hindrances = Hindrances(START)
    hindrances.was("run 1 was still going", until=START + 5 * MINUTE)
    assert hindrances.begins("the disk is full", now=START + 10 * MINUTE)
    assert not hindrances.begins("the disk is full", now=START + 11 * MINUTE)

    assert hindrances.why(START - MINUTE) == NOT_RUNNING
    assert hindrances.why(START + MINUTE) == "run 1 was still going"
    assert hindrances.why(START + 8 * MINUTE) == "the disk is full"

    assert hindrances.ends(now=START + 20 * MINUTE)
    assert not hindrances.ends(now=START + 20 * MINUTE)
    assert hindrances.current is None
    assert hindrances.why(START + 19 * MINUTE) == "the disk is full"
    assert hindrances.why(START + 21 * MINUTE) == NOTICED_LATE
