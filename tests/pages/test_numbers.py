"""Numbers: short as people read them, and exact to the last digit for programs."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.fields import CATALOGUE, COLUMNS, Field, Kind
from pipeline.pages.numbers import change, difference, quiet, scaled, shown, shown_pair

_GAP = "\u202f"
NUMBERS = [field for field in CATALOGUE if field.kind in (Kind.INTEGER, Kind.REAL)]


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("market_capitalization", 3_490_123_456_789, "3.49 T"),
        ("market_capitalization", 412_600_000, "413 M"),
        ("market_capitalization", 999_999_999, "1.00 B"),
        ("market_capitalization", 987_654, "987,654"),
        ("market_capitalization", 0, "0"),
        ("revenue_ttm", -5_000_000_000, "-5.00 B"),
        ("shares_outstanding", 15_204_100_000, "15.2 B"),
        ("pe_ratio", 28.4, "28.4"),
        ("pe_ratio", 2.314, "2.31"),
        ("pe_ratio", 1234.5, "1,234"),
        ("pe_ratio", 0.0012, "0.00120"),
        ("peg_ratio", -0.25, "-0.25"),
        ("dividend_yield", 0.041, "4.1 %"),
        ("dividend_yield", 0.0043, "0.43 %"),
        ("profit_margin", 1.27, "127 %"),
        ("profit_margin", -0.0049, "-0.49 %"),
        ("percent_insiders", 0.07, "0.07 %"),
        ("percent_institutions", 100.4, "100 %"),
        ("eps", 6.1, "6.10"),
        ("eps", -14.17, "-14.17"),
        ("week_52_high", 5432.1, "5,432.10"),
        ("analyst_rating_buy", 21, "21"),
        ("latest_quarter", "2025-12-31", "31 Dec 2025"),
        ("latest_quarter", date(2025, 12, 31), "31 Dec 2025"),
        ("latest_quarter", "soon", "soon"),
        ("sector", "FINANCIAL SERVICES", "Financial services"),
        ("industry", "OIL & GAS E&P", "Oil & gas E&P"),
        ("name", "IBM", "IBM"),
    ],
)
def test_a_value_is_short(column: str, value: float | str | date, text: str) -> None:
    found = shown(COLUMNS[column], value)
    assert found is not None
    assert found.text.replace(_GAP, " ").replace("\u2212", "-") == text


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_exact_integer_is_always_there(number: int) -> None:
    found = shown(COLUMNS["revenue_ttm"], number)
    assert found is not None
    assert int(found.exact) == number


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(NUMBERS))
def test_an_exact_number_is_always_there_and_its_text_is_short(number: float, field: Field) -> None:
    found = shown(field, number)
    assert found is not None
    assert float(found.exact) == number
    assert len(found.text) <= 14


def test_no_value_is_none() -> None:
    assert shown(COLUMNS["pe_ratio"], None) is None


def test_the_unit_is_told_on_hover() -> None:
    found = shown(COLUMNS["market_capitalization"], 3_490_123_456_789)
    assert found is not None
    assert found.title == "3,490,123,456,789 USD"


@pytest.mark.parametrize(("fraction", "text"), [(0.041, "+4.1 %"), (-0.0043, "-0.43 %"), (0.0, "0.00 %")])
def test_a_change_has_its_sign(fraction: float, text: str) -> None:
    assert change(fraction).replace(_GAP, " ").replace("\u2212", "-") == text


@given(st.floats(-1e15, 1e15), st.floats(-1e15, 1e15), st.sampled_from(NUMBERS))
def test_values_that_differ_look_different_beside_each_other(before: float, after: float, field: Field) -> None:
    one, other = shown_pair(field, before, after)
    assert one is not None
    assert other is not None
    is_close = abs(before - after) <= 1e-12 * max(abs(before), abs(after))
    assert (one.text != other.text) or is_close or max(abs(before), abs(after)) < 1e-12
    if before == after:
        assert (one, other) == (shown(field, before), shown(field, after))


@pytest.mark.parametrize(
    ("column", "before", "after", "texts"),
    [
        ("shares_outstanding", 154_040_000, 153_950_000, ("154.0 M", "153.9 M")),
        ("shares_outstanding", 153_998_000, 153_901_000, ("154.0 M", "153.9 M")),
        ("beta", 1.103, 1.096, ("1.103", "1.096")),
        ("market_capitalization", 1_000, 2_000_000, ("1,000", "2.00 M")),
    ],
)
def test_before_and_after_have_as_many_digits_as_it_takes(
    column: str, before: float, after: float, texts: tuple[str, str]
) -> None:
    one, other = shown_pair(COLUMNS[column], before, after)
    assert one is not None
    assert other is not None
    assert (one.text.replace(_GAP, " "), other.text.replace(_GAP, " ")) == texts


def test_a_value_in_per_cent_changes_by_points() -> None:
    growth, eps = COLUMNS["quarterly_earnings_growth_yoy"], COLUMNS["eps"]
    found = difference(growth, -0.017, -0.041, -1.41)
    assert found is not None
    assert found.text.replace(_GAP, " ") == "\u22122.4 pp"
    assert found.exact == -0.024
    assert "\u2212141" in found.title
    insiders = difference(COLUMNS["percent_insiders"], 0, 2.5, None)
    assert insiders is not None
    assert insiders.text.replace(_GAP, " ") == "+2.5 pp"
    relative = difference(eps, 1.0, 1.5, 0.5)
    assert relative is not None
    assert (relative.text.replace(_GAP, " "), relative.exact, relative.title) == ("+50.0 %", 0.5, "")
    assert difference(eps, 0, 1.5, None) is None


def test_a_change_that_is_there_is_not_shown_as_none() -> None:
    assert change(-0.00000123).replace(_GAP, " ") == "\u22120.0001 %"


def test_capitals_are_quiet_only_where_all_are() -> None:
    assert [quiet(one) for one in ("REIT - RETAIL", "Real Estate", "")] == ["REIT - retail", "Real Estate", ""]


@given(st.integers(0, 10**18))
def test_a_larger_number_never_shows_a_smaller_scale(number: int) -> None:
    scales = " MBT"
    one, larger = scaled(number)[-1], scaled(number * 10)[-1]
    assert max(scales.find(one), 0) <= max(scales.find(larger), 0) or "e" in scaled(number * 10)
