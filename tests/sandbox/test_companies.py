import csv
import json
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from string import ascii_uppercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.document import Overview, join_document, split_document
from pipeline.model.fields import CATALOGUE, FIELDS, Kind
from pipeline.model.symbols import Symbol, parse_symbol
from pipeline.model.values import is_valid
from pipeline.sandbox.companies import Companies

COMPANIES = Companies()
COMMON = [symbol for symbol in COMPANIES.symbols if COMPANIES.document(symbol, date(2026, 5, 4))][5:65]
"""Sixty companies with figures, and without peculiarities."""
FAMOUS = [Symbol(name) for name in ("AAPL", "GOOG", "TSLA", "MSFT", "PEP", "IBM", "NVDA", "AMZN", "META", "KO")]
LISTING = Path(__file__).parents[3] / "shared" / "recordings" / "listing_status_active.csv"
MONDAY = date(2026, 5, 4)

Year = dict[Symbol, list[tuple[date, dict[str, str]]]]

any_symbol = st.one_of(
    st.sampled_from(COMPANIES.symbols),
    st.from_regex(r"[A-Z]{1,5}(-[A-Z]{1,2})?", fullmatch=True).map(parse_symbol),
)
any_day = st.dates(date(1990, 1, 1), date(2099, 12, 31))


def overview(symbol: Symbol, day: date, companies: Companies = COMPANIES) -> dict[str, str]:
    found = companies.document(symbol, day)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def year() -> Year:
    """Every weekday of a year, of sixty companies: 261 snapshots each."""
    days = [date(2025, 5, 5) + timedelta(days) for days in range(365)]
    weekdays = [day for day in days if day.weekday() < 5]
    return {symbol: [(day, overview(symbol, day)) for day in weekdays] for symbol in COMMON}


# Documents


@given(any_symbol, any_day)
def test_a_document_has_the_catalogues_fields_and_the_apis_spelling(symbol: Symbol, day: date) -> None:
    received = COMPANIES.document(symbol, day)
    if received is None:
        return

    assert list(received) == [field.name for field in CATALOGUE]
    assert all(type(value) is str and is_valid(FIELDS[name], value) for name, value in received.items())
    parts = split_document(Overview(symbol, received))
    assert parts.extra is None
    assert join_document(symbol, parts) == received


@given(any_symbol, any_day)
def test_numbers_have_no_more_digits_than_the_apis(symbol: Symbol, day: date) -> None:
    received = COMPANIES.document(symbol, day)
    if received is None:
        return

    numbers = [received[field.name] for field in CATALOGUE if field.kind in (Kind.INTEGER, Kind.REAL)]
    for number in numbers:
        if number not in ("None", "-"):
            assert re.fullmatch(r"-?[0-9]{1,13}(\.[0-9]{0,3}[1-9])?", number)
            assert number != "-0"


@given(any_symbol, st.lists(any_day, min_size=1, max_size=5))
def test_a_day_is_the_same_whichever_days_were_asked_before(symbol: Symbol, days: list[date]) -> None:
    asked_before = [COMPANIES.document(symbol, day) for day in days]

    assert asked_before[-1] == Companies().document(symbol, days[-1])


def test_a_day_is_the_same_in_any_process() -> None:
    program = (
        "import json; from datetime import date; from pipeline.sandbox.companies import Companies; "
        "print(json.dumps([Companies(7).document(s, date(2026, 5, 4)) for s in ('AAPL', 'QUVEX', 'OXNEV', 'BRK.B')]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}

    answer = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=Path(__file__).parents[2], check=True, capture_output=True
    )

    here = [Companies(7).document(Symbol(symbol), MONDAY) for symbol in ("AAPL", "QUVEX", "OXNEV", "BRK.B")]
    assert json.loads(answer.stdout) == here


def test_another_seed_invents_other_companies() -> None:
    one, other = overview(Symbol("AAPL"), MONDAY, Companies(1)), overview(Symbol("AAPL"), MONDAY, Companies(2))

    assert one["Name"] != other["Name"]
    assert one["MarketCapitalization"] != other["MarketCapitalization"]
    assert Companies(1).symbols != Companies(2).symbols


@given(any_symbol, any_day)
def test_a_description_says_that_the_company_is_invented(symbol: Symbol, day: date) -> None:
    received = COMPANIES.document(symbol, day)
    if received is not None:
        assert "is an invented company" in received["Description"]
        assert f"nothing to do with any real company of the symbol {received['Symbol']}." in received["Description"]


