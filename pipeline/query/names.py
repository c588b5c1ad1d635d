"""Names: the symbols that a company has had, each with when it had it."""

from datetime import datetime
from typing import NamedTuple

from pipeline.instants import LATEST, from_text
from pipeline.model.renames import EARLIEST, Span


class Name(NamedTuple):
    """A symbol of a company."""

    symbol: str
    since: datetime | None
    """None: as long as anything is known of it."""
    until: datetime | None
    """Not any more at this instant itself; None: it still has it."""

    @classmethod
    def of(cls, span: Span) -> "Name":
        """Return the name that a span gives."""
        return cls(
            span.symbol,
            None if span.since == EARLIEST else from_text(span.since),
            None if span.until == LATEST else from_text(span.until),
        )
