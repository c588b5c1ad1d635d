"""Symbol states: what is known of a symbol follows from its observations, in whatever order they were stored."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import instants
from pipeline.model.outcomes import Outcome
from pipeline.store.reader import Reader
from pipeline.store.symbol_states import Evidence, derive_state
from tests.support.clocks import START
from tests.support.database import snapshots
from tests.support.store import (
    HOUR,
    LATER,
    at,
    collected,
    imported,
    note,
    overview,
    state_of,
)


async def test_a_symbol_knows_its_snapshots_and_its_last_observation(database: Path) -> None:
    await collected(database, (overview(), 0), (overview(), 1), (overview(EPS="2"), 2))
    state = state_of(database)
    assert (state.state, state.since, state.last_look, state.last_outcome) == ("covered", at(0), at(2), "stored")
    assert state.snapshots == 2


async def test_a_symbol_that_is_not_covered_is_tried_again_after_1_2_4_to_30_days(database: Path) -> None:
    when = START
    for days in (1, 2, 4, 8, 16, 30, 30):
        await note(database, Outcome.UNKNOWN, when)
        state = state_of(database)
        assert state.state == "unknown"
        assert state.since == instants.to_text(START)
        assert state.next_try == instants.to_text(when + timedelta(days=days))
        when += timedelta(days=days)


async def test_an_observation_days_after_the_run_began_counts(database: Path) -> None:
    when = START + timedelta(days=3)  # a long list, or the machine slept meanwhile
    await note(database, Outcome.UNKNOWN, when, began=START)
    state = state_of(database)
    assert (state.state, state.next_try) == ("unknown", instants.to_text(when + timedelta(days=1)))


async def test_a_symbol_covered_again_starts_over(database: Path) -> None:
    await note(database, Outcome.UNKNOWN, START)
    await note(database, Outcome.UNKNOWN, START + HOUR)
    await collected(database, (overview(), 2))
    with Reader.open(database) as record:
        assert (record.symbol_states()["IBM"].state, record.symbol_states()["IBM"].next_try) == ("covered", None)
    await note(database, Outcome.UNKNOWN, START + 3 * HOUR)
    state = state_of(database)
    assert (state.since, state.next_try) == (at(3), instants.to_text(START + 3 * HOUR + timedelta(days=1)))
    assert len(snapshots(database, "IBM")) == 1


async def test_an_observation_in_the_future_does_not_hide_one_of_now(database: Path) -> None:
    await note(database, Outcome.UNKNOWN, LATER + 1000 * HOUR)
    await collected(database, (overview(), 0))
    state = state_of(database)
    assert (state.state, state.last_look, state.next_try, state.snapshots) == ("covered", at(0), None, 1)


async def test_a_clock_that_was_ahead_does_not_make_a_symbol_due_for_good(database: Path) -> None:
    ahead = 24 * 365
    await collected(database, (overview(), ahead))
    await collected(database, (overview(), 0))
    with Reader.open(database) as record:
        assert record.symbol_states()["IBM"].last_look == at(0)


async def test_an_import_does_not_undo_a_later_attempt(database: Path) -> None:
    await imported(database, ("A", 0))
    await note(database, Outcome.REJECTED, START + 5 * HOUR)
    await imported(database, ("A", 2))
    state = state_of(database)
    assert (state.last_look, state.last_try, state.last_outcome) == (at(2), at(5), "rejected")


async def test_a_failure_is_an_attempt_and_no_observation(database: Path) -> None:
    await collected(database, (overview(), 0))
    await note(database, Outcome.FAILED, START + HOUR)
    await note(database, Outcome.DEFERRED, START + 2 * HOUR, attempts=0)
    state = state_of(database)
    assert (state.last_look, state.last_try, state.last_outcome) == (at(0), at(1), "failed")


def evidence(**facts: Any) -> Evidence:
    nothing = Evidence("IBM", None, None, None, None, times_gone=0, is_new=False, snapshots=0)
    return nothing._replace(**facts)


def test_a_symbol_is_covered_while_its_overview_is_newer_than_its_last_refusal() -> None:
    state = derive_state(evidence(seen=at(5), gone=at(3), first_seen=at(4), is_new=True, snapshots=2))

    assert (state.state, state.since, state.last_look, state.last_try) == ("covered", at(4), at(5), at(5))
    assert (state.next_try, state.last_outcome, state.snapshots) == (None, "stored", 2)


def test_an_overview_at_the_instant_of_a_refusal_wins() -> None:
    state = derive_state(evidence(seen=at(3), gone=at(3), first_seen=at(3)))

    assert (state.state, state.last_outcome) == ("covered", "unchanged")


@pytest.mark.parametrize(("times", "days"), [(1, 1), (2, 2), (5, 16), (6, 30), (1_000, 30)])
def test_the_time_to_the_next_attempt_doubles_up_to_30_days(times: int, days: int) -> None:
    state = derive_state(evidence(seen=at(1), gone=at(9), first_gone=at(2), times_gone=times, snapshots=1))

    assert (state.state, state.since, state.last_look, state.last_outcome) == ("unknown", at(2), at(9), "unknown")
    assert (state.next_try, state.snapshots) == (at(9 + 24 * days), 1)
