"""The universe: which companies were configured at an instant, so that a backtest has no survivorship bias."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.model.companies import Companies
from pipeline.model.renames import QUALIFIED


class Listing(NamedTuple):
    """A symbol that was in the configured list from `since` to before `until`, as text."""

    symbol: str
    since: str
    until: str


class Universe:
    """When each company was in the configured list, under any of its symbols."""

    def __init__(self, listings: Iterable[Listing], companies: Companies) -> None:
        """Take the lists as they were noted.

        A symbol means the company that had it then. After a rename the old symbol still means its company, unless it
        was reused: the list may not have been updated yet.
        """
        self._times: dict[str, list[tuple[str, str]]] = {}
        for listing in listings:
            for company, since, until in _of_companies(listing, companies):
                self._times.setdefault(company, []).append((since, until))

    @property
    def began_at(self) -> str | None:
        """When the first list was noted, as text; None if none was."""
        return min((since for times in self._times.values() for since, _ in times), default=None)

    def times(self, company: str) -> Sequence[tuple[str, str]]:
        """Return when a company was configured: from one instant to before another, as text. They may overlap."""
        return self._times.get(company, ())

    def has(self, company: str, at: str) -> bool:
        """Whether a company was configured at an instant, as text."""
        return any(since <= at < until for since, until in self.times(company))

    def companies_at(self, at: str) -> set[str]:
        """Return the names of the companies that were configured at an instant, as text."""
        return {company for company in self._times if self.has(company, at)}


def _of_companies(listing: Listing, companies: Companies) -> Iterable[tuple[str, str, str]]:
    """Yield the companies that a listing means, each with from when and before when."""
    if not companies.has_symbol(listing.symbol):
        yield listing.symbol, listing.since, listing.until
        return
    renamed = None
    for span in companies.spans_of(listing.symbol):
        is_unnamed = QUALIFIED in span.company
        company = renamed if is_unnamed and renamed is not None else span.company
        since, until = max(span.since, listing.since), min(span.until, listing.until)
        if since < until:
            yield company, since, until
        if not is_unnamed:
            renamed = span.company
