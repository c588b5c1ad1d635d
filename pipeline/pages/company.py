"""The page of one company: who it is, what is known of it, since when, and how that came about."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

from aiohttp import web

from pipeline.instants import MILLISECOND, from_text, to_text
from pipeline.model.changes import Change, ChangeKind
from pipeline.model.fields import CATALOGUE, COLUMNS, SYMBOL_FIELD, Part
from pipeline.model.values import Value
from pipeline.pages.changes import Observation, observations_of
from pipeline.pages.charts import Lines, company_lines, year_before
from pipeline.pages.moves import VALUE
from pipeline.pages.rendering import show
from pipeline.pages.standing import stale_among
from pipeline.pages.values import Held, held
from pipeline.pages.websites import Website, website
from pipeline.query.history import History
from pipeline.query.names import Name
from pipeline.query.results import Snapshot
from pipeline.text import cut
from pipeline.web.ask import AS_OF, Ask

_FIELDS = tuple(field for field in CATALOGUE if field is not SYMBOL_FIELD)
_HEADLINES = tuple(
    COLUMNS[column]
    for column in ("market_capitalization", "pe_ratio", "eps", "dividend_yield", "profit_margin", "latest_quarter")
)
_ABOUT = tuple(COLUMNS[column] for column in ("asset_type", "currency", "country", "fiscal_year_end", "cik", "address"))
_SPEEDS = {Part.DAILY: "Follows the price", Part.REPORTED: "As reported"}
"""The parts that are shown as tables, and their headings."""
_VERSIONS = 12
_CHANGED = 3
"""Observations whose changes are shown."""
_LONGEST_LEAD = 320
"""Letters of the description that the head of the page has."""


class Version(NamedTuple):
    """A snapshot, and when it was seen."""

    observed_at: datetime
    confirmed_at: datetime
    observed_symbol: str | None


@dataclass(frozen=True, slots=True)
class CompanyView:
    """What the page shows."""

    at: datetime
    symbol: str
    """Its name in the record: the newest symbol."""
    names: Sequence[Name]
    """The symbols it has had, the oldest first."""
    newest: Snapshot
    values: Sequence[Held]
    versions: Sequence[Version]
    """The newest ones, the newest first."""
    number: int
    """How many versions there are."""
    first_seen: datetime
    is_longer: bool
    """Whether it was known before the year in which the values are compared."""
    uncovered_since: datetime | None
    """Since when the API answers that it does not cover it; None: it does."""
    lines: Lines
    changed: Sequence[Observation]
    """The last changes, the newest first."""
    stale_after: timedelta | None = None
    """How long it may go without an observation, if it is stale."""

    def __getitem__(self, column: str) -> Value | date:
        return self.newest.values[column]

    @property
    def title(self) -> str:
        """The company's name, or its symbol."""
        name = self["name"]
        return name if isinstance(name, str) and name.strip() else self.symbol

    @property
    def lead(self) -> str:
        """The first sentences of the description."""
        description = self["description"]
        return lead(description) if isinstance(description, str) else ""

    @property
    def path(self) -> str:
        """The page's own path."""
        return f"/companies/{quote(self.symbol, safe='@')}"

    @property
    def headlines(self) -> Sequence[Held]:
        """What most people look for."""
        by_field = {one.field: one for one in self.values}
        return [by_field[field] for field in _HEADLINES]

    @property
    def parts(self) -> Sequence[tuple[Part, str, Sequence[Held]]]:
        """The values that are numbers and dates, by how fast they change."""
        return [(part, name, [one for one in self.values if one.field.part is part]) for part, name in _SPEEDS.items()]

    @property
    def about(self) -> Sequence[Held]:
        """What the profile says besides what the head of the page has."""
        return [one for one in self.values if one.field in _ABOUT and one.value is not None]

    @property
    def site(self) -> Website | None:
        """The company's website, if it is safe to lead there."""
        return website(self["official_site"])

    @property
    def old_names(self) -> Sequence[Name]:
        """The symbols that it had before."""
        return [one for one in self.names if one.symbol != self.names[-1].symbol]

    def at_version(self, version: Version) -> str:
        """Return the address of the page as it was when a version was first seen."""
        return f"{AS_OF}{to_text(version.observed_at)}{self.path}"


async def company(ask: Ask) -> web.Response:
    """Answer with the page of the company that a symbol means, old or new."""
    symbol = ask.request.match_info["symbol"]
    return await show(ask, "company.html", lambda history: _view(ask, history, symbol))


def _view(ask: Ask, history: History, symbol: str) -> CompanyView:
    found = company_view(history, symbol, ask.at)
    is_stale = stale_among(ask, history, {found.symbol: found.newest.confirmed_at})
    return replace(found, stale_after=ask.site.stale_after()) if is_stale else found


def company_view(history: History, symbol: str, at: datetime) -> CompanyView:
    """Return what the page shows of a company. Raise SymbolNotFound.

    Its values are read for a year, and the one before to compare with: a company may have thousands of versions.
    """
    (name,) = history.check_symbols([symbol])
    versions = list(history.history(name, [VALUE]).rows())
    (newest,) = history.as_of(at, [name], _FIELDS)
    since = year_before(newest.confirmed_at)
    year = list(history.history(name, _FIELDS, since=since))
    earlier = list(history.as_of(since - MILLISECOND, [name], _FIELDS))
    changes = list(history.changes([name], since=min(since, newest.observed_at)))
    recent = [one for one in changes if to_text(one.observed_at) >= versions[-_CHANGED:][0][1]]
    return CompanyView(
        at=at,
        symbol=name,
        names=history.names(name),
        newest=newest,
        values=held([*earlier, *year] or [newest], _FIELDS),
        versions=[_version(row) for row in reversed(versions[-_VERSIONS:])],
        number=len(versions),
        first_seen=from_text(versions[0][1]),
        is_longer=bool(earlier),
        uncovered_since=_uncovered_since(changes),
        lines=company_lines(newest, since, year, changes),
        changed=list(observations_of(recent))[: -_CHANGED - 1 : -1],
    )


def _version(row: Sequence[Any]) -> Version:
    _, observed_at, confirmed_at, _, *observed_symbol = row
    return Version(from_text(observed_at), from_text(confirmed_at), observed_symbol[0] if observed_symbol else None)


def _uncovered_since(recent: Sequence[Change]) -> datetime | None:
    """Return since when a company is not covered, of its changes since its newest snapshot at least."""
    turns = [one for one in recent if one.kind in (ChangeKind.COVERED, ChangeKind.UNCOVERED)]
    return turns[-1].observed_at if turns and turns[-1].kind is ChangeKind.UNCOVERED else None


def lead(description: str) -> str:
    """Return the first sentences of a description, as many as the head of a page has room for; one at least."""
    if len(description) <= _LONGEST_LEAD:
        return description
    ends = description.rfind(". ", 0, _LONGEST_LEAD)
    return description[: ends + 1] if ends > 0 else cut(description, _LONGEST_LEAD)
