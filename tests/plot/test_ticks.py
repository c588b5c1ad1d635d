"""Ticks: round values and dates on the axes."""

from datetime import timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.plot.ticks import date_ticks, value_ticks
from tests.support.plots import FIRST


@example(9.9992e29, 9.9998e29, 3)
@example(9.999999999999996e29, 9.999999999999999e29, 3)
@example(1.0, 1.0 + 2e-13, 12)
@given(
    st.floats(-1e30, 1e30).map(lambda value: value if abs(value) >= 1e-30 else 0.0),
    st.floats(-1e30, 1e30).map(lambda value: value if abs(value) >= 1e-30 else 0.0),
    st.integers(3, 12),
)
def test_the_ticks_are_few_different_and_within_the_range(one: float, other: float, most: int) -> None:
    low, high = sorted((one, other))
    ticks = value_ticks(low, high, most)
    spare = (high - low) * 1e-6 + abs(low) * 1e-12
    assert len(ticks) <= most
    assert all(low - spare <= tick.value <= high + spare for tick in ticks)
    assert len({tick.label for tick in ticks}) == len(ticks)


@given(st.timedeltas(timedelta(seconds=1), timedelta(days=60_000)), st.integers(2, 12))
def test_the_dates_are_few_in_order_and_within_the_range(length: timedelta, most: int) -> None:
    ticks = date_ticks(FIRST, FIRST + length, most)
    assert len(ticks) <= most + 1
    assert all(FIRST <= instant <= FIRST + length for instant, _ in ticks)
    assert [instant for instant, _ in ticks] == sorted({instant for instant, _ in ticks})
