"""Symbols: valid texts, and which symbols name the same company."""

import pytest

from pipeline.model.symbols import parse_symbol, same_company
from tests.support.recordings import RECORDINGS, needs_recordings


@pytest.mark.parametrize(
    "text", ["AAPL", "aapl", "BRK-B", "BRK.B", "-P-HIZ", "AGZ:BAT", "BC/PB", "NXT(EXP20091224)", "0700.HK"]
)
def test_every_form_that_the_api_lists_is_valid(text: str) -> None:
    assert parse_symbol(text) == text.upper()


@pytest.mark.parametrize(
    "text", ["", " ", "A B", "../x", "A/../B", "A\n", "\x1b[31m", "A" * 33, "ß", "A&apikey=x", "-", "."]
)
def test_an_invalid_symbol_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"symbol .*BRK-B"):
        parse_symbol(text)


@needs_recordings
def test_all_but_one_of_the_listed_symbols_are_valid() -> None:
    lines = (RECORDINGS / "listing_status_active.csv").read_text(encoding="utf-8").splitlines()[1:]
    refused = [line for line in lines if not is_symbol(line.split(",")[0])]
    assert [line.split(",")[0] for line in refused] == ["NYCB- PR-U"]


def is_symbol(text: str) -> bool:
    try:
        parse_symbol(text)
    except ValueError:
        return False
    return True


def test_a_dot_and_a_hyphen_name_the_same_company() -> None:
    assert same_company("BRK.B", "BRK-B")
    assert same_company("BRK-B", "brk.b")
    assert not same_company("BRK.B", "BRK.A")
    assert not same_company("BRK.B", None)
