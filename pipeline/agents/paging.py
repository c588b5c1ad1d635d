"""Paging: answers of a bounded size, and the cursors that lead from one to the next."""

import json
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Generic, TypeVar

from pipeline.agents.arguments import Arguments
from pipeline.agents.refusals import BadCall
from pipeline.json_text import encode_json
from pipeline.text import quoted

T = TypeVar("T")
LARGEST_PAGE = 32_000
"""Characters of a page's rows as JSON: some 10,000 tokens, at which clients begin to warn. They cut at 25,000."""
_CURSOR = re.compile(r"([0-9a-f]{1,12})\.([0-9a-f]{1,12})\.([0-9a-f]{1,12})\.([0-9a-f]{8})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins, in the answer that a call had at an instant."""

    offset: int
    at: datetime
    asked_at: datetime
    """What was the present then: of `7d`, each page counts back from there."""
    question: int
    """A checksum of the call: a cursor continues the one that it came from, and no other."""

    def __str__(self) -> str:
        at, asked_at = ((one - _EPOCH) // _MILLISECOND for one in (self.at, self.asked_at))
        return f"{self.offset:x}.{at:x}.{asked_at:x}.{self.question:08x}"

    @classmethod
    def parse(cls, text: str, question: int) -> "Cursor":
        """Return the cursor of a call. Raise BadCall for text that is none, or another call's."""
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise BadCall(f"invalid cursor {quoted(text)}", remedy="pass next_cursor as the last answer gave it")
        offset, at, asked_at, of_question = (int(one, 16) for one in found.groups())
        if of_question != question:
            problem = "the cursor belongs to a call with other arguments"
            raise BadCall(problem, remedy="repeat all arguments of that call, or leave cursor out to start over")
        try:
            return cls(offset, _EPOCH + at * _MILLISECOND, _EPOCH + asked_at * _MILLISECOND, question)
        except OverflowError:
            raise BadCall(f"invalid cursor {quoted(text)}", remedy="leave it out to start over") from None


def checksum(tool: str, asked: Arguments) -> int:
    """Return what tells calls apart: their tool and arguments, but for those that may differ between pages."""
    given = {name: getattr(asked, name) for name in asked.__struct_fields__ if name not in ("cursor", "limit")}
    return zlib.crc32(json.dumps([tool, given]).encode())


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of an answer."""

    rows: Sequence[T]
    next_offset: int | None
    """Where the next page begins; None where this is the last."""


def page(rows: Iterable[T], offset: int, limit: int) -> Page[T]:
    """Return the rows from an offset: up to a limit, and not more than an agent can read at once."""
    found: list[T] = []
    characters = 0
    for row in islice(rows, offset, None):
        characters += len(encode_json(row))
        if len(found) == limit or (found and characters > LARGEST_PAGE):
            return Page(found, offset + len(found))
        found.append(row)
    return Page(found, None)
