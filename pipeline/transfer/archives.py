"""Recordings: answers that somebody wrote down, with when they came. Files in; answers, sorted as live ones are, out.

A recording is JSON Lines, gzipped or not, or a folder of SYMBOL.json files. It comes from outside, so each thing wrong
with it is named with its place, as a value, and reading goes on behind it.
"""

import io
import json
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from pipeline.api.errors import ApiError, NotJson, TooLarge
from pipeline.api.responses import LARGEST_BODY, read_response
from pipeline.errors import Trouble, file_reason
from pipeline.instants import parse_received, to_text
from pipeline.model.document import Overview
from pipeline.model.symbols import Symbol, parse_symbol
from pipeline.text import few, harmless
from pipeline.transfer.streams import (
    BOM,
    CHUNK_BYTES,
    LONGEST_LINE,
    STANDARD_INPUT,
    UNREADABLE,
    Advanced,
    opened,
    unreadable,
)

_FIRST_LINES = 10
"""So many lines at the beginning of a file without one JSON object among them, and it is of another kind."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, counted from 1; line 0 is the file itself."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        name = harmless(self.file)
        return f"{name}, line {self.line}" if self.line else name


@dataclass(frozen=True, slots=True)
class Recorded:
    """One answer as it came then. `looks`: the later instants, in order, at which the same was seen."""

    place: Place
    symbol: Symbol
    observed_at: datetime
    looks: tuple[datetime, ...]
    answer: Overview | ApiError


@dataclass(frozen=True, slots=True)
class Bad:
    """What could not be read, and why, in one line."""

    place: Place
    why: str


@dataclass(frozen=True, slots=True)
class Skipped(Bad):
    """What was passed over on purpose: it is told, and nothing bad."""


@dataclass(frozen=True, slots=True)
class _NoObject(Bad):
    """A line that is no JSON object. A file that begins with nothing else is of another kind."""


@dataclass(frozen=True, slots=True)
class _Terms:
    """What holds for a whole import."""

    observed_at: datetime | None
    now: datetime


def recordings(
    source: Path | None, *, observed_at: datetime | None, now: datetime, advanced: Advanced
) -> Iterator[Recorded | Bad]:
    """Yield what a file, a folder or, for None, standard input holds, in its order.

    `observed_at` is when that was received which does not say so itself. Nothing may have been received after `now`.
    """
    terms = _Terms(observed_at, now)
    if source is None:
        return _lines_recorded(None, terms, advanced)
    return (_folder_recorded if _is_folder(source) else _file_recorded)(source, terms, advanced)


def check(sources: Iterable[Path | None], observed_at: datetime | None) -> None:
    """Raise Trouble for the first source that cannot be read at all, before anything of any is."""
    input_named = False
    for source in sources:
        if source is not None:
            _check_path(source, observed_at)
        elif input_named or sys.stdin is None:
            raise Trouble(f"{STANDARD_INPUT} is closed, or named twice: it can be read once")
        else:
            input_named = True


def size(source: Path | None) -> int | None:
    """Return how many bytes `advanced` will hear of; None where nobody can say, as of standard input."""
    try:
        if source is None:
            return None
        if source.is_dir():
            return sum(path.stat().st_size for path in _documents(source))
        return source.stat().st_size if source.is_file() else None
    except OSError:
        return None


_EXAMPLE = "2024-03-14T18:30:00Z"


# One line


class _Line(msgspec.Struct):
    """A line's own keys, taken as they come: what they should be is said below, in our words."""

    symbol: Any = None
    observed_at: Any = None
    body: Any = None
    document: msgspec.Raw = msgspec.Raw(b"null")
    looks: Any = None
    status: msgspec.Raw = msgspec.Raw(b"200")


_line_of = msgspec.json.Decoder(_Line).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_KEYS = (b'"symbol"', b'"observed_at"', b'"body"', b'"document"', b'"looks"', b'"status"')
_MOST_ESCAPED = 6
"""Bytes that one of a document may take in a line: `export` escapes what acts on terminals."""
_ESCAPED = b"\\u00"
"""How a key could be spelled otherwise than it is."""
_SHORTEST_TWICE = len(b'"body":0,')
"""A line with fewer bytes left over, for its spaces, has no room for another of our keys. Most have six."""
_STATUS = re.compile(rb'"?([1-5][0-9]{2})(?:\.0+)?"?')


def _line_recorded(place: Place, text: bytes, terms: _Terms) -> Recorded | Bad:
    try:
        if not text.isascii():
            text.decode()
        line = _line_of(text)
    except msgspec.ValidationError as error:
        return _NoObject(place, f"should be a JSON object ({error})")
    except msgspec.DecodeError as error:
        return _NoObject(place, f"{'holds NUL bytes' if 0 in text else 'broken JSON'} ({error})")
    except UnicodeDecodeError as error:
        return _NoObject(place, f"should be UTF-8 (byte {error.start} is not)")
    except RecursionError:
        return _NoObject(place, "nested too deeply")
    try:
        _check_keys(text)
        return _recorded(place, line, terms)
    except ValueError as error:
        return Bad(place, str(error))


