"""The present: it stands still for a moment while nothing is written, and never is before what was."""

from datetime import timedelta

from pipeline.store.data_version import Version
from pipeline.web.present import LASTS, Moment, Present
from tests.support.clocks import START

FIRST, SECOND = Version(1, (1, 1, 1, 1), 1), Version(1, (1, 1, 1, 1), 2)
SECOND_LATER, LONG = START + timedelta(seconds=1), START + LASTS


def test_it_stands_still_while_nothing_is_written_but_not_for_long() -> None:
    present = Present()
    assert [present(FIRST, now=now) for now in (START, SECOND_LATER, LONG)] == [START, START, LONG]


def test_after_something_was_written_it_is_the_instant_of_the_question() -> None:
    present = Present()
    assert present(FIRST, now=START) == START
    assert present(SECOND, now=SECOND_LATER) == SECOND_LATER


def test_while_the_state_is_unknown_it_moves() -> None:
    present = Present()
    assert [present(None, now=now) for now in (START, SECOND_LATER)] == [START, SECOND_LATER]


def test_it_follows_a_clock_that_is_set_back() -> None:
    present = Present()
    assert [present(FIRST, now=now) for now in (SECOND_LATER, START)] == [SECOND_LATER, START]


def test_an_answer_will_do_a_little_later_unless_something_was_written() -> None:
    first = Moment(FIRST, START)
    assert first.will_do_for(Moment(FIRST, LONG))
    assert not first.will_do_for(Moment(SECOND, SECOND_LATER))
    assert not first.will_do_for(Moment(FIRST, START + timedelta(seconds=30)))
    assert not first.will_do_for(Moment(FIRST, START - timedelta(seconds=1)))
