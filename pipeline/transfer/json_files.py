"""Files that hold one response, and how they differ from JSON Lines."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.api.errors import ApiError, BadRequest, NotJson, RunEnding, TooLarge, TransientError
from pipeline.api.responses import LARGEST_BODY
from pipeline.errors import Undecodable
from pipeline.model.document import Overview
from pipeline.model.symbols import Symbol, parse_symbol
from pipeline.transfer.entries import (
    WITHOUT_TIME,
    Entry,
    Place,
    Problem,
    Received,
    RecordedResponse,
    check_past,
    classify,
    place_of,
)
from pipeline.transfer.json_lines import FIRST_LINES, decode_members
from pipeline.transfer.layouts import NamedFile, is_symbol_file
from pipeline.transfer.streams import (
    CHUNK_BYTES,
    STREAM_ERRORS,
    Source,
    open_stream,
    stream_problem,
    without_mark,
    wrong_encoding,
)

_WITHOUT_SYMBOL = "does not say which symbol it is of: give a pattern of its path with {symbol}"
_NOBODY = Symbol("")
"""Whose a refusal is of which no symbol is known. It is never stored."""
_LINE_KEYS = frozenset({"symbol", "observed_at", "body", "document"})
"""A line of JSON Lines has two of them at least; what the API sends has none."""


@dataclass(frozen=True, slots=True)
class OneResponse:
    """A file that holds one response."""

    place: Place
    content: bytes
    """Of a file that is too large, just enough to show that."""
    symbol: str | None
    received: Received


def one_response(file: NamedFile, *, any_name: bool) -> OneResponse | Problem | None:
    """Return the response of a file that holds one, or why it cannot be read; None for JSON Lines.

    Unless `any_name`, only a SYMBOL.json file can hold one.
    """
    path, symbol, received = file
    try:
        if not (path.is_file() if any_name else is_symbol_file(path)):
            return None
        content = read_content(path)
    except STREAM_ERRORS as error:
        return Problem(place_of(path), stream_problem(error, 0))
    return None if holds_lines(content) else OneResponse(place_of(path), content, symbol, received)


def entry_of(one: OneResponse) -> Entry:
    """Return the entry of a file that holds one response."""
    place, content = one.place, one.content
    if encoding := wrong_encoding(content):
        return Problem(place, encoding)
    if one.received.observed_at is None:
        return Problem(place, WITHOUT_TIME)
    try:
        symbol = _NOBODY if one.symbol is None else parse_symbol(one.symbol)
        observed_at = check_past("observed_at", one.received.observed_at, one.received.now)
    except ValueError as error:
        return Problem(place, str(error))
    response = classify(symbol, content, received=one.received)
    mistake = _mistake(symbol, content, response)
    return RecordedResponse(place, symbol, observed_at, (), response) if mistake is None else Problem(place, mistake)


def _mistake(symbol: Symbol, content: bytes, response: Overview | ApiError) -> str | None:
    """Return why a response is a mistake in the archive, and not of the API; None if it is not."""
    if isinstance(response, NotJson) and not _is_page(content):
        return str(response)
    if isinstance(response, TooLarge) and not _is_one_response(content):
        return str(response)
    if symbol is _NOBODY and not isinstance(response, TransientError | RunEnding | BadRequest):
        return _WITHOUT_SYMBOL
    return None


def holds_one_response(path: Path) -> bool:
    """Return whether a file is a SYMBOL.json file, not JSON Lines. Raise one of STREAM_ERRORS if it is unreadable."""
    return is_symbol_file(path) and _is_one_response(read_content(path))


def holds_lines(content: bytes) -> bool:
    """Return whether the content of a file is JSON Lines, and not one response."""
    return not _is_one_response(content) and _may_be_lines(content)


def read_content(source: Source) -> bytes:
    """Return a file's bytes, of a larger file just enough to show that it is too large; raise one of STREAM_ERRORS."""
    with open_stream(source, lambda _bytes: None) as stream:
        return without_mark(stream.read(LARGEST_BODY + 1))


def _is_one_response(content: bytes) -> bool:
    """Return whether a file is one response, not lines: an object without a line's keys, an HTML page, or nothing."""
    if _is_page(content) or not content or content.isspace():
        return True
    try:
        return _LINE_KEYS.isdisjoint(decode_members(content))
    except Undecodable:
        return False


def _may_be_lines(content: bytes) -> bool:
    """Return whether content that is not one response may be JSON Lines: one of its lines is an object, or was cut."""
    texts = [line for line in content.splitlines() if line.strip()]
    was_cut = len(texts) == 1 and len(content) > LARGEST_BODY
    return was_cut or any(map(_is_object, texts[:FIRST_LINES]))


def _is_object(line: bytes) -> bool:
    try:
        decode_members(line)
    except Undecodable:
        return False
    return True


def _is_page(content: bytes) -> bool:
    return content[:CHUNK_BYTES].lstrip().startswith(b"<")
