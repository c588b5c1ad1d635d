"""Archives: responses recorded elsewhere, to be imported from JSON Lines, gzipped or not, or files of one response.

An archive comes from outside: each problem is a value with its place, and reading continues behind it.
"""

import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, Self

from pipeline.errors import Trouble, file_reason
from pipeline.files import is_readable_kind
from pipeline.instants import utc_now
from pipeline.transfer.entries import WITHOUT_TIME, Entry, Problem, Received
from pipeline.transfer.json_files import OneResponse, entry_of, holds_one_response, one_response
from pipeline.transfer.json_lines import read_json_lines
from pipeline.transfer.layouts import NamedFile, files_of, has_files, is_symbol_file, symbol_files
from pipeline.transfer.name_patterns import NamePattern
from pipeline.transfer.streams import STANDARD_INPUT, Kept, OnRead, Source


@dataclass(frozen=True, slots=True)
class Lines:
    """A file, or standard input, that is JSON Lines."""

    source: Source
    received: Received


Part = OneResponse | Lines | Problem
"""A file of an archive."""


def read_archive(source: Source, *, observed_at: datetime | None, now: datetime, on_read: OnRead) -> Iterator[Entry]:
    """Yield the entries of a file, a folder or, for None, standard input, in its order.

    `observed_at` is when responses were received that do not say so themselves. None can be later than `now`. `on_read`
    is called with the number of bytes of each piece read.
    """
    return entries_of(parts(source, Received(observed_at, now), None, on_read), on_read)


def entries_of(every: Iterable[Part], on_read: OnRead) -> Iterator[Entry]:
    """Yield the entries of the files of an archive."""
    for part in every:
        match part:
            case Lines():
                yield from read_json_lines(part.source, part.received, on_read)
            case OneResponse():
                yield entry_of(part)
            case Problem():
                yield part


def parts(source: Source, received: Received, pattern: NamePattern | None, on_read: OnRead) -> Iterator[Part]:
    """Yield the files of an archive; `on_read` is called for those of one response, which have been read."""
    if not isinstance(source, Path):
        yield Lines(source, received)
        return
    for file in files_of(source, received, pattern):
        if not isinstance(file, NamedFile):
            yield file
            continue
        found = one_response(file, any_name=pattern is not None)
        if isinstance(found, OneResponse):
            on_read(_file_size(file.path) or 0)
        yield Lines(file.path, file.received) if found is None else found


def archive_size(source: Path | None, pattern: NamePattern | None = None) -> int | None:
    """Return the sum of what `on_read` will be called with; None if it is unknown, as of standard input."""
    try:
        if source is None:
            return None
        if pattern is not None or source.is_dir():
            nothing = Received(None, utc_now())
            return sum(
                file.path.stat().st_size for file in files_of(source, nothing, pattern) if isinstance(file, NamedFile)
            )
        return _file_size(source)
    except OSError:
        return None


def _file_size(path: Path) -> int | None:
    """Return a regular file's size in bytes; None of any other, or if it cannot be read."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


def check_archives(
    sources: Iterable[Path | None], observed_at: datetime | None, pattern: NamePattern | None = None
) -> None:
    """Raise Trouble for the first source that cannot be read at all, before anything is imported."""
    uses_stdin = False
    paths = []
    for source in sources:
        if source is not None:
            _check_path(source, observed_at, pattern)
            paths.append(source)
        elif uses_stdin or sys.stdin is None:
            raise Trouble(f"{STANDARD_INPUT} is closed or named twice: it can be read once")
        elif pattern is not None:
            raise Trouble(f"{STANDARD_INPUT} has no path to compare with --name-pattern {pattern.text}")
        else:
            uses_stdin = True
    if pattern is not None:
        _check_pattern(paths, pattern)


def _check_path(path: Path, observed_at: datetime | None, pattern: NamePattern | None) -> None:
    try:
        if path.is_dir():
            if pattern is None and not symbol_files(path):
                raise Trouble(
                    f"{path} holds no SYMBOL.json",
                    remedy="name its files if they are JSON Lines, or give a --name-pattern",
                )
            needs_time = pattern is None
        elif path.is_file():
            path.open("rb").close()
            needs_time = observed_at is None and pattern is None and holds_one_response(path)
        else:
            if not is_readable_kind(path):
                raise Trouble(f"{path} is neither a file, a folder nor a pipe", remedy="name one")
            return
    except OSError as error:
        raise Trouble(f"{path} cannot be read: {file_reason(error)}") from None
    except (EOFError, zlib.error):  # what is before the damage can be read
        return
    if needs_time and observed_at is None:
        raise Trouble(f"{path} {WITHOUT_TIME}")


def _check_pattern(paths: list[Path], pattern: NamePattern) -> None:
    try:
        if has_files(paths, pattern):
            return
    except OSError as error:
        raise Trouble(f"{error.filename} cannot be read: {file_reason(error)}") from None
    raise Trouble(
        f"no file matches --name-pattern {pattern.text}",
        remedy="it is compared with the end of each path, such as archive/IBM/2024-03-14.json",
    )


class Archive(Protocol):
    """What an import reads: the same entries each time."""

    @property
    def noun(self) -> str:
        """What is counted, as in 3 lines."""

    @property
    def size(self) -> int | None:
        """The sum of what `on_read` will be called with; None if it is unknown."""

    def parts_to_check(self, on_read: OnRead) -> Iterator[Part]:
        """Yield what `entries` will be read from."""

    def entries(self, on_read: OnRead) -> Iterator[Entry]:
        """Yield the entries, in order. `on_read` is called with how much of the whole each step has read."""


class Archives:
    """What one import reads, in order. Used in a `with` block, which deletes what was kept of it.

    An overview that contains a key of the redaction of `received` is rejected.
    """

    def __init__(self, sources: Sequence[Path | None], received: Received, pattern: NamePattern | None) -> None:
        self._sources: list[Path | Kept | None] = [*sources]
        self._received = received
        self._pattern = pattern
        self._sizes = [archive_size(source, pattern) for source in sources]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for source in self._sources:
            if isinstance(source, Kept):
                source.close()

    @property
    def size(self) -> int | None:
        """The sum of what `on_read` will be called with; None if it is unknown, as of a pipe that was not yet read."""
        return None if None in self._sizes else sum(filter(None, self._sizes))

    @property
    def noun(self) -> str:
        """What is counted: files of one response each, or lines."""
        are_files = all(
            isinstance(source, Path) and (self._pattern is not None or source.is_dir() or is_symbol_file(source))
            for source in self._sources
        )
        return "file" if are_files else "line"

    def parts_to_check(self, on_read: OnRead) -> Iterator[Part]:
        """Yield the files of all archives. What can be read only once is kept, to be read again by `entries`.

        Raise Trouble if it cannot be kept.
        """
        for number, source in enumerate(self._sources):
            if isinstance(source, Path) and not _is_read_once(source):
                yield from parts(source, self._received, self._pattern, on_read)
            elif not isinstance(source, Kept):
                kept = self._sources[number] = Kept(source)
                self._sizes[number] = kept.fill(on_read)
                yield Lines(kept, self._received)

    def entries(self, on_read: OnRead) -> Iterator[Entry]:
        """Yield the entries of all archives."""
        for source in self._sources:
            yield from entries_of(parts(source, self._received, self._pattern, on_read), on_read)


def _is_read_once(path: Path) -> bool:
    """Return whether a path is that of a pipe or a device."""
    try:
        return path.exists() and not (path.is_file() or path.is_dir())
    except OSError:  # opening it will report why
        return False