@given(any_symbol, any_day)
def test_the_figures_agree_with_one_another(symbol: Symbol, day: date) -> None:
    received = COMPANIES.document(symbol, day)
    if received is None or received["LatestQuarter"] == "None":
        return
    figures = {
        name: float(value)
        for name, value in received.items()
        if FIELDS[name].unit and value[-1:].isdigit() and FIELDS[name].unit != "date"
    }

    price = figures["MarketCapitalization"] / figures["SharesOutstanding"]
    assert figures["52WeekLow"] - 0.005 <= price <= figures["52WeekHigh"] + 0.005
    for average in ("50DayMovingAverage", "200DayMovingAverage"):
        assert figures["52WeekLow"] <= figures[average] <= figures["52WeekHigh"]
    assert received["PERatio"].replace("None", "-") == received["TrailingPE"]
    assert ("PERatio" in figures) == (figures["EPS"] > 0)
    if "PERatio" in figures:
        assert figures["PERatio"] == pytest.approx(price / figures["EPS"], rel=1e-3, abs=0.006)
    assert -1 <= figures["ProfitMargin"] <= 1
    assert -1 <= figures["OperatingMarginTTM"] <= 1
    assert (figures["EPS"] > 0) == (figures["ProfitMargin"] > 0) or abs(figures["EPS"]) < 0.1
    assert figures["SharesFloat"] <= figures["SharesOutstanding"]
    assert figures["GrossProfitTTM"] <= figures["RevenueTTM"]
    assert (received["DividendYield"] == "None") == (received["DividendDate"] == "None")
    assert received["ExDividendDate"] <= received["DividendDate"]
    assert received["LatestQuarter"] < day.isoformat()


# From day to day


def test_nothing_moves_on_a_weekend() -> None:
    friday = date(2026, 5, 8)
    for symbol in COMPANIES.symbols:
        assert len({str(COMPANIES.document(symbol, friday + timedelta(days))) for days in range(3)}) == 1


def test_fields_move_as_often_as_was_measured(year: Year) -> None:
    moved: Counter[str] = Counter()
    had: Counter[str] = Counter()
    for snapshots in year.values():
        for (_, before), (_, after) in pairwise(snapshots):
            if before != after:
                had.update(name for name in after if after[name] not in ("None", "-"))
                moved.update(name for name in after if after[name] != before[name])
    often = {name: moved[name] / had[name] for name in had}

    for name, measured in {
        "MarketCapitalization": 0.87,
        "PERatio": 0.88,
        "TrailingPE": 0.81,
        "50DayMovingAverage": 0.70,
        "200DayMovingAverage": 0.69,
        "DividendYield": 0.47,
        "EPS": 0.44,
        "DilutedEPSTTM": 0.33,
        "AnalystTargetPrice": 0.28,
        "ReturnOnEquityTTM": 0.17,
    }.items():
        assert measured * 0.8 < often[name] < measured * 1.25, name
    for name, measured in {
        "52WeekHigh": 0.09,
        "52WeekLow": 0.06,
        "PriceToSalesRatioTTM": 0.06,
        "PriceToBookRatio": 0.06,
        "ForwardPE": 0.06,
        "EVToRevenue": 0.04,
        "EVToEBITDA": 0.04,
        "SharesOutstanding": 0.04,
        "PEGRatio": 0.04,
        "Beta": 0.04,
    }.items():
        assert measured * 0.4 < often[name] < measured * 1.6, name
    for name in ("BookValue", "ProfitMargin", "RevenueTTM", "LatestQuarter", "DividendPerShare", "ExDividendDate"):
        assert 0.005 < often[name] < 0.03, name
    for field in CATALOGUE:
        if field.unit == "":
            assert moved[field.name] == 0


def test_a_quarter_is_shown_some_weeks_after_its_end_and_stays(year: Year) -> None:
    waits = []
    for snapshots in year.values():
        quarters = [received["LatestQuarter"] for _, received in snapshots]
        assert quarters == sorted(quarters)
        assert len(set(quarters)) in (4, 5, 6)
        waits += [
            (day - date.fromisoformat(after["LatestQuarter"])).days
            for (_, before), (day, after) in pairwise(snapshots)
            if before["LatestQuarter"] != after["LatestQuarter"]
        ]

    assert min(waits) >= 10
    assert max(waits) <= 60
    assert max(waits) - min(waits) >= 35


def test_a_new_quarter_brings_new_figures(year: Year) -> None:
    for snapshots in year.values():
        for (_, before), (_, after) in pairwise(snapshots):
            if before["LatestQuarter"] != after["LatestQuarter"]:
                assert before["RevenueTTM"] != after["RevenueTTM"]


