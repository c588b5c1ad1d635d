"""Line charts for pages: where their lines begin, break and end, and what is said in words."""

import re
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.fields import FIELDS
from pipeline.plot.labels import placeholder
from pipeline.plot.line_chart import ACROSS, DOWN, SPARK_ACROSS, SPARK_DOWN, LineChart, line_chart, spark_path, thinned
from pipeline.plot.series import Point, Series
from tests.support.plots import ACME, DAY, FIRST, PE, pe, points, spell

_NUMBER = r"-?[0-9.e-]+"


def _chart(*values: float | None) -> LineChart:
    return line_chart(pe(*values))


def test_each_version_is_level_while_it_was_seen_and_a_step_leads_to_the_next() -> None:
    chart = _chart(10.0, 20.0)
    assert len(re.findall(rf"M{_NUMBER} {_NUMBER}H{_NUMBER}", chart.confirmed)) == 2
    assert re.fullmatch(rf"M0 {_NUMBER}H{_NUMBER}V{_NUMBER}H{ACROSS}", chart.between)
    assert chart.line == ""


def test_where_there_was_no_value_the_line_breaks() -> None:
    assert _chart(10.0, None, 20.0).between.count("M") == 2
    dense = [float(number % 7) for number in range(400)]
    dense[200:210] = [None] * 10  # type: ignore[list-item]
    assert _chart(*dense).line.count("M") == 2


def test_too_little_to_draw_is_said_in_words() -> None:
    for few in (pe(), pe(10.0), pe(None, None)):
        assert placeholder(few) is not None


def test_fractions_are_labelled_in_per_cent() -> None:
    chart = line_chart(Series(ACME, FIELDS["ProfitMargin"], points(0.21, 0.28)))
    assert [tick.label for tick in chart.values] == ["22 %", "24 %", "26 %", "28 %"]
    assert (chart.summary.low, chart.summary.last) == (0.21, 0.28)


def test_what_is_suspicious_or_not_covered_is_marked() -> None:
    chart = line_chart(
        pe(1.0, 9.0, 2.0, suspicious=[1]), [spell(FIRST + 8 * DAY, FIRST + 9 * DAY), spell(FIRST - DAY, FIRST - DAY)]
    )
    ((across, down),) = chart.suspicious
    assert abs(across - 1000 * 7 / 17) < 0.1
    assert 0 < down < DOWN / 4
    ((start, width),) = chart.uncovered
    assert start > across
    assert width > 1


@given(st.lists(st.none() | st.floats(-1e12, 1e12), min_size=2, max_size=900))
def test_a_line_stays_within_its_chart_and_is_bounded_in_length(values: list[float | None]) -> None:
    made = tuple(
        Point(FIRST + number * DAY, FIRST + number * DAY + timedelta(hours=1), value)
        for number, value in enumerate(values)
    )
    series = Series(ACME, PE, made)
    if placeholder(series) is not None:
        return
    chart = line_chart(series)
    for path in (chart.line, chart.between, chart.confirmed):
        for across, down in re.findall(rf"[ML]({_NUMBER}) ({_NUMBER})", path):
            assert -0.1 <= float(across) <= ACROSS + 0.1
            assert -0.1 <= float(down) <= DOWN + 0.1
    assert len(chart.line) < 400 * 4 * 16
    assert len(chart.confirmed) + len(chart.between) < 181 * 60
    assert bool(chart.line) != bool(chart.between)


def test_a_line_of_many_versions_keeps_each_extreme() -> None:
    values = [100.0 + number % 5 for number in range(4000)]
    values[1234], values[2345] = 1.0, 900.0
    heights = [float(down) for down in re.findall(rf"[ML]{_NUMBER} ({_NUMBER})", _chart(*values).line)]
    assert min(heights) < DOWN * 0.1
    assert max(heights) > DOWN * 0.9


@given(st.lists(st.none() | st.floats(allow_nan=False), max_size=300))
def test_a_small_line_stays_within_its_frame_and_is_bounded_in_length(values: list[float | None]) -> None:
    shown = thinned(list(enumerate(values)))
    path = spark_path([float(number) for number, _ in shown], [value for _, value in shown])
    places = re.findall(rf"[ML]({_NUMBER}) ({_NUMBER})", path)
    assert len(places) <= 51
    for across, down in places:
        assert 0 <= float(across) <= SPARK_ACROSS
        assert 0 <= float(down) <= SPARK_DOWN


def test_a_small_line_ends_at_the_last_value_and_breaks_where_there_was_none() -> None:
    path = spark_path([0.0, 1.0, 2.0, 3.0, 4.0], [1.0, 2.0, None, 2.0, 3.0])
    assert path.count("M") == 2
    assert path.endswith("100.0 2.0")
    assert thinned(range(1001))[-1] == 1000
    assert spark_path([1.0], [1.0]) == ""


def test_a_value_that_never_changed_is_a_level_line() -> None:
    made = points(5.0, 5.0, 5.0)
    chart = line_chart(Series(ACME, PE, made))
    assert "V" not in chart.between
    assert spark_path([0.0, 1.0], [5.0, 5.0]) == "M0.0 12.0L100.0 12.0"
