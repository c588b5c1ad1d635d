"""Key forms: what cannot be a key is refused with the reason; what differs from the usual is noted; no key is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.settings.api_keys import api_key
from pipeline.settings.environment import API_KEY, Environment
from pipeline.settings.key_forms import mistake_in, unusual_form
from tests.support.configurations import refusal

KEY = "ABCDEFGH12345678"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f'"{KEY}"', "quotes"),
        (f"'{KEY}'", "quotes"),
        (f"\u201c{KEY}\u201d", "quotes"),
        (f'{KEY}"', "quotes"),
        ("${ALPHAVANTAGE_API_KEY}", "variable"),
        ("$ALPHAVANTAGE_API_KEY", "variable"),
        ("$(cat key)", "variable"),
        ("%ALPHAVANTAGE_API_KEY%", "variable"),
        ("{{ secrets.KEY }}", "variable"),
        (f"ALPHAVANTAGE_API_KEY={KEY}", "a name is part of it"),
        (f"export AV_KEY={KEY}", "a name is part of it"),
        (f"apikey={KEY}", "a name is part of it"),
        (f"https://www.alphavantage.co/query?apikey={KEY}", "URL"),
        ("ABCDEFGH 12345678", "blank"),
        ("ABCDEFGH\t12345678", "blank"),
        (f"{KEY}\nABCDEFGH12345679", "more than one line"),
        ("ABCDEFGH\u00e912345678", "ASCII"),
        ("ABCDEFGH\u200b12345678", "ASCII"),
        ("ABCDEFGH\u00a012345678", "ASCII"),
        ("ABCDEFGH\x0012345678", "ASCII"),
        ("A" * 1_001, "more than 1,000 characters"),
        ("key" * 100_000, "more than 1,000 characters"),
    ],
)
def test_what_cannot_be_a_key_is_refused_with_the_reason_and_without_the_key(text: str, why: str) -> None:
    line = refusal(lambda: api_key(Environment({API_KEY: text})))

    assert line.startswith(f"{API_KEY}: invalid API key: ")
    assert why in line
    assert ";" in line
    assert not any(part in line for part in ("ABCD", "1234", "${", "%", "{{"))


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1) | st.sampled_from(["demo", "a+b/c=="]))
def test_letters_and_digits_may_be_a_key(key: str) -> None:
    assert mistake_in(key) is None
    assert api_key(Environment({API_KEY: f" {key}\r\n"})) == key


@given(st.text())
def test_any_text_is_a_key_or_refused(text: str) -> None:
    key = text.strip()
    if key and mistake_in(key) is None:
        assert key.isascii()
        assert key.isprintable()
        assert " " not in key


def test_a_key_of_the_usual_form_is_not_noted() -> None:
    assert unusual_form(KEY) is None


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("YOUR_API_KEY", "placeholder"),
        ("<your-key-here>", "placeholder"),
        ("XXXXXXXXXXXXXXXX", "placeholder"),
        ("changeme", "placeholder"),
        ("demo", "examples"),
        (KEY[:-1], "15 characters"),
        (KEY.lower(), "16 capital letters and digits"),
    ],
)
def test_a_key_of_another_form_is_described(key: str, why: str) -> None:
    form = unusual_form(key)

    assert form is not None
    assert why in form
    assert key == "demo" or key not in form