def test_a_quarter_is_restated_now_and_then(year: Year) -> None:
    quarters = sum(len({received["LatestQuarter"] for _, received in snapshots}) for snapshots in year.values())
    restated = [
        (before, after)
        for snapshots in year.values()
        for (_, before), (_, after) in pairwise(snapshots)
        if before["LatestQuarter"] == after["LatestQuarter"] and before["RevenueTTM"] != after["RevenueTTM"]
    ]

    assert 0.02 < len(restated) / quarters < 0.12
    for before, after in restated:
        assert float(after["RevenueTTM"]) == pytest.approx(float(before["RevenueTTM"]), rel=0.04)


# Symbols


def test_the_list_has_hundreds_of_symbols_and_the_peculiar_ones() -> None:
    symbols = COMPANIES.symbols

    assert len(symbols) == len(set(symbols)) >= 600
    assert [parse_symbol(symbol) for symbol in symbols] == list(symbols)
    assert "QUVEX-B" in symbols
    assert not set(symbols) & set(FAMOUS)
    assert sum(not overview(symbol, MONDAY)["Name"].isascii() for symbol in symbols if covered(symbol)) == 1
    assert "s Tømmerværk\N{NO-BREAK SPACE}A/S" in overview(Symbol("OXNEV"), MONDAY)["Name"]
    assert 0.015 < sum(not covered(symbol) for symbol in symbols) / len(symbols) < 0.03


def covered(symbol: Symbol, companies: Companies = COMPANIES) -> bool:
    return companies.document(symbol, MONDAY) is not None


@pytest.mark.skipif(not LISTING.exists(), reason="the recordings are not here")
def test_no_listed_symbol_is_a_real_one() -> None:
    with LISTING.open() as lines:
        real = {row["symbol"] for row in csv.DictReader(lines)}

    assert not real & set(COMPANIES.symbols)


def test_a_unit_has_a_whole_document_and_no_figures() -> None:
    units = [symbol for symbol in COMPANIES.symbols if symbol.endswith("-U")]

    assert len(units) == 2
    for unit in units:
        received = overview(unit, MONDAY)
        figures = {received[field.name] for field in CATALOGUE if field.unit}
        assert figures == {"None", "0", "-"}
        assert received["Name"] == unit


def test_a_class_share_belongs_to_the_same_company() -> None:
    company, share = overview(Symbol("QUVEX"), MONDAY), overview(Symbol("QUVEX-B"), MONDAY)

    assert share["Name"] == f"{company['Name']} Class B"
    assert share["CIK"] == company["CIK"]
    assert share["MarketCapitalization"] != company["MarketCapitalization"]


def test_a_class_share_with_a_dot_is_answered_with_a_hyphen() -> None:
    assert overview(Symbol("BRK.B"), MONDAY) == overview(Symbol("BRK-B"), MONDAY)
    assert overview(Symbol("BRK.B"), MONDAY)["Symbol"] == "BRK-B"


@pytest.mark.parametrize("seed", range(10))
def test_well_known_symbols_are_covered_by_companies_that_are_not_those(seed: int) -> None:
    real = (
        "Apple",
        "Alphabet",
        "Google",
        "Tesla",
        "Microsoft",
        "Pepsi",
        "Business Machines",
        "NVIDIA",
        "Amazon",
        "Coca",
    )
    for symbol in FAMOUS:
        name = overview(symbol, MONDAY, Companies(seed))["Name"]
        assert not any(word.casefold() in name.casefold() for word in (*real, symbol))


def test_few_other_symbols_are_not_covered_and_none_on_another_exchange() -> None:
    others = [Symbol(f"{a}{b}{c}") for a in "ABCDEFGHIJ" for b in "KLMNOPQRST" for c in ascii_uppercase]

    assert 0.03 < sum(not covered(symbol) for symbol in others) / len(others) < 0.05
    assert not covered(Symbol("XYZ.FRK"))
    assert not covered(Symbol("AAPL.LON"))


def test_the_listing_is_the_apis_csv() -> None:
    text = COMPANIES.listing(MONDAY)

    assert text.startswith("symbol,name,exchange,assetType,ipoDate,delistingDate,status\n")
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["symbol"] for row in rows] == sorted(COMPANIES.symbols)
    assert {(row["delistingDate"], row["status"]) for row in rows} == {("null", "Active")}
    funds = [Symbol(row["symbol"]) for row in rows if row["assetType"] == "ETF"]
    assert 3 <= len(funds) <= 20
    assert not any(covered(fund) for fund in funds)
    for row in rows:
        received = COMPANIES.document(Symbol(row["symbol"]), MONDAY)
        if received is not None and row["symbol"].isalpha():
            assert row["name"] == received["Name"]


def test_the_listing_of_an_earlier_day_lacks_what_came_later() -> None:
    early = list(csv.DictReader(COMPANIES.listing(date(2000, 1, 1)).splitlines()))

    assert 0 < len(early) < len(COMPANIES.symbols)
    assert max(row["ipoDate"] for row in early) <= "2000-01-01"
