"""Universe: the symbols that are listed, and those that are covered."""

import csv
from string import ascii_uppercase

import pytest

from pipeline.model.symbols import Symbol, parse_symbol
from pipeline.sandbox.companies import Companies
from pipeline.sandbox.universe import Universe
from tests.support.companies import COMPANIES, MONDAY, is_covered, overview
from tests.support.recordings import RECORDINGS

FAMOUS = [Symbol(name) for name in ("AAPL", "GOOG", "TSLA", "MSFT", "PEP", "IBM", "NVDA", "AMZN", "META", "KO")]
REAL_NAMES = ["Apple", "Alphabet", "Google", "Tesla", "Microsoft", "Pepsi", "Machines", "NVIDIA", "Amazon", "Coca"]
LISTING = RECORDINGS / "listing_status_active.csv"


def test_the_list_has_hundreds_of_symbols_and_the_special_ones() -> None:
    symbols = COMPANIES.symbols

    assert len(symbols) == len(set(symbols)) >= 600
    assert [parse_symbol(symbol) for symbol in symbols] == list(symbols)
    assert "QUVEX-B" in symbols
    assert not set(symbols) & set(FAMOUS)
    assert sum(not overview(symbol, MONDAY)["Name"].isascii() for symbol in symbols if is_covered(symbol)) == 1
    assert "s Tømmerværk\N{NO-BREAK SPACE}A/S" in overview(Symbol("OXNEV"), MONDAY)["Name"]
    assert 0.015 < sum(not is_covered(symbol) for symbol in symbols) / len(symbols) < 0.03


@pytest.mark.skipif(not LISTING.exists(), reason="the recordings are not here")
def test_no_listed_symbol_is_a_real_one() -> None:
    with LISTING.open() as lines:
        real = {row["symbol"] for row in csv.DictReader(lines)}

    assert not real & set(COMPANIES.symbols)


@pytest.mark.parametrize("seed", range(10))
def test_well_known_symbols_are_covered_by_invented_companies(seed: int) -> None:
    companies = Companies(seed)
    for symbol in FAMOUS:
        name = overview(symbol, MONDAY, companies)["Name"]
        assert not any(word.casefold() in name.casefold() for word in (*REAL_NAMES, symbol))


def test_most_other_symbols_are_covered_but_none_of_another_exchange() -> None:
    others = [Symbol(f"{a}{b}{c}") for a in "ABCDEFGHIJ" for b in "KLMNOPQRST" for c in ascii_uppercase]

    covers = Universe(0).covers
    assert 0.03 < sum(not covers(symbol) for symbol in others) / len(others) < 0.05
    assert not covers(Symbol("XYZ.FRK"))
    assert not covers(Symbol("AAPL.LON"))
