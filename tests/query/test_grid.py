"""The grid: ends of days, weeks, months and quarters from a day on, steps from an instant on."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.instants import of_day
from pipeline.query.grid import Every, grid, last_of_periods

_LONGEST = {Every.DAY: 1, Every.WEEK: 7, Every.MONTH: 31, Every.QUARTER: 92}
_SHORTEST = {Every.DAY: 1, Every.WEEK: 7, Every.MONTH: 28, Every.QUARTER: 89}
_DATES = st.dates(date(1990, 1, 1), date(2100, 1, 1))


def days(every: str, since: str, until: str) -> list[str]:
    """Return the days whose ends are a grid."""
    found = list(grid(Every(every), date.fromisoformat(since), of_day(date.fromisoformat(until), ends=True)))
    assert found == [of_day(at.date(), ends=True) for at in found]
    return [at.date().isoformat() for at in found]


@pytest.mark.parametrize(
    ("every", "since", "until", "expected"),
    [
        ("1d", "2024-02-27", "2024-03-01", ["2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01"]),
        ("1d", "2024-02-27", "2024-02-27", ["2024-02-27"]),
        ("1d", "2024-02-27", "2024-02-26", []),
        ("1w", "2024-12-25", "2025-01-08", ["2024-12-25", "2025-01-01", "2025-01-08"]),
        ("1mo", "2024-01-31", "2024-04-29", ["2024-01-31", "2024-02-29", "2024-03-31"]),
        ("1mo", "2023-02-01", "2023-02-28", ["2023-02-28"]),
        ("1q", "2024-01-01", "2024-12-31", ["2024-03-31", "2024-06-30", "2024-09-30", "2024-12-31"]),
        ("1q", "2024-05-15", "2024-09-29", ["2024-06-30"]),
        ("1d", "9999-12-30", "9999-12-31", ["9999-12-30", "9999-12-31"]),
        ("1q", "9999-12-30", "9999-12-31", ["9999-12-31"]),
    ],
)
def test_from_a_day_on_it_is_the_ends_of_periods(every: str, since: str, until: str, expected: list[str]) -> None:
    assert days(every, since, until) == expected


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        ("1d", ["2024-01-31T09:30", "2024-02-01T09:30", "2024-02-02T09:30"]),
        ("1w", ["2024-01-31T09:30", "2024-02-07T09:30", "2024-02-14T09:30"]),
        ("1mo", ["2024-01-31T09:30", "2024-02-29T09:30", "2024-03-31T09:30"]),
        ("1q", ["2024-01-31T09:30", "2024-04-30T09:30", "2024-07-31T09:30"]),
    ],
)
def test_from_an_instant_on_it_keeps_the_time_of_day(every: str, expected: list[str]) -> None:
    instants = [datetime.fromisoformat(f"{text}:00Z") for text in expected]
    assert list(grid(Every(every), instants[0], instants[-1])) == instants


def test_an_instant_of_another_zone_is_taken_in_utc_and_cut_to_milliseconds() -> None:
    since = datetime.fromisoformat("2024-01-31T23:30:00.123999-05:00")
    first = datetime(2024, 2, 1, 4, 30, 0, 123_000, UTC)
    assert list(grid(Every.MONTH, since, first + timedelta(days=30))) == [
        first,
        datetime(2024, 3, 1, 4, 30, 0, 123_000, UTC),
    ]


@given(every=st.sampled_from(Every), since=_DATES, length=st.integers(0, 1000), is_instant=st.booleans())
def test_every_grid_ascends_within_its_bounds_without_a_gap(
    every: Every, since: date, length: int, is_instant: bool
) -> None:
    until = of_day(since + timedelta(days=length), ends=True)
    begin = datetime(since.year, since.month, since.day, 12, tzinfo=UTC) if is_instant else since
    found = list(grid(every, begin, until))

    assert all(of_day(since, ends=False) <= at <= until for at in found)
    steps = [later.date() - earlier.date() for earlier, later in pairwise(found)]
    assert all(_SHORTEST[every] <= step.days <= _LONGEST[every] for step in steps)
    ends = [of_day(since, ends=False), *found]
    assert (until - ends[-1]).days <= _LONGEST[every]
    assert not is_instant or found[:1] == [begin]


def test_the_last_day_of_each_period_stands_for_it() -> None:
    week = [date(2024, 12, day) for day in (27, 30, 31)] + [date(2025, 1, 2), date(2025, 1, 6)]
    assert last_of_periods(Every.DAY, week) == week
    assert last_of_periods(Every.WEEK, week) == [date(2024, 12, 27), date(2025, 1, 2), date(2025, 1, 6)]
    assert last_of_periods(Every.MONTH, week) == [date(2024, 12, 31), date(2025, 1, 6)]
    assert last_of_periods(Every.QUARTER, week) == [date(2024, 12, 31), date(2025, 1, 6)]
