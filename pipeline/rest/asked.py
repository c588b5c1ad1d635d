"""Asked: what one request asks of a table or a company, with its instants made of their texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Generic, TypeVar

import msgspec

from pipeline import instants
from pipeline.query.history import History
from pipeline.query.reach import check_order
from pipeline.rest.formats import Format
from pipeline.rest.positions import Position, invalid
from pipeline.web import readings
from pipeline.web.ask import Ask

P = TypeVar("P", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Asked(Generic[P]):
    """What one request asks."""

    ask: Ask
    given: P
    """Its parameters."""
    form: Format = Format.JSON
    limit: int | None = None
    """The most rows of the answer; None: the table whole."""
    after: Position | None = None
    """Where the page begins; None: with the table."""

    @property
    def at(self) -> datetime:
        """The instant that bounds the answer."""
        return self.ask.at

    def names(self, history: History, symbols: Sequence[str]) -> Sequence[str]:
        """Return the companies that are asked about: those of the symbols, or all."""
        if symbols:
            return history.check_symbols(symbols)
        return readings.symbols(self.ask, history)

    def first_observed_at(self, history: History) -> datetime:
        """Return when the first snapshot of all was observed; where there is none, the instant."""
        return readings.first_observed_at(self.ask, history) or self.at

    def key(self, parts: int) -> tuple[str, ...] | None:
        """Return the key behind which the page begins. Raise Refusal for one of another table."""
        if self.after is not None and len(self.after.key) != parts:
            raise invalid(self.after.text())
        return None if self.after is None else self.after.key

    def position_at(self, text: str) -> datetime:
        """Return an instant that the position holds. Raise Refusal for other text, or a later one than the answer's."""
        assert self.after is not None
        try:
            at = instants.from_text(text)
        except ValueError:
            raise invalid(self.after.text()) from None
        if at > self.at:
            raise invalid(self.after.text())
        return at

    def instant(self, name: str, text: str | None, *, day_ends: bool) -> datetime | None:
        """Return the instant of a parameter. Raise Trouble for one that is invalid, or that may not be asked about."""
        return None if text is None else self.ask.instant_of(name, text, day_ends=day_ends)

    def day_or_instant(self, name: str, text: str | None) -> date | datetime | None:
        """Return the day of a parameter, or its instant, as `instant` does."""
        found = self.instant(name, text, day_ends=False)
        return found if text is None or found == self.at else self.ask.reach.day_or_instant(name, text)

    def interval(self, since: str | None, until: str | None) -> tuple[datetime | None, datetime]:
        """Return the bounds of an interval. Raise Trouble as `instant` does, and if it ends before it begins."""
        begins = self.instant("since", since, day_ends=False)
        ends = self.instant("until", until, day_ends=True) or self.at
        check_order(begins, ends)
        return begins, ends


def staleness(text: str | None) -> timedelta | None:
    """Return the bound that a parameter names: hours, or a span; None: no bound."""
    if text is None:
        return None
    return instants.parse_span(text) if text[-1].isalpha() else timedelta(hours=float(text))
