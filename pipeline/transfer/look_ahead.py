"""Look-ahead: refuses archives of which too many documents are older than their quarter, by `model.anomalies`.

They were filed under an earlier date than they are of, and as-of answers with them know the future. So that is counted
before anything is stored, in a pass of its own that reads three values of each document. What is not clearly an
overview is not counted: storing will say what it is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from pipeline.decoding import decoder
from pipeline.errors import Undecodable
from pipeline.instants import parse_received, to_text
from pipeline.model.anomalies import quarter_is_over
from pipeline.model.fields import COLUMNS
from pipeline.model.symbols import same_company
from pipeline.model.values import parse_value
from pipeline.text import count
from pipeline.transfer.archives import Lines, Part
from pipeline.transfer.entries import Place, Problem, Received
from pipeline.transfer.json_lines import lines
from pipeline.transfer.streams import OnRead

_TOLERATED = 10
"""One document in as many may be a mistake of the API; more are a mistake of the archive."""
_QUARTER = COLUMNS["latest_quarter"]


class Glance(NamedTuple):
    """What a document says of itself: where it is, and the two dates as text."""

    place: Place
    observed_at: str
    latest_quarter: str


@dataclass(slots=True)
class LookAhead:
    """How many documents there are, and how many of them were received before their latest quarter was over."""

    documents: int = 0
    ahead: int = 0
    first: str = ""
    """The first of them, with its place."""

    @property
    def is_refused(self) -> bool:
        """Whether they are too many for mistakes of the API."""
        return self.ahead * _TOLERATED > self.documents

    def __str__(self) -> str:
        return (
            f"{self.ahead:,} of {count(self.documents, 'document')} were received before their LatestQuarter was over,"
            " which cannot be: nothing was imported; --allow-back-dated imports them anyway"
            f" (the first: {self.first})"
        )

    def count(self, glances: Iterator[Glance], most: int) -> bool:
        """Count the next documents, at most so many. Return whether there may be more."""
        before = self.documents
        for glance in islice(glances, most):
            self.documents += 1
            # Nearly always the texts alone show it, whatever they are and whatever the time zone.
            if glance.latest_quarter > glance.observed_at and not _is_over(glance):
                self.ahead += 1
                self.first = self.first or (
                    f"{glance.place}: received {glance.observed_at[:40]}, LatestQuarter {glance.latest_quarter[:40]}"
                )
        return self.documents - before == most


def _is_over(glance: Glance) -> bool:
    try:
        observed_at = to_text(parse_received(glance.observed_at))
    except ValueError:
        return True
    return quarter_is_over(parse_value(_QUARTER, glance.latest_quarter), observed_at)


def glances(parts: Iterable[Part], on_read: OnRead) -> Iterator[Glance]:
    """Yield a glance at each document of an archive."""
    for part in parts:
        if isinstance(part, Lines):
            yield from _of_lines(part, on_read)
        elif not isinstance(part, Problem):
            glance = _glance(part.place, part.content, part.symbol, None, part.received)
            if glance is not None:
                yield glance


class _Line(msgspec.Struct):
    """What is needed of a line, of any type."""

    symbol: Any = None
    observed_at: Any = None
    body: Any = None
    document: msgspec.Raw = msgspec.Raw(b"null")


class _Document(msgspec.Struct):
    """What is needed of a document, of any type."""

    symbol: Any = msgspec.field(name="Symbol", default=None)
    latest_quarter: Any = msgspec.field(name="LatestQuarter", default=None)


_decode_line = decoder(_Line)
_decode_document = decoder(_Document)


def _of_lines(part: Lines, on_read: OnRead) -> Iterator[Glance]:
    for found in lines(part.source, on_read):
        if isinstance(found, Problem):
            continue
        place, text = found
        try:
            line = _decode_line(text)
        except Undecodable:
            continue
        body = line.body if bytes(line.document) == b"null" else line.document
        symbol = part.received.symbol if line.symbol is None else line.symbol
        glance = _glance(place, body, symbol, line.observed_at, part.received)
        if glance is not None:
            yield glance


def _glance(place: Place, body: Any, symbol: Any, observed_at: Any, received: Received) -> Glance | None:
    """Return a glance at a document, None at what is none, or is not of the symbol: it would not be stored."""
    if observed_at is None and received.observed_at is not None:
        observed_at = to_text(received.observed_at)
    if not isinstance(observed_at, str) or not isinstance(body, str | bytes | msgspec.Raw):
        return None
    try:
        document = _decode_document(body)
    except Undecodable:
        return None
    if not isinstance(symbol, str) or not same_company(symbol.upper(), document.symbol):
        return None
    quarter = document.latest_quarter
    return Glance(place, observed_at, quarter if isinstance(quarter, str) else "")
