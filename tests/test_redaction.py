"""Redaction: whatever the spelling of a secret, what was redacted does not contain it, nor much of it."""

import json
from collections.abc import Callable
from html import escape
from urllib.parse import quote, unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.redaction import HIDDEN, PART, Redaction, without_lookalikes

KEY = "S3CR3TK3YOFOURS1"
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
OF_THE_API = st.text(CAPITALS, min_size=16, max_size=16)
OTHERS = st.text(st.characters(codec="ascii", min_codepoint=0x21, max_codepoint=0x7E), min_size=PART, max_size=40)

SPELLINGS: list[Callable[[str], str]] = [
    str,
    str.lower,
    str.upper,
    lambda letter: f"%{ord(letter):02X}",
    lambda letter: f"%{ord(letter):02x}",
    lambda letter: f"%25{ord(letter):02x}",
    lambda letter: f"\\u{ord(letter):04x}",
    lambda letter: f"\\u{ord(letter.lower()):04X}",
    lambda letter: f"\\\\u{ord(letter):04x}",
    lambda letter: f"\\x{ord(letter):02x}",
    lambda letter: f"%5Cu{ord(letter):04x}",
    lambda letter: f"&#{ord(letter)};",
    lambda letter: f"&#x{ord(letter):X};",
    lambda letter: quote(letter, safe=""),
    lambda letter: json.dumps(letter)[1:-1],
    lambda letter: repr(letter)[1:-1],
    escape,
]
NO_ESCAPES = st.text(st.characters(codec="utf-8", exclude_characters="%&\\"), max_size=20)


@st.composite
def spelt(draw: st.DrawFn, keys: st.SearchStrategy[str]) -> tuple[str, str]:
    """A key, and a spelling of it in which each letter may be written in another way."""
    key = draw(keys)
    ways = draw(st.lists(st.sampled_from(SPELLINGS), min_size=len(key), max_size=len(key)))
    return key, "".join(way(letter) for way, letter in zip(ways, key, strict=True))


def plain(text: str) -> str:
    """Return the text as someone reads it who looks for the key."""
    for _ in range(3):
        text = unquote(text)
        for character in map(chr, range(0x21, 0x7F)):
            for way in SPELLINGS[6:13]:
                text = text.replace(way(character), character)
    return text.lower()


@given(spelt(OF_THE_API), st.text(max_size=20), st.text(max_size=20))
def test_a_key_of_the_api_is_hidden_however_it_is_spelt_and_whatever_is_around_it(
    pair: tuple[str, str], before: str, after: str
) -> None:
    key, spelling = pair
    redact = Redaction([key])

    shown = redact(before + spelling + after)

    assert HIDDEN in shown
    assert key.lower() not in plain(shown)
    assert key.lower()[-PART:] not in plain(shown)
    assert redact.finds_key((before + spelling + after).encode(errors="surrogatepass"))


@given(spelt(OTHERS), NO_ESCAPES, NO_ESCAPES)
def test_any_other_key_is_hidden_too(pair: tuple[str, str], before: str, after: str) -> None:
    key, spelling = pair

    shown = Redaction([key])(before + spelling + after)

    assert spelling not in shown.replace(HIDDEN, "\0")
    assert shown == before + HIDDEN + after or key.lower() not in shown.replace(HIDDEN, "\0").lower()


@given(OF_THE_API, st.integers(0, 16), st.integers(0, 16))
def test_a_part_of_a_key_is_hidden_from_eight_letters_on(key: str, start: int, stop: int) -> None:
    part = key[start:stop]
    text = f"we saw {part!r}, and no more"

    assert Redaction([key])(text) == (f"we saw '{HIDDEN}', and no more" if len(part) >= PART else text)


@pytest.mark.parametrize("start", range(9))
def test_every_part_of_eight_letters_is_found(start: int) -> None:
    part = KEY[start : start + PART]

    assert Redaction([KEY])(f"({part})") == f"({HIDDEN})"
    assert Redaction([KEY]).finds_key(part.encode())


