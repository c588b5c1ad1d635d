"""Reach: up to which instant may be asked: now, a lock's, or an address's; and what a question about a later one gets.

The one rule of pages, the API, `/query`, the feed, `pipeline serve`, `pipeline mcp` and its tools.
"""

from dataclasses import dataclass
from datetime import date, datetime

from pipeline import instants
from pipeline.errors import Trouble
from pipeline.query import bounds
from pipeline.query.bounds import BeyondHorizon
from pipeline.text import quoted


class BeyondReach(Trouble):
    """A question about an instant that may not be asked about."""


class InFuture(BeyondReach):
    """The instant is in the future."""


class AfterLock(BeyondReach):
    """The instant is after the one at which the record is locked."""


class AfterAddress(BeyondReach):
    """The instant is after the one that the address names."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far questions may reach.

    The record's clock stands at the end: `now` is there, `7d` counts back from there, and the day that it lies in is
    not over, so it ends there.
    """

    at: datetime
    """The latest instant that may be asked about, in milliseconds as the record has it."""
    lock: datetime | None = None
    """The instant at which the record is locked."""
    is_address: bool = False
    """Whether it ends at the instant of an address. A later one has another address."""

    @classmethod
    def of_record(cls, *, now: datetime, lock: datetime | None) -> "Reach":
        """Return how far questions to a record may reach: to the present, or to its lock."""
        return cls(instants.in_milliseconds(now if lock is None else min(now, lock)), lock)

    def instant(self, name: str, text: str, *, day_ends: bool) -> datetime:
        """Return the instant that a text names; of a day its end or its start. `name`: what the text was given as.

        Raise BeyondReach for a later one than may be asked about, and Trouble for text that is none.
        """
        try:
            return instants.in_milliseconds(bounds.instant(text, day_ends=day_ends, horizon=self.at))
        except BeyondHorizon:
            raise self._beyond(f"{name} {quoted(text)}", instants.parse(text, now=self.at, day_ends=False)) from None
        except ValueError:
            raise Trouble(f"invalid {name} {quoted(text)}", remedy=f"use {instants.FORMS}") from None

    def day_or_instant(self, name: str, text: str) -> date | datetime:
        """Return the day that a text names, else its instant. Raise as `instant` does."""
        begins = self.instant(name, text, day_ends=False)
        named = instants.parse_day_or_instant(text, now=self.at)
        return begins if isinstance(named, datetime) else named

    def _beyond(self, what: str, begins: datetime) -> BeyondReach:
        if self.lock is not None and begins > self.lock:
            problem = f"{what} is after the lock: this record is open up to {instants.to_text(self.lock)}"
            return AfterLock(problem, remedy="ask for an instant up to then, or for now, which is then")
        last = instants.to_text(self.at)
        if self.is_address:
            problem = f"{what} is after the instant of the address, {last}"
            return AfterAddress(problem, remedy="ask for an earlier one, or at another address")
        return InFuture(f"{what} is in the future: it is {last} now", remedy="ask for a past instant, or for now")


def check_order(begins: datetime | None, ends: datetime) -> None:
    """Raise Trouble for an interval that ends before it begins."""
    if begins is not None and begins > ends:
        problem = f"since, {instants.to_text(begins)}, is later than until, {instants.to_text(ends)}"
        raise Trouble(problem, remedy="name an earlier since, or a later until")
