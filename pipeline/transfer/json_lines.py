"""JSON Lines archives: a response per line, with its symbol and when it was received."""

import io
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from pipeline.api.errors import ApiError, NotJson
from pipeline.api.responses import LARGEST_BODY
from pipeline.decoding import decoder
from pipeline.errors import Undecodable
from pipeline.instants import parse_received, to_text
from pipeline.model.document import Overview
from pipeline.model.symbols import Symbol, parse_symbol, same_company
from pipeline.text import quoted
from pipeline.transfer.entries import (
    EXAMPLE,
    Entry,
    Place,
    Problem,
    Received,
    RecordedResponse,
    check_past,
    classify,
    place_of,
)
from pipeline.transfer.streams import (
    CHUNK_BYTES,
    LONGEST_LINE,
    STREAM_ERRORS,
    OnRead,
    Source,
    open_stream,
    stream_problem,
    without_mark,
    wrong_encoding,
)

FIRST_LINES = 10
"""A file without one JSON object among its first lines has another format."""


class _NotAnObject(Problem):
    """A line that is not a JSON object."""


def read_json_lines(source: Source, received: Received, on_read: OnRead) -> Iterator[Entry]:
    """Yield an entry for each line; one problem, and no more, for a file of another format."""
    entries = (line if isinstance(line, Problem) else _read_line(*line, received) for line in lines(source, on_read))
    first: list[Problem] = []
    for entry in entries:
        if not isinstance(entry, _NotAnObject):
            yield from first
            yield entry
            yield from entries
            return
        first.append(entry)
        if len(first) == FIRST_LINES:
            break
    if first:
        yield _other_format(first[0])


def _other_format(first: Problem) -> Problem:
    expected = '{"symbol": ..., "observed_at": ..., "body": ...}'
    reason = f"not JSON Lines: expected objects like {expected}; line {first.place.line}: {first.reason}"
    return Problem(Place(first.place.file), reason)


def lines(source: Source, on_read: OnRead) -> Iterator[tuple[Place, bytes] | Problem]:
    """Yield the lines that are not blank, and what is wrong with the file itself."""
    number = 0
    try:
        with open_stream(source, on_read) as stream:
            while line := stream.readline(LONGEST_LINE + 1):
                number += 1
                if number == 1 and (encoding := wrong_encoding(line)):
                    yield Problem(place_of(source), encoding)
                    return
                text = without_mark(line)
                if len(line) > LONGEST_LINE:
                    _skip_line(stream, line)
                    problem = Problem if text[:1] == b"{" else _NotAnObject
                    yield problem(place_of(source, number), f"longer than {LONGEST_LINE:,} bytes")
                elif text and not text.isspace():
                    yield place_of(source, number), text
    except STREAM_ERRORS as error:
        yield Problem(place_of(source), stream_problem(error, number))


