"""Paths in a repository: which of its files are read, and what their paths say."""

import os
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import PurePosixPath

from pipeline.errors import Trouble
from pipeline.text import printable
from pipeline.transfer.entries import Place, Skipped
from pipeline.transfer.layouts import NAMED, skipped
from pipeline.transfer.name_patterns import Named, NamePattern

_USUAL = "{symbol}.json"
_SYMBOL_FILE = re.compile(rb"(?:.*/)?[A-Z0-9][A-Z0-9.&()-]*\.json", re.DOTALL)
"""Without a pattern: in capitals, so that package.json is not taken for a company's."""
_REMEMBERED = 100_000
"""How many paths are compared once: most commits change the same files."""


class GitPaths:
    """Which files are read: those whose path matches the pattern; without one, SYMBOL.json in any folder."""

    def __init__(self, pattern: NamePattern | None) -> None:
        self._chosen = pattern
        self._pattern = pattern or NamePattern(_USUAL)
        self.named = lru_cache(_REMEMBERED)(self._named)
        """Return what a path says; None if its file is not read."""

    @property
    def are_chosen(self) -> bool:
        """Whether somebody gave a pattern."""
        return self._chosen is not None

    def __str__(self) -> str:
        return "SYMBOL.json, in capitals" if self._chosen is None else f"--path {self._chosen.text}"

    def group(self, path: bytes) -> tuple[str | None] | None:
        """Return the time that the path of a file that is read says; None for a file that is not read.

        A file that was moved within its group, with the same content, brings nothing new.
        """
        named = self.named(path)
        return None if named is None else (named.received,)

    def _named(self, path: bytes) -> Named | None:
        if self._chosen is None and not _SYMBOL_FILE.fullmatch(path):
            return None
        return self._pattern.match(PurePosixPath(os.fsdecode(path)))

    def check_unambiguous(self, paths: Iterable[bytes]) -> None:
        """Raise Trouble if two files of different folders have the name of one symbol."""
        found: dict[str | None, bytes] = {}
        for path in paths:
            named = self.named(path)
            if named is not None and found.setdefault(named.symbol, path) != path:
                one, other = shown(found[named.symbol]), shown(path)
                folder = one.rpartition("/")[0]
                raise Trouble(
                    f"{one} and {other} may both be {named.symbol}'s",
                    remedy=f"choose, as with --path '{folder and f'{folder}/'}{_USUAL}'",
                )


class Others:
    """Files that are not read, counted, and the first of them by name."""

    def __init__(self, why: str) -> None:
        self._why = why
        self._names: list[str] = []
        self._seen: set[int] = set()

    def add(self, path: bytes) -> None:
        """Count a file once, however often it was changed."""
        key = hash(path)
        if key not in self._seen:
            self._seen.add(key)
            if len(self._names) < NAMED:
                self._names.append(os.fsdecode(path))

    def remarks(self, place: Place) -> Iterable[Skipped]:
        """Yield what was counted."""
        if self._seen:
            yield skipped(place, self._why, self._names, len(self._seen))


def shown(path: bytes) -> str:
    """Return a path for people."""
    return printable(os.fsdecode(path))
