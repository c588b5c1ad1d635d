"""Responses: each refusal has its meaning, and only an overview of the requested symbol is an overview."""

import csv
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.api.errors import (
    ApiError,
    BadRequest,
    KeyRefused,
    NotInPlan,
    NotJson,
    OtherSymbol,
    QuotaEnded,
    Throttled,
    Unavailable,
    UnknownSymbol,
    Unrecognised,
)
from pipeline.api.responses import read_response, strict_json
from pipeline.model.symbols import Symbol
from tests.support.recordings import ERRORS, needs_recordings

IBM = Symbol("IBM")

MEANINGS: dict[str, tuple[type[ApiError], bool]] = {
    "throttle minute/day": (Throttled, True),
    "throttle day": (QuotaEnded, False),
    "throttle day; BODY CONTAINS THE API KEY": (QuotaEnded, False),
    "entitlement (do not retry)": (NotInPlan, False),
    "bad request (here: EMPTY symbol)": (BadRequest, False),
    "bad request": (BadRequest, False),
    "no coverage / unknown symbol": (UnknownSymbol, False),
    "transient 5xx": (Unavailable, False),
    "throttle burst (free); the SAME text is also reported for daily quota and for premium gates": (Throttled, True),
    "throttle burst (premium); number varies 10/20/30 by plan": (Throttled, False),
    "auth (do not retry)": (KeyRefused, False),
    "auth (demo key used for other symbol)": (KeyRefused, False),
    "throttle": (Throttled, True),
}


def refusal(status: int, body: bytes, **headers: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read_response(IBM, status, {name.replace("_", "-"): text for name, text in headers.items()}, body)
    return caught.value


@needs_recordings
def test_every_recorded_refusal_has_its_listed_meaning() -> None:
    with (ERRORS / "MEANING.tsv").open() as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    assert {row["file"] for row in rows} == {path.name for path in ERRORS.iterdir()} - {"MEANING.tsv"}
    for row in rows:
        error = refusal(int(row["http"].split()[0]), (ERRORS / row["file"]).read_bytes())
        expected, ambiguous = MEANINGS[row["meaning"]]
        assert type(error) is expected, row["file"]
        assert getattr(error, "ambiguous", False) is ambiguous, row["file"]


def test_a_refusal_is_recognised_by_its_wording_under_any_key() -> None:
    for key in ("Note", "Information", "Error Message", "detail", "never seen"):
        body = json.dumps({key: "Our standard rate is 25 requests per day for this key."}).encode()
        assert type(refusal(200, body)) is QuotaEnded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Minute-level rate limit exceed, please slow down.", Throttled),
        ("Please query no more than 30 requests per second.", Throttled),
        ("the parameter apikey is invalid or missing.", KeyRefused),
        ("This is a premium endpoint.", NotInPlan),
        ("The service is resting today.", Unrecognised),
    ],
)
def test_the_wording_decides(text: str, expected: type[ApiError]) -> None:
    assert type(refusal(200, json.dumps({"Information": text}).encode())) is expected


def test_only_the_beginning_of_a_long_text_is_read_as_a_refusal() -> None:
    wording = "25 requests per day"

    assert isinstance(refusal(200, json.dumps({"Note": f"{'x ' * 500}{wording}"}).encode()), QuotaEnded)
    assert isinstance(refusal(200, json.dumps({"Note": f"{'x ' * 5_000}{wording}"}).encode()), Unrecognised)


def test_sample_data_means_that_the_plan_lacks_the_endpoint() -> None:
    body = b'{"endpoint": "OVERVIEW", "message": "artificial", "data": {"Symbol": "IBM"}}'
    assert type(refusal(200, body)) is NotInPlan


def test_an_overview_is_an_object_with_the_requested_symbol() -> None:
    assert read_response(IBM, 200, {}, b'{"Symbol": "IBM", "Name": "x"}').document == {"Symbol": "IBM", "Name": "x"}


def test_a_class_share_answered_with_a_hyphen_is_the_same_company() -> None:
    assert read_response(Symbol("BRK.B"), 200, {}, b'{"Symbol": "BRK-B"}').symbol == "BRK.B"


@pytest.mark.parametrize("answered", ["IBMX", "", "IB", "\u0131bm", None, 7, ["IBM"]])
def test_another_companys_overview_is_rejected(answered: object) -> None:
    assert type(refusal(200, json.dumps({"Symbol": answered, "Name": "x"}).encode())) is OtherSymbol


def test_an_overview_that_mentions_a_limit_is_still_an_overview() -> None:
    body = json.dumps({"Symbol": "IBM", "Description": "sells 25 requests per day; this is a premium endpoint"})
    assert read_response(IBM, 200, {}, body.encode()).symbol == "IBM"


