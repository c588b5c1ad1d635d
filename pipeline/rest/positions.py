"""Positions: where a page of a table begins, as the text that a `next` link carries."""

from http import HTTPStatus
from typing import NamedTuple, Self

from pipeline.text import quoted
from pipeline.web.refusals import Refusal

_BETWEEN = "~"
"""In no symbol, field or instant, and written in a URL as it is."""


class Position(NamedTuple):
    """The place behind a row: by what identifies it, so that rows which are added before it move nothing."""

    key: tuple[str, ...]
    seen: int = 0
    """How many rows with this key come before the place."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the position of a text that matches AFTER."""
        *key, seen = text.split(_BETWEEN)
        return cls(tuple(key), int(seen))

    def text(self) -> str:
        """Return the position as text."""
        return _BETWEEN.join((*self.key, str(self.seen)))


def invalid(text: str) -> Refusal:
    """Return the refusal of a position that no page named."""
    remedy = "use the next link of the page before, or leave it out for the first page"
    return Refusal(HTTPStatus.BAD_REQUEST, f"invalid after {quoted(text)}", remedy=remedy)
