"""Text for people: lists and lines are shortened, and say so."""

import pytest

from pipeline.text import cut, few


@pytest.mark.parametrize(
    ("names", "text"), [([], ""), (["A"], "A"), (["A", "B"], "A, B"), (["A", "B", "C", "D"], "A, B and 2 more")]
)
def test_a_list_names_a_few_and_counts_the_rest(names: list[str], text: str) -> None:
    assert few(names, 2) == text


@pytest.mark.parametrize(
    ("text", "shown"), [("12345678", "12345678"), ("123456789", "12345..."), ("1234 6789", "1234...")]
)
def test_a_longer_text_ends_in_dots(text: str, shown: str) -> None:
    assert cut(text, 8) == shown
