"""Companies: each document is complete, spelled as the API does, and a function of seed, symbol and day."""

import csv
import json
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.document import Overview, join_document, split_document
from pipeline.model.fields import CATALOGUE, FIELDS, Kind
from pipeline.model.symbols import Symbol
from pipeline.model.values import is_valid
from pipeline.sandbox.companies import Companies
from tests.support.companies import COMPANIES, MONDAY, any_day, any_symbol, is_covered, overview


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
def test_a_day_is_the_same_whichever_days_came_before(symbol: Symbol, days: list[date]) -> None:
    before = [COMPANIES.document(symbol, day) for day in days]

    assert before[-1] == Companies().document(symbol, days[-1])


@pytest.mark.process
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


def test_a_unit_has_a_complete_document_without_figures() -> None:
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


def test_a_class_share_with_a_dot_gets_a_hyphen() -> None:
    assert overview(Symbol("BRK.B"), MONDAY) == overview(Symbol("BRK-B"), MONDAY)
    assert overview(Symbol("BRK.B"), MONDAY)["Symbol"] == "BRK-B"


def test_the_listing_is_the_apis_csv() -> None:
    text = COMPANIES.listing(MONDAY)

    assert text.startswith("symbol,name,exchange,assetType,ipoDate,delistingDate,status\n")
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["symbol"] for row in rows] == sorted(COMPANIES.symbols)
    assert {(row["delistingDate"], row["status"]) for row in rows} == {("null", "Active")}
    funds = [Symbol(row["symbol"]) for row in rows if row["assetType"] == "ETF"]
    assert 3 <= len(funds) <= 20
    assert not any(is_covered(fund) for fund in funds)
    for row in rows:
        received = COMPANIES.document(Symbol(row["symbol"]), MONDAY)
        if received is not None and row["symbol"].isalpha():
            assert row["name"] == received["Name"]


def test_the_listing_of_an_earlier_day_lacks_later_symbols() -> None:
    early = list(csv.DictReader(COMPANIES.listing(date(2000, 1, 1)).splitlines()))

    assert 0 < len(early) < len(COMPANIES.symbols)
    assert max(row["ipoDate"] for row in early) <= "2000-01-01"