def _check_keys(text: bytes) -> None:
    """Raise ValueError for a key given twice: readers differ in which of the two they take."""
    if len(text) - _length(_members(text)) < _SHORTEST_TWICE:
        return
    if _ESCAPED in text or any(text.count(key) > 1 for key in _KEYS):  # it may stand within the document too
        pairs = json.loads(text, object_pairs_hook=tuple, parse_int=str, parse_float=str)
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            raise ValueError("duplicate key")


def _length(members: Mapping[str, msgspec.Raw]) -> int:
    """Return how many bytes an object of these members takes without spaces. (Of a key given twice, one is left.)"""
    return 1 + 4 * len(members) + sum(map(len, members)) + sum(map(len, members.values()))


def _recorded(place: Place, line: _Line, terms: _Terms) -> Recorded:
    """Return what the line says. Raise ValueError for a key that is missing or not what it should be."""
    if not isinstance(line.symbol, str):
        raise _should_be("symbol", line.symbol, 'text, as in "IBM"')
    symbol = parse_symbol(line.symbol)
    observed_at = _observed_at(line.observed_at, terms)
    return Recorded(place, symbol, observed_at, _looks(line.looks, observed_at, terms.now), _answer(symbol, line))


def _observed_at(given: object, terms: _Terms) -> datetime:
    if given is None and terms.observed_at is not None:
        return _past("observed_at", terms.observed_at, terms.now)
    if not isinstance(given, str):
        raise _should_be("observed_at", given, f'text, as in "{_EXAMPLE}"; or give one for all with --observed-at')
    return _named("observed_at", given, terms.now)


def _looks(given: object, observed_at: datetime, now: datetime) -> tuple[datetime, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(look, str) for look in given):
        raise _should_be("looks", given, f'a list of texts, as in ["{_EXAMPLE}"]')
    looks = sorted({_named("looks", look, now) for look in given})
    if looks and looks[0] <= observed_at:
        raise ValueError(f"looks should be later than observed_at, and {to_text(looks[0])} is not")
    return tuple(looks)


