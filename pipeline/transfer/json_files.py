"""Files that hold one response, and how they differ from JSON Lines."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.api.errors import NotJson, TooLarge
from pipeline.api.responses import LARGEST_BODY
from pipeline.errors import Undecodable
from pipeline.model.symbols import parse_symbol
from pipeline.transfer.entries import (
    WITHOUT_TIME,
    Entry,
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
    open_stream,
    stream_problem,
    without_mark,
    wrong_encoding,
)

_WITHOUT_SYMBOL = "does not say which symbol it is of: give a --name-pattern with {symbol}"
_LINE_KEYS = frozenset({"symbol", "observed_at", "body", "document"})
"""A line of JSON Lines has two of them at least; what the API sends has none."""


@dataclass(frozen=True, slots=True)
class OneResponse:
    """A file that holds one response."""

    path: Path
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
        content = _read_content(path)
    except STREAM_ERRORS as error:
        return Problem(place_of(path), stream_problem(error, 0))
    if not _is_one_response(content) and _may_be_lines(content):
        return None
    return OneResponse(path, content, symbol, received)


def entry_of(one: OneResponse) -> Entry:
    """Return the entry of a file that holds one response."""
    place, content = place_of(one.path), one.content
    if encoding := wrong_encoding(content):
        return Problem(place, encoding)
    if one.symbol is None or one.received.observed_at is None:
        return Problem(place, WITHOUT_TIME if one.symbol is not None else _WITHOUT_SYMBOL)
    try:
        symbol = parse_symbol(one.symbol)
        observed_at = check_past("observed_at", one.received.observed_at, one.received.now)
    except ValueError as error:
        return Problem(place, str(error))
    response = classify(symbol, content, received=one.received)
    if not _is_one_response(content) and isinstance(response, TooLarge):
        return Problem(place, str(response))
    if isinstance(response, NotJson) and not _is_page(content):
        return Problem(place, str(response))
    return RecordedResponse(place, symbol, observed_at, (), response)


def holds_one_response(path: Path) -> bool:
    """Return whether a file is a SYMBOL.json file, not JSON Lines. Raise one of STREAM_ERRORS if it is unreadable."""
    return is_symbol_file(path) and _is_one_response(_read_content(path))


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


def _read_content(path: Path) -> bytes:
    """Return a file's bytes, of a larger file just enough to show that it is too large."""
    with open_stream(path, lambda _bytes: None) as stream:
        return without_mark(stream.read(LARGEST_BODY + 1))
