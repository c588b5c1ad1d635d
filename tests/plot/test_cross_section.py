"""Cross-sections: which companies are drawn, and in which rows."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from pipeline.errors import Trouble
from pipeline.model.fields import COLUMNS
from pipeline.plot.cross_section import NO_VALUE, NotDrawable, cross_section, rows
from tests.support.cross_sections import AT, CAP, PE, SECTOR, dots, section


def test_a_text_makes_rows_whichever_field_it_is() -> None:
    for made in (section(SECTOR, PE, [("A", 1.0)]), section(PE, SECTOR, [(1.0, "A")])):
        assert (made.x, made.y) == (PE, SECTOR)
        assert [(dot.x, dot.y) for dot in made.dots] == [(1.0, "A")]
        assert made.has_rows
    assert not section(PE, CAP, [(1.0, 2)]).has_rows


def test_companies_without_the_numbers_are_left_out_and_counted() -> None:
    made = section(PE, CAP, [(1.0, 2), (None, 2), (1.0, None), (1e300, 2)])
    assert [dot.company.symbol for dot in made.dots] == ["S0"]
    assert made.left_out == 3
    rowed = section(SECTOR, PE, [("A", 1.0), (None, 2.0), ("A", None)])
    assert len(rowed.dots) == 2
    assert rowed.left_out == 1
    assert [row.label for row in rows(rowed)] == [NO_VALUE, "A"]


def test_rows_are_sorted_by_their_median_and_dates_by_date() -> None:
    found = rows(section(SECTOR, PE, [("A", 1.0), ("B", 9.0), ("A", 5.0), ("C", 3.5)]))
    assert [(row.label, row.median, len(row.dots)) for row in found] == [("B", 9.0, 1), ("C", 3.5, 1), ("A", 3.0, 2)]
    quarter = COLUMNS["latest_quarter"]
    dated = section(quarter, PE, [(date(2026, 3, 31), 9.0), (date(2025, 12, 31), 1.0), (date(2026, 6, 30), 5.0)])
    assert [row.label for row in rows(dated)] == ["2025-12-31", "2026-03-31", "2026-06-30"]


def test_of_many_categories_the_largest_are_rows_and_one_row_is_the_rest() -> None:
    values = [(f"kind {number}", float(number)) for number in range(100)] + [("45 others", 1.0), ("45 others", 2.0)]
    found = rows(section(SECTOR, PE, values))
    assert len(found) == 40
    assert found[-1].label == "62 others"
    assert len(found[-1].dots) == 62
    assert "45 others" in {row.label for row in found}
    assert sum(len(row.dots) for row in found) == len(values)


def test_what_makes_no_picture_is_refused() -> None:
    with pytest.raises(NotDrawable) as refused:
        section(SECTOR, COLUMNS["industry"], [("A", "B")])
    assert "sector" in refused.value.problem
    with pytest.raises(Trouble, match="pe_ratio and market_capitalization"):
        section(PE, CAP, [(1.0, None), (None, 2)])


def test_the_summary_says_how_stale_the_stalest_value_is_that_is_drawn() -> None:
    fresh, old, undrawn = dots((1e9, 1.0), (1e9, 2.0), (1e9, None))
    old = replace(old, staleness=timedelta(days=9))
    undrawn = replace(undrawn, staleness=timedelta(days=99))
    made = cross_section(AT, CAP, PE, [fresh, old, undrawn])
    assert made.summary == "2 companies, last seen up to 9 d before; 1 without a value left out"