def _named(name: str, text: str, now: datetime) -> datetime:
    try:
        moment = parse_received(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return _past(name, moment, now)


def _past(name: str, moment: datetime, now: datetime) -> datetime:
    if moment > now:
        raise ValueError(f"{name}: {to_text(moment)} is still to come (a date alone means its end)")
    return moment


def _should_be(name: str, given: object, kind: str) -> ValueError:
    return ValueError(f"{name} {'is missing' if given is None else 'is of the wrong type'}: should be {kind}")


def _answer(symbol: Symbol, line: _Line) -> Overview | ApiError:
    document, status = bytes(line.document), bytes(line.status)
    told = _STATUS.fullmatch(status)  # what else others call a status is theirs
    http_status = int(told[1]) if told else 200
    if document == b"null":
        if line.body is None:
            raise ValueError("has neither body (the answer as text) nor document (the answer as JSON)")
        if not isinstance(line.body, str):
            raise _should_be("body", line.body, "text, as it was received; an object is a document")
        return _sorted(symbol, line.body.encode(), http_status)
    if line.body is not None:
        raise ValueError("should have a body or a document, not both")
    answer = _sorted(symbol, document, http_status, most=_MOST_ESCAPED * LARGEST_BODY)
    if type(answer) is NotJson:  # which the API had no part in, as it did not write this line
        raise ValueError(f"document should be an object of strict JSON: {answer}")
    return answer


def _sorted(symbol: Symbol, body: bytes, status: int = 200, *, most: int = LARGEST_BODY) -> Overview | ApiError:
    """Return what the answer is, as a live one would be taken."""
    if len(body) > most:
        return TooLarge(f"an answer of more than {most:,} bytes")
    try:
        return read_response(symbol, status, {}, body)
    except ApiError as error:
        return error.with_traceback(None)


# JSON Lines


def _lines_recorded(source: Path | None, terms: _Terms, advanced: Advanced) -> Iterator[Recorded | Bad]:
    """Yield what the lines are; one Bad, and no more, for a file that is of another kind."""
    found = (line if isinstance(line, Bad) else _line_recorded(*line, terms) for line in _lines(source, advanced))
    first: list[Bad] = []
    for one in found:
        if not isinstance(one, _NoObject):
            yield from first
            yield one
            yield from found
            return
        first.append(one)
        if len(first) == _FIRST_LINES:
            break
    if first:
        yield _of_another_kind(first[0])


def _of_another_kind(first: Bad) -> Bad:
    why = 'is no JSON Lines, an object a line: {"symbol": ..., "observed_at": ..., "body": ...}'
    return Bad(Place(first.place.file), f"{why}; line {first.place.line}: {first.why}")


def _lines(source: Path | None, advanced: Advanced) -> Iterator[tuple[Place, bytes] | Bad]:
    """Yield the lines that are not blank, one held at a time, and what is wrong with the file itself."""
    name = STANDARD_INPUT if source is None else str(source)
    number = 0
    try:
        with opened(source, advanced) as stream:
            while line := stream.readline(LONGEST_LINE + 1):
                number += 1
                text = line.removeprefix(BOM) if number == 1 else line
                if len(line) > LONGEST_LINE:
                    _skip_line(stream, line)
                    bad = Bad if text[:1] == b"{" else _NoObject
                    yield bad(Place(name, number), f"longer than {LONGEST_LINE:,} bytes")
                elif text and not text.isspace():
                    yield Place(name, number), text
    except UNREADABLE as error:
        yield Bad(Place(name), unreadable(error, number))


def _skip_line(stream: io.BufferedReader, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = stream.readline(CHUNK_BYTES)


# Documents, a file each


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # which opening it will tell
        return False


def _folder_recorded(folder: Path, terms: _Terms, advanced: Advanced) -> Iterator[Recorded | Bad]:
    try:
        documents = _documents(folder)
        others = sorted(path.name for path in {*folder.iterdir()}.difference(documents) if path.name[0] != ".")
    except OSError as error:
        yield Bad(Place(str(folder)), unreadable(error, 0))
        return
    if terms.observed_at is None:
        yield Bad(Place(str(folder)), _WHEN_RECEIVED)
        return
    if others:
        yield Skipped(
            Place(str(folder)), f"skipped what is no SYMBOL.json: {few([harmless(name) for name in others], 5)}"
        )
    for path in documents:
        yield from _file_recorded(path, terms, advanced)


_WHEN_RECEIVED = f"does not say when it was received: give --observed-at, as in {_EXAMPLE}"


def _documents(folder: Path) -> list[Path]:
    """Return the SYMBOL.json files of a folder, in the order of their names."""
    return sorted(path for path in folder.iterdir() if _named_as_document(path) and path.name[0] != ".")


def _named_as_document(path: Path) -> bool:
    return path.suffix.lower() == ".json" and path.is_file()


def _file_recorded(path: Path, terms: _Terms, advanced: Advanced) -> Iterator[Recorded | Bad]:
    try:
        content = _content(path) if terms.observed_at is not None and _named_as_document(path) else None
    except UNREADABLE as error:
        yield Bad(Place(str(path)), unreadable(error, 0))
        return
    if content is None or not _is_answer(content):
        yield from _lines_recorded(path, terms, advanced)
        return
    advanced(size(path) or 0)
    yield _document_recorded(path, content, terms)


def _document_recorded(path: Path, content: bytes, terms: _Terms) -> Recorded | Bad:
    place = Place(str(path))
    try:
        symbol = parse_symbol(path.name[: -len(path.suffix)])
        observed_at = _observed_at(None, terms)
    except ValueError as error:
        return Bad(place, str(error))
    answer = _sorted(symbol, content)
    if isinstance(answer, NotJson) and not _is_page(content):
        return Bad(place, f"should be an object of strict JSON: {answer}")
    return Recorded(place, symbol, observed_at, (), answer)


def _is_answer(content: bytes) -> bool:
    """Whether a file is one answer, not lines about answers: an object without "symbol", a page, or nothing."""
    if _is_page(content) or not content or content.isspace():
        return True
    try:
        return "symbol" not in _members(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _is_page(content: bytes) -> bool:
    return content[:CHUNK_BYTES].lstrip().startswith(b"<")


def _content(path: Path) -> bytes:
    """Return a file's bytes, no more of them than tell that it is too large."""
    with opened(path, lambda _read: None) as stream:
        return stream.read(LARGEST_BODY + 1).removeprefix(BOM)


# Before anything is read


def _check_path(path: Path, observed_at: datetime | None) -> None:
    try:
        if path.is_dir():
            if not _documents(path):
                raise Trouble(f"{path} holds no SYMBOL.json: name the files in it that are JSON Lines")
            one_document = observed_at is None
        elif path.is_file():
            path.open("rb").close()
            one_document = observed_at is None and _named_as_document(path) and _is_answer(_content(path))
        else:
            path.stat()
            return
    except OSError as error:
        raise Trouble(f"{path} cannot be read: {file_reason(error)}") from None
    except (EOFError, zlib.error):  # what lies before the damage can be read
        return
    if one_document:
        raise Trouble(f"{path} {_WHEN_RECEIVED}")
