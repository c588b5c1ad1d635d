"""Complaints: the problems of an import, those of one kind as one line with the first places and how many there are."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from pipeline.text import count, printable
from pipeline.transfer.entries import Place, Problem

_PLACES = 3
"""How many places of a kind are named."""
_KINDS = 50
"""How many kinds are told apart; what comes after them is counted."""
_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|[0-9][0-9T:.,Z-]*|\b[A-Z][A-Z0-9.-]*\b")
"""What differs between two complaints of one kind: quoted text, numbers, instants and symbols."""


@dataclass(slots=True)
class _Kind:
    """Problems of one kind: the first reason, and whether all have the same."""

    reason: str
    places: list[Place] = field(default_factory=list)
    count: int = 0
    varies: bool = False


class Complaints:
    """Problems by kind, in the order in which each kind was first seen."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[type[Problem], str], _Kind] = {}
        self._others = 0

    def add(self, problem: Problem) -> None:
        """Count a problem among those of its kind."""
        key = type(problem), _VARYING.sub("", problem.reason)
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) == _KINDS:
                self._others += 1
                return
            kind = self._kinds[key] = _Kind(problem.reason)
        kind.count += 1
        kind.varies = kind.varies or problem.reason != kind.reason
        if len(kind.places) < _PLACES:
            kind.places.append(problem.place)

    def lines(self) -> Iterator[str]:
        """Yield a line for each kind."""
        for kind in self._kinds.values():
            more = f" and {kind.count - len(kind.places):,} more" if kind.count > len(kind.places) else ""
            yield f"{_together(kind.places)}{more}: {'the first: ' if kind.varies else ''}{kind.reason}"
        if self._others:
            yield f"and {count(self._others, 'problem')} of other kinds"


def _together(places: list[Place]) -> str:
    """Return places as text, a file's name once: `a.jsonl, lines 3, 4; b.jsonl, line 1`."""
    texts = []
    for file, of_file in groupby(places, key=lambda place: place.file):
        numbers = [str(place.line) for place in of_file if place.line]
        lines = f", line{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}" if numbers else ""
        texts.append(f"{printable(file)}{lines}")
    return ("; " if any(place.line for place in places) else ", ").join(texts)
