"""What the API's answers mean: an overview, or one of the refusals. A new refusal wording is a line in REFUSALS.

Pure: status, headers and bytes in; an Overview or an ApiError out. An overview is an object whose Symbol is the
requested one. The absence of an error message proves nothing: the API refuses with HTTP 200 and a sentence, under a
key that has changed over the years.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from pipeline.api.errors import (
    ApiError,
    BadRequest,
    KeyRefused,
    NotInPlan,
    NotJson,
    OtherSymbol,
    QuotaEnded,
    RunEnding,
    Throttled,
    Unavailable,
    UnknownSymbol,
    Unrecognised,
)
from pipeline.decoding import decoder
from pipeline.errors import Undecodable
from pipeline.json_text import SpelledNumber, read_integer, read_real
from pipeline.model.document import Overview
from pipeline.model.renames import wrong_answer
from pipeline.model.symbols import Symbol, parse_symbol, same_company
from pipeline.redaction import HIDDEN, NOTHING_SECRET, Redact
from pipeline.text import cut, quoted

LARGEST_BODY = 1_000_000
"""Bytes after decompression. An overview has 2 to 4 kB; a compression bomb has many times what was sent."""

Refusal = Callable[[str, timedelta | None], ApiError]


def _throttled(detail: str, retry_after: timedelta | None) -> ApiError:
    return Throttled(detail, retry_after)


def _ambiguous(detail: str, retry_after: timedelta | None) -> ApiError:
    return Throttled(detail, retry_after, ambiguous=True)


def _ending(error: type[RunEnding]) -> Refusal:
    return lambda detail, _retry_after: error(detail, is_answer=True)


def _bad_request(detail: str, _retry_after: timedelta | None) -> ApiError:
    return BadRequest(detail)


REFUSALS: tuple[tuple[re.Pattern[str], Refusal], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), refusal)
    for pattern, refusal in (
        # A burst, the day's quota or a premium endpoint, all in the same words (since 2025-12). The sentence also
        # names the day's limit and "premium endpoints", so this pattern has to come first.
        (r"spreading out your (free )?API requests more sparingly", _ambiguous),
        (r"burst pattern detected", _throttled),
        (r"minute-level rate limit", _throttled),
        # It does not say which of the two limits was exceeded (2018 to 2023).
        (r"[0-9]{1,9} (calls|requests) per minute and [0-9]{1,9} (calls|requests) per day", _ambiguous),
        (r"higher API call (volume|frequency)", _ambiguous),
        (r"[0-9]{1,9} (calls|requests) ?(per |/ ?)day", _ending(QuotaEnded)),
        (r"apikey is invalid or missing", _ending(KeyRefused)),
        (r"\*{0,2}demo\*{0,2} API key is for demo", _ending(KeyRefused)),
        (r"this is a premium endpoint", _ending(NotInPlan)),
        (r"[0-9]{1,9} (calls|requests) per (second|minute)", _throttled),
        (r"invalid API call", _bad_request),
        (r"API function .{0,60} does not exist", _bad_request),
    )
)
"""The wordings of refusals and their meanings; the first match decides. Source: recordings of 2018 to 2026."""

_SAMPLE_DATA = {"endpoint", "message", "data"}
"""The keys of the sample data that the API sends to a key whose plan lacks the endpoint."""
_LONGEST_REFUSAL = 2_000
"""Characters of a refusal that are read. Known ones have up to 344."""
_REFUSAL_KEYS = 8
"""The most keys of a refusal. Known ones have one or two; a larger object may mention limits in its texts."""


def read_response(
    requested: Symbol, status: int, headers: Mapping[str, str], body: bytes, *, redact: Redact = NOTHING_SECRET
) -> Overview:
    """Return the overview in an answer. Raise the ApiError that says what it is instead.

    An error repeats parts of the answer, through `redact`; the wording is recognised before.
    """
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        raise Unavailable(f"HTTP {status}", _retry_after(headers))
    try:
        answer = strict_json(body)
    except NotJson as error:
        raise _by_status(status, headers) or NotJson(f"{error}: {_start(body, redact)}") from None
    if not isinstance(answer, dict):
        raise _by_status(status, headers) or NotJson(f"not a JSON object: {_start(body, redact)}")
    if status == HTTPStatus.OK and "Symbol" in answer:
        if same_company(requested, answer["Symbol"]):
            return Overview(requested, answer)
        raise _other_symbol(requested, excerpt(str(answer["Symbol"]), redact))
    raise _refusal(answer, headers, redact) or _by_status(status, headers) or _unrecognised(answer, body, redact)


def _other_symbol(requested: Symbol, answered: str) -> OtherSymbol:
    try:
        other = parse_symbol(answered)
    except ValueError:
        return OtherSymbol(f"overview of another symbol: {quoted(answered)}")
    return OtherSymbol(wrong_answer(requested, other), other)


def _refusal(answer: dict[str, Any], headers: Mapping[str, str], redact: Redact) -> ApiError | None:
    if len(answer) > _REFUSAL_KEYS:
        return None
    if answer.keys() >= _SAMPLE_DATA:
        return NotInPlan("sample data", is_answer=True)
    text = " ".join(value[:_LONGEST_REFUSAL] for value in answer.values() if isinstance(value, str))
    for pattern, refusal in REFUSALS:
        if pattern.search(text):
            return refusal(excerpt(text, redact), _retry_after(headers))
    return None


def _by_status(status: int, headers: Mapping[str, str]) -> ApiError | None:
    match status:
        case HTTPStatus.OK:
            return None
        case HTTPStatus.TOO_MANY_REQUESTS:
            return Throttled(f"HTTP {status}", _retry_after(headers))
        case HTTPStatus.UNAUTHORIZED:
            return KeyRefused(f"HTTP {status}", is_answer=True)
        case _:
            return BadRequest(f"HTTP {status}")


def _unrecognised(answer: dict[str, Any], body: bytes, redact: Redact) -> ApiError:
    if not answer:
        return UnknownSymbol("not covered by the API")
    return Unrecognised(_start(body, redact))


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Return the Retry-After header: seconds, or a date, which is measured against the answer's own Date."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return timedelta(seconds=int(text))
    try:
        return max(parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("Date", "")), timedelta())
    except (TypeError, ValueError, OverflowError):
        return None


# Strict JSON


_LONGEST_INTEGER = 100
_DEEPEST = 50


def strict_json(body: bytes) -> Any:
    """Return the JSON value of the bytes, numbers as they are spelled.

    Raise NotJson for anything that two JSON readers could read differently.

    Besides bad syntax: any encoding but UTF-8, NaN and infinities, numbers too large for a float or longer than 100
    digits, duplicate keys, lone surrogates, NUL, nesting deeper than 50.
    """
    if (usual := _usual_json(body)) is not None:
        return usual
    try:
        text = body.decode()
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite, parse_int=_integer
        )
        if type(value) is not dict or not all(type(member) is str for member in value.values()) or "\\u" in text:
            _check(value)
    except UnicodeDecodeError:
        raise NotJson("not UTF-8") from None
    except RecursionError:
        raise NotJson("nested too deeply") from None
    except ValueError as error:
        raise NotJson(f"not strict JSON ({_reason(error)})") from None
    return value


_decode_usual = decoder(dict[str, str])
_QUOTES = 4


def _usual_json(body: bytes) -> dict[str, str] | None:
    """Return an object of texts, which nearly every answer is, at a third of the cost; None for any other value.

    Where no backslash is escaped, a backslash before a quote escapes the quote, and every other quote starts or ends a
    key or a text: four per member, or else a key was given twice. Of the escapes that `strict_json` refuses, msgspec
    accepts only NUL.
    """
    is_escaped = b"\\" in body  # finding one byte is much faster than two, and most bodies escape nothing
    if is_escaped and (b"\\\\" in body or b"\\u0000" in body):
        return None
    try:
        members = _decode_usual(body)
    except Undecodable:
        return None
    quotes = body.count(b'"') - (body.count(b'\\"') if is_escaped else 0)
    return members if members and quotes == _QUOTES * len(members) else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate key")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"invalid number {name}")


def _finite(text: str) -> float:
    number = read_real(text)
    if abs(number) == float("inf"):
        raise ValueError("number too large")
    return number


def _integer(text: str) -> int | SpelledNumber:
    if len(text) > _LONGEST_INTEGER:
        raise ValueError("number too long")
    return read_integer(text)


def _check(value: Any) -> None:
    for text in _texts(value, _DEEPEST):
        if "\0" in text:
            raise ValueError("NUL character")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError("lone surrogate")


def _texts(value: Any, depth: int) -> Iterator[str]:
    if depth == 0:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from _texts(member, depth - 1)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member, depth - 1)


def _reason(error: ValueError) -> str:
    return f"{error.msg} at {error.pos}" if isinstance(error, json.JSONDecodeError) else str(error)


# Excerpts


_EXCERPT = 160
_READ = 4 * _EXCERPT
"""Characters that an excerpt is made of: enough to fill it where many are white space."""
_ECHOED_KEY = re.compile(r"(API key as |apikey=)[^\s&\"']+", re.IGNORECASE)


def excerpt(text: str, redact: Redact) -> str:
    """Return the start of a text as one short printable line, redacted, and without a key that the API's notices echo.

    Such a key may be another one than ours, in what somebody else recorded.
    """
    start = _ECHOED_KEY.sub(rf"\1{HIDDEN}", redact(text[:_READ]))
    return cut(" ".join("".join(c if c.isprintable() else " " for c in start).split()), _EXCERPT)


def _start(body: bytes, redact: Redact) -> str:
    return excerpt(body[:_READ].decode(errors="replace"), redact)
