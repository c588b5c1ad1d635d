"""The fleet's clock: PostgreSQL's time, told by a machine whose own wall clock may show anything."""

from datetime import timedelta
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from pipeline.api.clock_check import ClockCheck
from pipeline.fleet.clock import FleetClock
from pipeline.instants import nanoseconds
from tests.support.clocks import START, ManualClock

MILLISECONDS = st.integers(0, 5_000).map(lambda number: timedelta(milliseconds=number))
STATEMENTS = st.lists(st.tuples(MILLISECONDS, MILLISECONDS, MILLISECONDS), min_size=1, max_size=20)
"""How long each takes to PostgreSQL and back, and how long after the last one it is sent."""


@given(off=st.integers(-400, 400).map(lambda days: timedelta(days=days)), statements=STATEMENTS)
def test_it_is_never_behind_postgresql_and_ahead_by_a_round_trip_at_most(
    off: timedelta, statements: list[tuple[timedelta, timedelta, timedelta]]
) -> None:
    own = ManualClock(START + off)
    clock = FleetClock(own.as_clock())
    elapsed, shortest = timedelta(), timedelta.max
    for there, back, pause in statements:
        own.advance(pause)
        asked = own.monotonic
        own.advance(there)
        at = START + elapsed + pause + there
        own.advance(back)
        own.set_by(timedelta(hours=-1))  # as somebody sets it
        elapsed += pause + there + back
        clock.heard(at, asked=asked)
        shortest = min(shortest, there)
        assert timedelta() <= clock.now() - (START + elapsed) <= shortest
    assert clock.take_step() == timedelta()


@given(there=MILLISECONDS, back=MILLISECONDS, step=st.integers(-100_000, 100_000))
def test_a_step_forward_is_noticed_if_it_is_longer_than_a_round_trip(
    there: timedelta, back: timedelta, step: int
) -> None:
    own = ManualClock()
    clock = FleetClock(own.as_clock())
    clock.heard(START, asked=own.monotonic)
    asked = own.monotonic
    own.advance(there + back)
    clock.heard(START + there + timedelta(seconds=step), asked=asked)

    noticed = clock.take_step()

    assert noticed <= max(timedelta(seconds=step), timedelta())
    assert noticed or timedelta(seconds=step) <= back + timedelta(milliseconds=250)
    assert clock.take_step() == timedelta()
    if noticed:  # and from then on it tells the new time
        assert nanoseconds(clock.now() - START) >= nanoseconds(timedelta(seconds=step))


def test_a_run_by_it_names_it_in_what_is_said_of_it(clock: ManualClock) -> None:
    of_fleet = FleetClock(clock.as_clock())
    of_fleet.heard(START + timedelta(days=1), asked=clock.monotonic)
    check = ClockCheck(of_fleet.as_clock(), lambda _time: None)

    wrong = check.listen({"Date": format_datetime(START, usegmt=True)}, began=check.begin())

    assert "PostgreSQL's clock shows 2026-03-15 18:30:00 UTC" in str(wrong)
