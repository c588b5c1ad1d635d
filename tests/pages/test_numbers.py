"""Numbers: short as people read them, and exact to the last digit for programs."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.fields import CATALOGUE, COLUMNS, Field, Kind
from pipeline.pages.numbers import change, quiet, scaled, shown

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


def test_capitals_are_quiet_only_where_all_are() -> None:
    assert [quiet(one) for one in ("REIT - RETAIL", "Real Estate", "")] == ["REIT - retail", "Real Estate", ""]


@given(st.integers(0, 10**18))
def test_a_larger_number_never_shows_a_smaller_scale(number: int) -> None:
    scales = " MBT"
    one, larger = scaled(number)[-1], scaled(number * 10)[-1]
    assert max(scales.find(one), 0) <= max(scales.find(larger), 0) or "e" in scaled(number * 10)
