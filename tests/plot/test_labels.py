"""Labels: numbers and changes as people write them, and the words where there is no line."""

import pytest

from pipeline.plot.labels import human, percent_change, placeholder, trend
from tests.support.plots import pe, points


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.1e12, "3.1T"),
        (450e9, "450B"),
        (12.3, "12.3"),
        (0.2741, "0.2741"),
        (-7.4321e9, "-7.432B"),
        (1234.56, "1,234.56"),
        (0, "0"),
        (1e-9, "1e-09"),
        (2.5e20, "2.5e+20"),
    ],
)
def test_numbers_are_written_as_people_write_them(value: float, text: str) -> None:
    assert human(value) == text


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [(100, 110.6, "+10.6 %"), (-4, -2, "+50.0 %"), (5, 5, "±0 %"), (0, 3, ""), (-1, 3, ""), (1, 1e9, "")],
)
def test_a_change_is_in_per_cent_where_that_means_something(first: float, last: float, text: str) -> None:
    assert percent_change(first, last) == text


def test_the_trend_is_first_last_and_change_and_says_when_the_value_is_gone() -> None:
    assert trend(points(10.0, 30.0, 12.0)) == "10 → 12, +20.0 %"
    assert trend(points(10.0, 12.0, None)) == "10 → 12, +20.0 %, then no value"
    assert trend(points(10.0, None, 10.0)) == "10, unchanged"
    assert trend(points(None)) == ""


def test_too_little_to_draw_is_put_in_words() -> None:
    assert placeholder(pe()) == "nothing observed"
    assert placeholder(pe(None, None)) == "no value in 2 snapshots, from 2026-01-05 to 2026-01-15"
    assert placeholder(pe(12.3)) == "12.3, from 2026-01-05 to 2026-01-08"
    assert placeholder(pe(12.3, suspicious=[0])) == "12.3, from 2026-01-05 to 2026-01-08, suspicious"
    assert placeholder(pe(12.3, 12.3)) is None
