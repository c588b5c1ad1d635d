"""Asked: what one request asks of a table or a company, with its instants made of their texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Generic, TypeVar

import msgspec

from pipeline import instants
from pipeline.query import bounds
from pipeline.query.bounds import BeyondHorizon
from pipeline.query.history import History
from pipeline.rest.formats import Format
from pipeline.rest.positions import Position, invalid
from pipeline.web.ask import Ask
from pipeline.web.refusals import Refusal

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
        return self.ask.remembered("symbols", history.symbols)

    def first_observed_at(self, history: History) -> datetime:
        """Return when the first snapshot of all was observed; where there is none, the instant."""
        return self.ask.remembered("first seen", history.first_observed_at) or self.at

    def key(self, parts: int) -> tuple[str, ...] | None:
        """Return the key behind which the page begins. Raise Refusal for one of another table."""
        if self.after is not None and len(self.after.key) != parts:
            raise invalid(self.after.text())
        return None if self.after is None else self.after.key

    def position_at(self, text: str) -> datetime:
        """Return an instant that the position holds. Raise Refusal for other text."""
        assert self.after is not None
        try:
            return instants.from_text(text)
        except ValueError:
            raise invalid(self.after.text()) from None

    def instant(self, name: str, text: str | None, *, day_ends: bool) -> datetime | None:
        """Return the instant of a parameter. Raise Refusal for one that is invalid, or that may not be asked about."""
        if text is None:
            return None
        try:
            return bounds.instant(text, day_ends=day_ends, horizon=self.at)
        except BeyondHorizon:
            return self._latest(name, text, day_ends=day_ends)
        except ValueError:
            problem = f"invalid {name} {text[:40]!r}"
            raise Refusal(HTTPStatus.BAD_REQUEST, problem, remedy=f"use {instants.FORMS}") from None

    def day_or_instant(self, name: str, text: str | None) -> date | datetime | None:
        """Return the day of a parameter, or its instant, as `instant` does."""
        found = self.instant(name, text, day_ends=False)
        if text is None or found == self.at:
            return found
        return instants.parse_day_or_instant(text, now=self.at)

    def interval(self, since: str | None, until: str | None) -> tuple[datetime | None, datetime]:
        """Return the bounds of an interval. Raise Refusal as `instant` does, and if it ends before it begins."""
        begins, ends = (
            self.instant("since", since, day_ends=False),
            self.instant("until", until, day_ends=True) or self.at,
        )
        if begins is not None and begins > ends:
            between = f"{instants.for_people(begins)} is later than {instants.for_people(ends)} (UTC)"
            raise Refusal(HTTPStatus.BAD_REQUEST, f"since {between}", remedy="ask for an earlier one")
        return begins, ends

    def _latest(self, name: str, text: str, *, day_ends: bool) -> datetime:
        """Return the present, where an instant is later. Raise Refusal where the address or the lock ends earlier."""
        at, lock = instants.for_people(self.at), self.ask.site.lock
        if lock is not None and instants.parse(text, now=self.at, day_ends=day_ends) > lock:
            problem = f"{name} is after the lock of this server: it answers with what was known at {at} UTC, and before"
            raise Refusal(HTTPStatus.FORBIDDEN, problem, remedy="ask for an earlier instant")
        if self.ask.named is not None:
            problem = f"{name} is after the instant of the address, {at} UTC"
            raise Refusal(HTTPStatus.BAD_REQUEST, problem, remedy="ask for an earlier one, or at another address")
        return self.at


def staleness(text: str | None) -> timedelta | None:
    """Return the bound that a parameter names: hours, or a span; None: no bound."""
    if text is None:
        return None
    return instants.parse_span(text) if text[-1].isalpha() else timedelta(hours=float(text))
