"""`/changes.atom`: what changed lately, as a feed with an entry for each company and observation."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from heapq import heappush, heappushpop
from html import escape
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, urlencode

from aiohttp import web
from msgspec import Meta, Struct

from pipeline import instants
from pipeline.model.changes import parse_fraction
from pipeline.model.fields import ALL, find_field
from pipeline.query.history import History
from pipeline.query.results import Row
from pipeline.rest import headlines
from pipeline.rest.asked import Asked
from pipeline.rest.atom import CONTENT_TYPE, Entry, Feed, id_of, xml
from pipeline.rest.changes import Fraction, PartName, Suspicious
from pipeline.rest.endpoints import target
from pipeline.rest.headlines import Changed
from pipeline.rest.parameters import Fields, InUniverse, Since, Symbols, Until, read_parameters
from pipeline.rest.problems import refuse
from pipeline.text import count, cut
from pipeline.web import readings
from pipeline.web.ask import Ask
from pipeline.web.routes import Route

PATH = "/changes.atom"
_PAGE = "/changes"
_GENERATOR = "overview-pipeline"
_DAYS = (1, 7, 31, 366)
"""How far a feed goes back: as far as it has to for its entries ..."""
_MOST_COMPANY_DAYS = 100_000
"""... and as is quickly read: a week of 12,000 companies."""
_LONGEST_VALUE = 200


class FeedOf(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the feed takes."""

    symbol: Symbols = ()
    since: Annotated[Since | None, Meta(description="Without it: as many days back as it takes, a year at most.")] = (
        None
    )
    until: Until | None = None
    field: Fields = ()
    part: PartName | None = None
    min_change: Fraction = "0"
    suspicious: Suspicious = False
    universe: InUniverse = False
    limit: Annotated[int, Meta(ge=1, le=500, description="The most entries.")] = 100


class _Observation(NamedTuple):
    """What one observation of a company changed."""

    at: str
    company: str
    changes: Sequence[Row]


class _Found(NamedTuple):
    newest: Sequence[_Observation]
    others: int
    """How many more there are."""
    since: datetime


async def feed(ask: Ask) -> web.Response:
    """Answer the feed."""
    given = read_parameters(FeedOf, {}, ask.request.query)
    body = await ask.read(lambda history: _xml(history, Asked(ask, given)))
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


def _xml(history: History, asked: Asked[FeedOf]) -> bytes:
    found = _find(history, asked)
    ask, root = asked.ask, f"{asked.ask.request.scheme}://{asked.ask.request.host}"
    filters, is_invented = _filters(asked.given), bool(history.holds_invented())
    day = instants.to_text(found.since)[:10]
    page = f"{root}{ask.link(_PAGE)}?{urlencode([*filters, ('since', day)])}"
    about = Feed(
        id=id_of("changes", ask.link(""), urlencode(filters)),
        title=headlines.of_feed(_filter(asked.given), ask.named, is_invented=is_invented),
        subtitle=f"What changed since {day}: an entry for each company and observation, the newest first",
        updated=found.newest[0].at if found.newest else instants.to_text(found.since),
        itself=f"{root}{target(ask)}",
        page=page,
        generator=_GENERATOR,
    )
    names = readings.company_names(ask, history, {one.company for one in found.newest})
    entries = [
        _entry(history, one, f"{root}{ask.link('/companies/')}", names.get(one.company), is_invented=is_invented)
        for one in found.newest
    ]
    if found.others:
        entries.append(_rest(found, page, day))
    return xml(about, entries)


def _filters(given: FeedOf) -> list[tuple[str, str]]:
    """Return the parameters that select changes, in one order and spelling."""
    found = [("symbol", one) for one in sorted(symbol.upper() for symbol in given.symbol)]
    found += [("field", one) for one in sorted(find_field(name).column for name in given.field if name != ALL)]
    found += [("part", given.part)] if given.part is not None else []
    found += [("min_change", given.min_change)] if parse_fraction(given.min_change) else []
    return found + [(name, "true") for name in ("suspicious", "universe") if getattr(given, name)]