def test_an_overview_needs_status_200() -> None:
    assert type(refusal(404, b'{"Symbol": "IBM"}')) is BadRequest
    assert type(refusal(503, b'{"Symbol": "IBM"}')) is Unavailable
    assert type(refusal(302, b"")) is BadRequest


def test_retry_after_is_read_in_seconds_and_as_a_date() -> None:
    seconds = refusal(429, b"", Retry_After="17")
    date = refusal(503, b"", Retry_After="Wed, 21 Oct 2026 07:28:30 GMT", Date="Wed, 21 Oct 2026 07:28:00 GMT")
    nonsense = refusal(503, b"", Retry_After="soon")
    absurd = refusal(503, b"", Retry_After="Wed, 21 Oct 99999999999 07:28:30 GMT", Date="x")
    assert isinstance(absurd, Unavailable)
    assert absurd.retry_after is None
    assert isinstance(seconds, Throttled)
    assert seconds.retry_after == timedelta(seconds=17)
    assert isinstance(date, Unavailable)
    assert date.retry_after == timedelta(seconds=30)
    assert isinstance(nonsense, Unavailable)
    assert nonsense.retry_after is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b'{"Symbol": "IBM", "EPS": NaN}',
        b'{"Symbol": "IBM", "EPS": -Infinity}',
        b'{"Symbol": "IBM", "EPS": 1e999}',
        b'{"Symbol": "IBM", "Symbol": "IBM"}',
        b'{"Symbol":"IBM", "Symbol": "IBM","Name": "x"}',
        b'{"Symbol": "IBM", "a": {"b": 1, "b": 2}}',
        rb'{"Symbol": "\\", "Symbol": "\\", "a": "\\", "b": "\\"}',
        b'{"Symbol": "IBM", "Name": "\\ud800"}',
        b'{"Symbol": "IBM", "Name": "a\\u0000b"}',
        b'{"Symbol": "IBM", "\\ud800": "x"}',
        b'{"Symbol": "IBM", "Name": "a\x00b"}',
        b'{"Symbol": "IBM", "Name": "\xff"}',
        '{"Symbol": "IBM"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"Symbol": "IBM"}',
        b'{"Symbol": "IBM", "n": ' + b"7" * 5000 + b"}",
        b'{"Symbol": "IBM", "n": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"Symbol": "IBM", "n": ' + b"[" * 60 + b"]" * 60 + b"}",
        b'{"Symbol": "IBM"} trailing',
        b"[]",
        b'"IBM"',
    ],
)
def test_anything_but_strict_json_is_refused(body: bytes) -> None:
    assert type(refusal(200, body)) is NotJson


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda members: st.lists(members) | st.dictionaries(TEXT, members),
)


@given(VALUES, st.booleans())
def test_strict_json_is_json(value: object, escaped: bool) -> None:
    assert strict_json(json.dumps(value, ensure_ascii=escaped).encode()) == value


SPELLINGS = ["a", "\\u0061", '\\"', "\\u0022", "\\\\", "\\n", "\\/", "\\ud83d\\ude00", "\u2019", " ", ":", ","]
REFUSED = ["\\u0000", "\\ud800", "\\x", '"', "\0", "\n"]


@given(st.lists(st.tuples(*[st.lists(st.sampled_from(SPELLINGS + REFUSED), max_size=4).map("".join)] * 2), max_size=4))
def test_an_object_of_texts_is_read_like_any_other_however_it_is_escaped(members: list[tuple[str, str]]) -> None:
    written = ", ".join(f'"{name}": "{text}"' for name, text in members)

    assert outcome(f"{{{written}}}") == outcome(f'{{"inner": {{{written}}}}}')


def outcome(text: str) -> object:
    """Return the members, in their order, or that there are none to be had."""
    try:
        value = strict_json(text.encode())
    except NotJson:
        return NotJson
    return list(value.get("inner", value).items())


@pytest.mark.parametrize("rest", ["and our rate limit is 25 requests per day", "and something never said before"])
def test_no_error_contains_the_key_that_the_api_echoes(rest: str) -> None:
    body = json.dumps({"Information": f"We have detected your API key as K3YK3YK3YK3YK3Y1 {rest}."})
    assert "K3Y" not in str(refusal(200, body.encode()))


def test_an_excerpt_is_short_and_printable() -> None:
    error = refusal(200, json.dumps({"odd": "\x1b[31mred\r\n" + "x" * 5000}).encode())
    assert len(str(error)) < 200
    assert str(error).isprintable()
