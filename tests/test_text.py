"""Text for people: lists and lines are shortened, and say so."""

import pytest

from pipeline.text import count, cut, few, quote_formula


@pytest.mark.parametrize(
    ("names", "text"), [([], ""), (["A"], "A"), (["A", "B"], "A, B"), (["A", "B", "C", "D"], "A, B and 2 more")]
)
def test_a_list_names_a_few_and_counts_the_rest(names: list[str], text: str) -> None:
    assert few(names, 2) == text


def test_a_count_agrees_with_its_noun() -> None:
    assert [count(number, "line") for number in (0, 1, 2_000)] == ["0 lines", "1 line", "2,000 lines"]
    assert [count(number, "entry", "entries") for number in (1, 2)] == ["1 entry", "2 entries"]


@pytest.mark.parametrize(
    ("text", "shown"), [("12345678", "12345678"), ("123456789", "12345..."), ("1234 6789", "1234...")]
)
def test_a_longer_text_ends_in_dots(text: str, shown: str) -> None:
    assert cut(text, 8) == shown


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20"])
def test_a_text_that_a_spreadsheet_would_run_is_quoted(first: str) -> None:
    assert quote_formula(f"{first}1+1") == f"'{first}1+1"
    assert quote_formula(f"1{first}1") == f"1{first}1"