def _filter(given: FeedOf) -> headlines.Filter:
    return headlines.Filter(
        given.symbol, given.field, given.part, given.min_change, suspicious=given.suspicious, universe=given.universe
    )


def _find(history: History, asked: Asked[FeedOf]) -> _Found:
    """Return the newest observations that changed something, of as many days as it takes."""
    given = asked.given
    since, until = asked.interval(given.since, given.until)
    names = history.check_symbols(given.symbol) if given.symbol else None
    if since is not None:
        return _found(history, asked, names, since, until)
    companies, day = len(asked.names(history, given.symbol)), instants.of_day(until.date(), ends=False)
    for days, more in pairwise((*_DAYS, 0)):
        found = _found(history, asked, names, day - timedelta(days=days - 1), until)
        if not more or len(found.newest) == given.limit or companies * more > _MOST_COMPANY_DAYS:
            break
    return found


def _found(
    history: History, asked: Asked[FeedOf], names: Sequence[str] | None, since: datetime, until: datetime
) -> _Found:
    """Return the newest observations of an interval that changed something."""
    given = asked.given
    rows = history.changes(
        names,
        since=since,
        until=until,
        part=given.part,
        fields=given.field or None,
        min_change=parse_fraction(given.min_change),
        suspicious=given.suspicious,
        universe=given.universe,
    ).rows()
    newest: list[_Observation] = []
    seen = 0
    for (company, at), changes in groupby(rows, _company_and_instant):
        seen += 1
        keep = heappush if len(newest) < given.limit else heappushpop
        keep(newest, _Observation(at, company, list(changes)))
    return _Found(sorted(newest, reverse=True), seen - len(newest), since)


_company_and_instant = itemgetter(Changed._fields.index("symbol"), Changed._fields.index("observed_at"))


def _entry(history: History, found: _Observation, companies: str, name: str | None, *, is_invented: bool) -> Entry:
    ordered = sorted((Changed(*row) for row in found.changes), key=_weight)
    head = _row(("field", "before", "after", "change", "suspicion"), "th")
    rows = (
        _row((one.label, _shown(one.before), _shown(one.after), one.percent, one.suspicion or "")) for one in ordered
    )
    return Entry(
        id=id_of("observation", _symbol_then(history, found), found.at),
        title=headlines.of_entry(found.company, name, ordered, is_invented=is_invented),
        updated=found.at,
        link=f"{companies}{quote(found.company, safe='')}",
        html=f"<table>{head}{''.join(rows)}</table>",
        categories=sorted({word for one in ordered for word in (one.part, one.suspicion) if word is not None}),
    )


def _symbol_then(history: History, found: _Observation) -> str:
    """Return the symbol that a company had at an observation: a later rename must not make its entries new."""
    at = instants.from_text(found.at)
    names = [one for one in history.names(found.company) if one.since is None or one.since <= at]
    return names[-1].symbol if names else found.company


def _weight(one: Changed) -> tuple[bool, float]:
    """Return what sorts changes: suspicious ones first, then by size."""
    return one.suspicion is None, -abs(one.change or 0.0)


def _row(cells: Sequence[str], tag: str = "td") -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"


def _shown(value: Any) -> str:
    return "" if value is None else cut(str(value), _LONGEST_VALUE)


def _rest(found: _Found, page: str, day: str) -> Entry:
    """Return the entry that says what the feed leaves out."""
    more = count(found.others, "observation")
    return Entry(
        id=id_of("more", page.partition("?")[2], day),
        title=f"and {more} more with changes",
        updated=found.newest[-1].at,
        link=page,
        html=f"<p>{more} more changed something since {day}. Narrow the feed with symbol, field, part, min_change or"
        " suspicious, or raise its limit.</p>",
    )


FEED = Route(PATH, feed, refuse)
