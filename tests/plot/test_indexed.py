"""Indexed series: per cent of the value at the first instant at which all have one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.plot.indexed import indexed
from pipeline.plot.labels import placeholder
from pipeline.plot.series import Series, merged
from tests.support.plots import BETA, DAY, pe


def values(series: Series) -> list[float | None]:
    return [point.value for point in series.points]


def test_each_is_100_where_the_last_of_them_begins() -> None:
    early, late = indexed([pe(50.0, 25.0, 75.0), pe(None, 4.0, 5.0, company=BETA)])
    assert values(early) == [200.0, 100.0, 300.0]
    assert values(late) == [None, 100.0, 125.0]
    assert early.field.unit == late.field.unit == "100 = 2026-01-12"


def test_a_value_missing_there_is_the_latest_one_before() -> None:
    one, _ = indexed([pe(50.0, None, 75.0), pe(None, 4.0, company=BETA)])
    assert values(one) == [100.0, None, 150.0]


@pytest.mark.parametrize("first", [-3.0, 0.0, 1e-40])
def test_a_series_that_begins_at_or_below_zero_is_left_out_with_the_reason(first: float) -> None:
    low, other = indexed([pe(first, 5.0), pe(2.0, 3.0, company=BETA)])
    assert values(low) == [None, None]
    assert "not above zero" in str(placeholder(low))
    assert values(other) == [100.0, 150.0]


def test_a_series_without_values_says_so_and_decides_nothing() -> None:
    none, nothing, other = indexed([pe(None, None), pe(), pe(2.0, 3.0, company=BETA)])
    assert "no value" in str(placeholder(none))
    assert placeholder(nothing) == "nothing observed"
    assert values(other) == [100.0, 150.0]
    assert indexed([none]) == (none,)


@given(st.lists(st.floats(0.01, 1e12), min_size=1, max_size=9), st.floats(0.01, 1e6))
def test_an_index_does_not_depend_on_the_unit(found: list[float], factor: float) -> None:
    one = pe(*found)
    scaled = replace(one, points=tuple(replace(point, value=(point.value or 0) * factor) for point in one.points))
    for here, there in zip(merged(indexed([one])[0].points), merged(indexed([scaled])[0].points), strict=False):
        assert here.value == pytest.approx(there.value)


def test_the_instant_is_that_of_the_first_value() -> None:
    (one,) = indexed([pe(None, 10.0, 20.0)])
    assert values(one) == [None, 100.0, 200.0]
    assert one.points[1].observed_at - one.points[0].observed_at == 7 * DAY
