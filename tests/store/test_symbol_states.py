"""Symbol states: what is known of a symbol follows from its observations, in whatever order they were stored."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import instants
from pipeline.collect.due import select_due
from pipeline.model.outcomes import Outcome
from pipeline.store.derived_states import Evidence, derive_state
from pipeline.store.reader import Reader
from tests.support.clocks import START
from tests.support.database import snapshots
from tests.support.observations import database_of
from tests.support.store import (
    HOUR,
    IBM,
    LATER,
    PEP,
    at,
    collected,
    imported,
    note,
    overview,
    state_of,
)


def later(when: datetime, days: int) -> str:
    """Return the instant some days later, less the four hours by which a daily schedule may come early."""
    return instants.to_text(when + timedelta(days=days, hours=-4))


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
        assert state.next_try == later(when, days)
        when += timedelta(days=days)


async def test_an_observation_days_after_the_run_began_counts(database: Path) -> None:
    when = START + timedelta(days=3)  # a long list, or the machine slept meanwhile
    await note(database, Outcome.UNKNOWN, when, began=START)
    state = state_of(database)
    assert (state.state, state.next_try) == ("unknown", later(when, 1))


async def test_a_symbol_covered_again_starts_over(database: Path) -> None:
    await note(database, Outcome.UNKNOWN, START)
    await note(database, Outcome.UNKNOWN, START + HOUR)
    await collected(database, (overview(), 2))
    with Reader.open(database) as record:
        assert (record.symbol_states()["IBM"].state, record.symbol_states()["IBM"].next_try) == ("covered", None)
    await note(database, Outcome.UNKNOWN, START + 3 * HOUR)
    state = state_of(database)
    assert (state.since, state.next_try, state.last_overview) == (at(3), None, at(2))
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


async def test_an_overview_from_a_clock_that_was_ahead_does_not_make_a_symbol_fresh(database: Path) -> None:
    await collected(database, (overview(), 24 * 365))
    await note(database, Outcome.FAILED, START)
    state = state_of(database)
    assert (state.last_look, state.last_overview, state.last_try) == (None, None, at(0))


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


JITTER = [timedelta(milliseconds=number) for number in (0, -7, 5, -60_000, 3_600_000, -3_600_000)]
"""What delays the answers of one day and not those of the next: a busy machine, a place in the list, summer time."""


async def test_a_symbol_with_snapshots_stays_due_for_a_week_and_a_daily_schedule_then_misses_no_day(
    database: Path,
) -> None:
    await collected(database, (overview(), 0))
    requested = []
    for day in range(1, 28):
        now = START + timedelta(days=day) + JITTER[day % len(JITTER)]
        with Reader.open(database) as reader:
            due = select_due([IBM], reader.freshness(), observed_since=now - 20 * HOUR, now=now).due
        if due:
            requested.append(day)
            await note(database, Outcome.UNKNOWN, now)

    assert requested == [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15, 23]


async def test_a_symbol_never_covered_is_asked_by_a_daily_schedule_after_whole_days(database: Path) -> None:
    requested = []
    for day in range(20):
        now = START + timedelta(days=day) + JITTER[day % len(JITTER)]
        with Reader.open(database) as reader:
            due = select_due([IBM], reader.freshness(), observed_since=now - 20 * HOUR, now=now).due
        if due:
            requested.append(day)
            await note(database, Outcome.UNKNOWN, now)

    assert requested == [0, 1, 3, 7, 15]


async def test_a_symbol_with_snapshots_stays_due_after_an_answer_that_it_is_not_covered(database: Path) -> None:
    await collected(database, (overview(), 0), (overview(PEP), 24))
    await note(database, Outcome.UNKNOWN, START + 24 * HOUR)
    now = START + 25 * HOUR
    with Reader.open(database) as reader:
        selection = select_due([IBM, PEP], reader.freshness(), observed_since=now - 20 * HOUR, now=now)

    assert (selection.due, selection.fresh) == ([IBM], 1)
    state = state_of(database)
    assert (state.state, state.is_uncovered, state.last_look, state.last_overview) == ("unknown", True, at(24), at(0))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_state_is_the_same_in_whatever_order_observations_were_stored(data: st.DataObject) -> None:
    hours = sorted(data.draw(st.sets(st.integers(0, 40), min_size=1, max_size=8)))
    observed = [(data.draw(st.sampled_from(["A", "B", "{}"])), 12 * hour) for hour in hours]
    shuffled = data.draw(st.permutations(observed))
    cut = data.draw(st.integers(0, len(observed)))
    paths = database_of(), database_of()

    asyncio.run(imported(paths[0], *observed))
    asyncio.run(imported(paths[1], *shuffled[:cut]))
    asyncio.run(imported(paths[1], *shuffled[cut:]))

    assert state_of(paths[0]) == state_of(paths[1])
    overviews = [hour for found, hour in observed if found != "{}"]
    assert state_of(paths[0]).last_overview == (at(overviews[-1]) if overviews else None)


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


def test_a_symbol_is_due_as_usual_while_nothing_counts_towards_a_back_off() -> None:
    state = derive_state(evidence(seen=at(1), gone=at(9), first_gone=at(2), times_gone=0, snapshots=1))

    assert (state.state, state.next_try, state.last_overview) == ("unknown", None, at(1))


@pytest.mark.parametrize(("times", "days"), [(1, 1), (2, 2), (5, 16), (6, 30), (1_000, 30)])
def test_the_time_to_the_next_attempt_doubles_up_to_30_days(times: int, days: int) -> None:
    state = derive_state(evidence(seen=at(1), gone=at(9), first_gone=at(2), times_gone=times, snapshots=1))

    assert (state.state, state.since, state.last_look, state.last_outcome) == ("unknown", at(2), at(9), "unknown")
    assert (state.next_try, state.snapshots) == (at(9 + 24 * days - 4), 1)
