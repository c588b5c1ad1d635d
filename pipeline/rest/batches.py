"""Batches: companies that are read a few at a time, so that a page reads no more than it shows, and little in vain."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.query.results import Answer, Row
from pipeline.rest.positions import Position

_OF_A_PAGE = 20_000
"""Days of a company, about a snapshot each, that are looked through for a page: that takes a tenth of a second."""
_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Batches:
    """The companies from a page's first on, of each of which some days are read."""

    names: Sequence[str]
    days: int

    @property
    def most(self) -> int:
        """How many companies are looked through for the page."""
        return max(1, _OF_A_PAGE // self.days)

    @property
    def beyond(self) -> Position | None:
        """Where the next page begins if this one is not full; None: all companies are looked through."""
        return Position((self.names[self.most], ""), 0) if self.most < len(self.names) else None

    def answer(self, of: Callable[[Sequence[str] | None], Answer[Any]]) -> Answer[Any]:
        """Return the answers of a question about some companies as one, each batch asked for when it is read."""
        size = max(1, _AT_ONCE // self.days)
        names = self.names[: self.most]

        def rows() -> Iterator[Row]:
            for begin in range(0, len(names), size):
                yield from of(names[begin : begin + size]).rows()

        return Answer(of(None).columns, rows, tuple)
