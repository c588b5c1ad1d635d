"""`/api/v1/as-of` and `/api/v1/history/SYMBOL`: what was known of companies at an instant, and of one through time."""

from bisect import bisect_right
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta

from pipeline.instants import from_text
from pipeline.query.history import History
from pipeline.query.results import Answer, Snapshot
from pipeline.query.suspicions import with_suspicions
from pipeline.rest.asked import Asked, staleness
from pipeline.rest.endpoints import Recorded
from pipeline.rest.formats import Format
from pipeline.rest.parameters import Fields, Hours, InstantText, InUniverse, Paged, Since, Symbols, SymbolText, Until
from pipeline.rest.positions import Position
from pipeline.rest.rows import ConfirmedAt, ObservedAt, ObservedSymbol, StalenessHours, Symbol, with_fields
from pipeline.rest.tables import Table


class AsOf(Paged, frozen=True, kw_only=True):
    """What `/as-of` takes."""

    at: Annotated[
        InstantText | None,
        Meta(description="The instant: that of the address without it, and none after it. A date means its end."),
    ] = None
    symbol: Symbols = ()
    field: Fields = ()
    max_staleness: Hours | None = None
    universe: InUniverse = False


class HistoryOf(Paged, frozen=True, kw_only=True):
    """What `/history/SYMBOL` takes."""

    symbol: SymbolText
    field: Fields = ()
    since: Since | None = None
    until: Until | None = None


class SnapshotAsOfBase(msgspec.Struct, frozen=True, kw_only=True):
    """What was known of a company at an instant."""

    symbol: Symbol
    observed_at: ObservedAt
    confirmed_at: ConfirmedAt
    staleness_hours: StalenessHours
    observed_symbol: ObservedSymbol = UNSET


class SnapshotBase(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a company's overview."""

    symbol: Symbol
    observed_at: ObservedAt
    confirmed_at: ConfirmedAt
    suspicions: Annotated[
        list[str], Meta(description="Changes that the market does not explain, as `field: suspicion`.")
    ]
    observed_symbol: ObservedSymbol = UNSET


def as_of(history: History, asked: Asked[AsOf]) -> Table:
    """Return the newest snapshot of each company at the instant. A page asks about as many companies as its limit."""
    given = asked.given
    at = asked.instant("at", given.at, day_ends=True) or asked.at
    names = asked.names(history, given.symbol) if given.symbol or asked.limit is not None else None
    beyond: Position | None = None
    if names is not None and asked.limit is not None:
        begin = 0 if (key := asked.key(1)) is None else bisect_right(names, key[0])
        names, is_last = names[begin : begin + asked.limit], begin + asked.limit >= len(names)
        beyond = None if is_last else Position((names[-1],), 1)
    if not (names or given.symbol or asked.after):
        names = None  # nothing is known yet
    answer = history.as_of(
        at, names, given.field, max_staleness=staleness(given.max_staleness), universe=given.universe
    )
    return Table(answer, lambda row: (row[0],), beyond=beyond)


def history_of(history: History, asked: Asked[HistoryOf]) -> Table:
    """Return the snapshots of a company, the oldest first."""
    given = asked.given
    since, until = asked.interval(given.since, given.until)
    if (key := asked.key(1)) is not None:
        begins = asked.position_at(key[0])
        since = begins if since is None else max(since, begins)
    seen = 0 if asked.after is None else asked.after.seen
    needed = None if asked.limit is None else asked.limit + 1 + seen
    answer = history.history(given.symbol, given.field, since=since, until=until, limit=needed)
    if asked.form is Format.JSON:
        answer = _with_suspicions(history, asked, answer, since)
    return Table(answer, lambda row: (row[1],))


def _with_suspicions(
    history: History, asked: Asked[HistoryOf], answer: Answer[Snapshot], since: datetime | None
) -> Answer[Snapshot]:
    """Return the rows that the page may need, with what is suspicious about them: no others are compared."""
    rows = list(answer.rows())
    page = Answer(answer.columns, lambda: iter(rows), Snapshot)
    until = from_text(rows[-1][1]) if rows else asked.at
    return with_suspicions(history, asked.given.symbol, page, since=since, until=until)


AS_OF = Recorded(
    "/as-of",
    "as_of",
    "What was known of each company at an instant",
    "The newest snapshot of each company at the instant, and how stale it was. What was observed later takes no part."
    " The page of a company of which nothing was known, or too long ago, has a row less: follow `next` to the end.",
    AsOf,
    with_fields(SnapshotAsOfBase),
    as_of,
)
HISTORY = Recorded(
    "/history/{symbol}",
    "history",
    "One company through time",
    "The snapshots of a company, the oldest first: when each was first seen, and when last seen unchanged.",
    HistoryOf,
    with_fields(SnapshotBase),
    history_of,
)