@given(OF_THE_API, NO_ESCAPES)
def test_a_text_without_the_key_stays_as_it_is(key: str, text: str) -> None:
    assume(not any(key[at : at + PART].lower() in text.lower() for at in range(9)))

    assert Redaction([key])(text) == text
    assert not Redaction([key]).finds_key(text.encode())


@given(st.text())
def test_without_secrets_every_text_stays_as_it_is(text: str) -> None:
    assert Redaction()(text) == Redaction(["", "abc"])(text) == text


@pytest.mark.parametrize(
    ("key", "text", "shown"),
    [
        ("demo", "The **demo** API key is for DEMO purposes", "The ******* API key is for *** purposes"),
        ("demo", "a demonstration of democracy", "a demonstration of democracy"),
        ("abc", "abc", "abc"),
        ("sandbox", 'apikey=sandbox&x="sandbox.db"', 'apikey=***&x="***.db"'),
    ],
)
def test_a_short_key_is_hidden_only_as_a_word(key: str, text: str, shown: str) -> None:
    assert Redaction([key])(text) == shown
    assert not Redaction([key]).finds_key(text.encode())


def test_an_address_is_hidden_whole_and_its_beginning_stays() -> None:
    redact = Redaction(addresses=["https://hc-ping.com/s3cr3t"])

    assert redact("POST HTTPS://hc-ping.com/s3cr3t/fail failed") == f"POST {HIDDEN}/fail failed"
    assert redact("GET https%3A%2F%2Fhc-ping.com%2Fs3cr3t") == f"GET {HIDDEN}"
    assert redact("https://hc-ping.com/docs") == "https://hc-ping.com/docs"


@pytest.mark.parametrize("address", ["", "a", "abc", "topic"])
def test_a_short_address_blanks_out_no_words(address: str) -> None:
    assert Redaction(addresses=[address])("PIPELINE_PING_URL: invalid URL abc, topics") == (
        "PIPELINE_PING_URL: invalid URL abc, topics"
    )


def test_a_key_within_an_address_ends_nothing_early() -> None:
    address = f"https://example.com/{KEY}/private"

    assert Redaction([KEY], addresses=[address])(f"POST {address}?x") == f"POST {HIDDEN}?x"


def test_what_each_of_two_hides_both_together_hide() -> None:
    both = Redaction([KEY]) | Redaction(["demo"], addresses=["ntfy://topic"])

    assert both(f"{KEY} demo ntfy://topic") == f"{HIDDEN} {HIDDEN} {HIDDEN}"


@pytest.mark.parametrize("text", ["%25" * 50_000 + "41", "\\" * 100_000 + "u0041", "&" * 100_000, "&#x41;" * 50_000])
def test_hostile_escapes_are_read_a_bounded_number_of_times(text: str) -> None:
    assert Redaction([KEY])(text) == text


@pytest.mark.parametrize("key", [KEY, KEY.lower(), "ABCDEFGHIJKLMNOP", "0123456789ABCDEF"])
def test_what_looks_like_a_key_is_hidden(key: str) -> None:
    assert without_lookalikes(f"unknown plan '{key}', PIPELINE_{key}__X, /{key}/") == (
        f"unknown plan '{HIDDEN}', PIPELINE_{HIDDEN}__X, /{HIDDEN}/"
    )


@pytest.mark.parametrize(
    "text",
    ["PIPELINE_STATUS__STALE_AFTER_HOURS", "internationalisation", "America/New_York", "7d", "1234567890123456789"],
)
def test_what_does_not_look_like_a_key_stays(text: str) -> None:
    assert without_lookalikes(text) == text


@pytest.mark.parametrize("key", ["${ALPHAVANTAGE_API_KEY}", "https://www.alphavantage.co/query?apikey=S3CR3TK3"])
def test_the_name_of_the_variable_is_shown_although_it_is_in_the_key(key: str) -> None:
    """An error has to say which variable is wrong."""
    redact = Redaction([key])

    assert redact("ALPHAVANTAGE_API_KEY: invalid API key") == "ALPHAVANTAGE_API_KEY: invalid API key"
    assert "S3CR3TK3" not in redact(f"ALPHAVANTAGE_API_KEY={key}")
