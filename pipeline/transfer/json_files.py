"""Archives of SYMBOL.json files: a response per file, alone or in a folder."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.api.errors import NotJson, TooLarge
from pipeline.api.responses import LARGEST_BODY
from pipeline.errors import Undecodable
from pipeline.model.symbols import parse_symbol
from pipeline.text import few, printable
from pipeline.transfer.entries import (
    WITHOUT_TIME,
    Entry,
    Problem,
    Received,
    RecordedResponse,
    Skipped,
    check_past,
    classify,
    place_of,
)
from pipeline.transfer.json_lines import FIRST_LINES, decode_members, read_json_lines
from pipeline.transfer.streams import (
    CHUNK_BYTES,
    STREAM_ERRORS,
    OnRead,
    open_stream,
    stream_problem,
    without_mark,
    wrong_encoding,
)

_NAMED = 5


def read_folder(folder: Path, received: Received, on_read: OnRead) -> Iterator[Entry]:
    """Yield the entries of a folder's SYMBOL.json files, by name. What else is in the folder is reported once."""
    try:
        paths = symbol_files(folder)
        others = sorted(path.name for path in {*folder.iterdir()}.difference(paths) if path.name[0] != ".")
    except OSError as error:
        yield Problem(place_of(folder), stream_problem(error, 0))
        return
    if received.observed_at is None:
        yield Problem(place_of(folder), WITHOUT_TIME)
        return
    if others:
        yield Skipped(
            place_of(folder), f"skipped, not SYMBOL.json: {few([printable(name) for name in others], _NAMED)}"
        )
    for path in paths:
        yield from read_file(path, received, on_read)


def read_file(path: Path, received: Received, on_read: OnRead) -> Iterator[Entry]:
    """Yield the one response of a SYMBOL.json file, or the entries of a file that is JSON Lines."""
    try:
        content = _read_content(path) if received.observed_at is not None and _is_symbol_file(path) else None
    except STREAM_ERRORS as error:
        yield Problem(place_of(path), stream_problem(error, 0))
        return
    if content is None or (not _is_one_response(content) and _may_be_lines(content)):
        yield from read_json_lines(path, received, on_read)
        return
    on_read(file_size(path) or 0)
    yield _entry(path, content, received)


def _entry(path: Path, content: bytes, received: Received) -> Entry:
    assert received.observed_at is not None
    if encoding := wrong_encoding(content):
        return Problem(place_of(path), encoding)
    try:
        symbol = parse_symbol(path.name[: -len(path.suffix)])
        observed_at = check_past("observed_at", received.observed_at, received.now)
    except ValueError as error:
        return Problem(place_of(path), str(error))
    response = classify(symbol, content, received=received)
    if not _is_one_response(content) and isinstance(response, TooLarge):
        return Problem(place_of(path), str(response))
    if isinstance(response, NotJson) and not _is_page(content):
        return Problem(place_of(path), str(response))
    return RecordedResponse(place_of(path), symbol, observed_at, (), response)


def symbol_files(folder: Path) -> list[Path]:
    """Return the SYMBOL.json files of a folder, by name. Raise OSError if it cannot be read."""
    return sorted(path for path in folder.iterdir() if _is_symbol_file(path) and path.name[0] != ".")


def _is_symbol_file(path: Path) -> bool:
    return path.suffix.lower() == ".json" and path.is_file()


def holds_one_response(path: Path) -> bool:
    """Return whether a file is a SYMBOL.json file, not JSON Lines. Raise one of STREAM_ERRORS if it is unreadable."""
    return _is_symbol_file(path) and _is_one_response(_read_content(path))


def _is_one_response(content: bytes) -> bool:
    """Return whether a file is one response, not lines: an object without "symbol", an HTML page, or nothing."""
    if _is_page(content) or not content or content.isspace():
        return True
    try:
        return "symbol" not in decode_members(content)
    except Undecodable:
        return False


def _may_be_lines(content: bytes) -> bool:
    """Return whether what is not one response may be JSON Lines: one of its first lines is an object, or was cut."""
    lines = [line for line in content.splitlines() if line.strip()]
    was_cut = len(lines) == 1 and len(content) > LARGEST_BODY
    return was_cut or any(map(_is_object, lines[:FIRST_LINES]))


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


def file_size(path: Path) -> int | None:
    """Return a regular file's size in bytes; None of any other, or if it cannot be read."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None
