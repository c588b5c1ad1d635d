"""Blockers: a missed fire time names what prevented it."""

from datetime import timedelta

from pipeline.daemon.blockers import NOT_RUNNING, NOTICED_LATE, Blockers
from tests.support.clocks import START

MINUTE = timedelta(minutes=1)


def test_a_missed_fire_time_is_explained_by_the_blocker_that_ended_first_after_it() -> None:
    blockers = Blockers(START)
    blockers.remember("run 1 was still in progress", until=START + 5 * MINUTE)
    assert blockers.block("the disk is full", now=START + 10 * MINUTE)
    assert not blockers.block("the disk is full", now=START + 11 * MINUTE)

    assert blockers.reason_at(START - MINUTE) == NOT_RUNNING
    assert blockers.reason_at(START + MINUTE) == "run 1 was still in progress"
    assert blockers.reason_at(START + 8 * MINUTE) == "the disk is full"

    assert blockers.clear(now=START + 20 * MINUTE)
    assert not blockers.clear(now=START + 20 * MINUTE)
    assert blockers.current is None
    assert blockers.reason_at(START + 19 * MINUTE) == "the disk is full"
    assert blockers.reason_at(START + 21 * MINUTE) == NOTICED_LATE