def _skip_line(stream: io.BufferedReader, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = stream.readline(CHUNK_BYTES)


class _Line(msgspec.Struct):
    """A line's known keys, of any type: what they should be is checked below, with our own messages."""

    symbol: Any = None
    observed_at: Any = None
    body: Any = None
    document: msgspec.Raw = msgspec.Raw(b"null")
    looks: Any = None
    status: msgspec.Raw = msgspec.Raw(b"200")


_decode_line = decoder(_Line)
decode_members = decoder(dict[str, msgspec.Raw])
_KEYS = (b'"symbol"', b'"observed_at"', b'"body"', b'"document"', b'"looks"', b'"status"')
_LONGEST_ESCAPE = 6
"""Bytes that one of a document may take in a line: `export` escapes what acts on terminals."""
_ESCAPE = b"\\u00"
"""How a key could be spelled otherwise."""
_SHORTEST_MEMBER = len(b'"body":0,')
"""A line with fewer bytes left over, for its spaces, has no room for a second of our keys. Most lines have six."""
_STATUS = re.compile(rb'"?([1-5][0-9]{2})(?:\.0+)?"?')


def _read_line(place: Place, text: bytes, received: Received) -> Entry:
    try:
        if not text.isascii():
            text.decode()
        line = _decode_line(text)
    except UnicodeDecodeError as error:
        return _NotAnObject(place, f"should be UTF-8 (byte {error.start} is not)")
    except Undecodable as error:
        return _NotAnObject(place, f"{'NUL bytes: ' if 0 in text else ''}{error}")
    try:
        _check_duplicate_keys(text)
        return _recorded_response(place, line, received)
    except ValueError as error:
        return Problem(place, str(error))


def _check_duplicate_keys(text: bytes) -> None:
    """Raise ValueError for a key given twice: readers differ in which of the two they take."""
    if len(text) - _length(decode_members(text)) < _SHORTEST_MEMBER:
        return
    if _ESCAPE in text or any(text.count(key) > 1 for key in _KEYS):  # perhaps only within the document
        pairs = json.loads(text, object_pairs_hook=tuple, parse_int=str, parse_float=str)
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            raise ValueError("duplicate key")


def _length(members: Mapping[str, msgspec.Raw]) -> int:
    """Return how many bytes an object of these members takes without spaces. (Of a key given twice, one is left.)"""
    return 1 + 4 * len(members) + sum(map(len, members)) + sum(map(len, members.values()))


def _recorded_response(place: Place, line: _Line, received: Received) -> RecordedResponse:
    """Return what the line says. Raise ValueError for a key that is missing or has a wrong value."""
    symbol = _symbol(line.symbol, received)
    observed_at = _observed_at(line.observed_at, received)
    again = _observed_again_at(line.looks, observed_at, received.now)
    return RecordedResponse(place, symbol, observed_at, again, _response(symbol, line, received))


def _symbol(given: object, received: Received) -> Symbol:
    if given is None and received.symbol is not None:
        return parse_symbol(received.symbol)
    if not isinstance(given, str):
        raise _wrong_type("symbol", given, 'text, as in "IBM"')
    symbol = parse_symbol(given)
    if received.symbol is not None and not same_company(symbol, received.symbol):
        raise ValueError(f"symbol is {symbol}, and {quoted(received.symbol)} in the name of the file")
    return symbol


def _observed_at(given: object, received: Received) -> datetime:
    if given is None and received.observed_at is not None:
        return check_past("observed_at", received.observed_at, received.now)
    if not isinstance(given, str):
        raise _wrong_type("observed_at", given, f'text, as in "{EXAMPLE}"; or give one for all with --observed-at')
    return _instant("observed_at", given, received.now)


def _observed_again_at(given: object, observed_at: datetime, now: datetime) -> tuple[datetime, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        raise _wrong_type("looks", given, f'a list of texts, as in ["{EXAMPLE}"]')
    later = sorted({_instant("looks", text, now) for text in given})
    if later and later[0] <= observed_at:
        raise ValueError(f"looks should be later than observed_at, and {to_text(later[0])} is not")
    return tuple(later)


def _instant(key: str, text: str, now: datetime) -> datetime:
    try:
        instant = parse_received(text)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    return check_past(key, instant, now)


def _wrong_type(key: str, given: object, expected: str) -> ValueError:
    return ValueError(f"{key} {'is missing' if given is None else 'has the wrong type'}: expected {expected}")


def _response(symbol: Symbol, line: _Line, received: Received) -> Overview | ApiError:
    document, status = bytes(line.document), bytes(line.status)
    match = _STATUS.fullmatch(status)  # any other status is not HTTP's: archives have keys of their own
    http_status = int(match[1]) if match else 200
    if document == b"null":
        if line.body is None:
            raise ValueError("has neither body (the response as text) nor document (the response as JSON)")
        if not isinstance(line.body, str):
            raise _wrong_type("body", line.body, "text, as it was received; an object goes to document")
        return classify(symbol, line.body.encode(), http_status, received=received)
    if line.body is not None:
        raise ValueError("has a body and a document: give one of them")
    response = classify(symbol, document, http_status, received=received, longest=_LONGEST_ESCAPE * LARGEST_BODY)
    if type(response) is NotJson:  # a mistake in the archive, not of the API
        raise ValueError(f"document should be an object of strict JSON: {response}")
    return response
