"""Layouts: which files of an archive are read, and what their paths say of the responses in them.

Without a pattern: the SYMBOL.json files of a folder. With one: all files below a folder whose paths match it.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from pipeline.text import cut, few, printable
from pipeline.transfer.entries import Place, Problem, Received, Skipped, place_of
from pipeline.transfer.name_patterns import NamePattern
from pipeline.transfer.streams import stream_problem

NAMED = 5
"""How many of the files that do not belong to an archive are named."""
_LONGEST_NAME = 100


class NamedFile(NamedTuple):
    """A file to read, and what its path says."""

    path: Path
    symbol: str | None
    """Of its response, if it holds one only."""
    received: Received


def files_of(source: Path, received: Received, pattern: NamePattern | None) -> Iterator[NamedFile | Problem]:
    """Yield the files of a file or folder, by name. Files that do not belong to it are reported once.

    A path that says an instant that no calendar has is a problem of its own.
    """
    try:
        if pattern is not None:
            yield from _matching(source, received, pattern)
        elif source.is_dir():
            yield from _symbol_files(source, received)
        else:
            yield NamedFile(source, _stem(source), received)
    except OSError as error:
        yield Problem(place_of(source), stream_problem(error, 0))


def _symbol_files(folder: Path, received: Received) -> Iterator[NamedFile | Problem]:
    paths = symbol_files(folder)
    others = sorted(path.name for path in {*folder.iterdir()}.difference(paths) if path.name[0] != ".")
    if others:
        yield skipped(place_of(folder), "skipped, not SYMBOL.json", others[:NAMED], len(others))
    for path in paths:
        yield NamedFile(path, _stem(path), received)


def _matching(source: Path, received: Received, pattern: NamePattern) -> Iterator[NamedFile | Problem]:
    others: list[str] = []
    unmatched = 0
    for path in _all_files(source):
        named = pattern.match(path)
        if named is None:
            unmatched += 1
            if len(others) < NAMED:
                others.append(str(path.relative_to(source)) if path != source else path.name)
            continue
        try:
            observed_at = named.received_at() or received.observed_at
        except ValueError as error:
            yield Problem(place_of(path), str(error))
        else:
            yield NamedFile(path, named.symbol, replace(received, observed_at=observed_at, symbol=named.symbol))
    if unmatched:
        yield skipped(place_of(source), f"skipped, their paths do not match {pattern.text}", others, unmatched)


def skipped(place: Place, why: str, named: list[str], number: int) -> Skipped:
    """Return the remark on files that are not read, of which some are named."""
    names = [cut(printable(name), _LONGEST_NAME) for name in named]
    return Skipped(place, f"{why}: {few([*names, *[''] * (number - len(names))], NAMED)}", number)


def _all_files(source: Path) -> Iterator[Path]:
    """Yield a file, or all files below a folder, by path; nothing hidden. Links to folders are not followed."""
    if not source.is_dir():
        yield source
        return
    entries = sorted(path for path in source.iterdir() if path.name[0] != ".")
    for path in entries:
        if not path.is_dir():
            yield path
        elif not path.is_symlink():
            yield from _all_files(path)


def has_files(sources: list[Path], pattern: NamePattern) -> bool:
    """Return whether the path of any file matches. Raise OSError if a folder cannot be read."""
    return any(pattern.match(path) is not None for path in chain.from_iterable(map(_all_files, sources)))


def symbol_files(folder: Path) -> list[Path]:
    """Return the SYMBOL.json files of a folder, by name. Raise OSError if it cannot be read."""
    return sorted(path for path in folder.iterdir() if is_symbol_file(path) and path.name[0] != ".")


def is_symbol_file(path: Path) -> bool:
    """Return whether a path is that of a SYMBOL.json file."""
    return path.suffix.lower() == ".json" and path.is_file()


def _stem(path: Path) -> str:
    return path.name[: -len(path.suffix)] if path.suffix else path.name
