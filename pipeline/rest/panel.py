"""`/api/v1/panel`: what was known of each company at each instant of a grid."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from http import HTTPStatus
from itertools import chain, islice
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta

from pipeline import extras, instants
from pipeline.query.history import History
from pipeline.query.panel import PanelRow, grid_of, in_order
from pipeline.query.results import Answer, Row
from pipeline.rest.asked import Asked, staleness
from pipeline.rest.endpoints import Recorded
from pipeline.rest.parameters import Fields, Hours, InstantText, InUniverse, Paged, SpanText, Symbols, Text, Until
from pipeline.rest.positions import Position
from pipeline.rest.rows import Instant, ObservedSymbol, Symbol, with_fields
from pipeline.rest.tables import MOST_VALUES, Table, too_large
from pipeline.web.refusals import Refusal

_MOST_INSTANTS = 100_000


class PanelOf(Paged, frozen=True, kw_only=True):
    """What `/panel` takes."""

    field: Fields = ()
    every: Annotated[
        Literal["1d", "1w", "1mo", "1q"], Meta(description="The step of the grid: day, week, month, quarter.")
    ] = "1d"
    calendar: Annotated[
        Text | None,
        Meta(
            description="Closes of an exchange on the last trading day of each step, instead of the ends of days.",
            examples=["XNYS"],
        ),
    ] = None
    at: Annotated[
        tuple[InstantText, ...],
        Meta(description="The instants themselves, instead of a grid. Repeat it, or put commas between."),
    ] = ()
    since: Annotated[
        InstantText | None,
        Meta(
            description=(
                "The start of the grid. From a day on it has the ends of days in UTC; from an instant on, that instant"
                " and the same time of later days. Without it: the day of the first snapshot."
            )
        ),
    ] = None
    until: Annotated[Until | None, Meta(description="The end of the grid: the instant of the address without it.")] = (
        None
    )
    symbol: Symbols = ()
    max_staleness: Annotated[Hours | None, Meta(description="Leave empty what was last seen longer before.")] = None
    lag: Annotated[
        SpanText | None, Meta(description="An embargo: answer each instant by what was known that much earlier.")
    ] = None
    universe: InUniverse = False


class CellBase(msgspec.Struct, frozen=True, kw_only=True):
    """What was known of a company at an instant. Values are null also where nothing was known, or it was too stale."""

    at: Annotated[Instant, Meta(description="The instant of the grid.")]
    symbol: Symbol
    observed_at: Annotated[Instant | None, Meta(description="When the snapshot was first seen.")]
    staleness_hours: Annotated[
        float | None, Meta(description="How long before the instant, less the lag, it was last seen.")
    ]
    observed_symbol: ObservedSymbol = UNSET


class _Block(NamedTuple):
    """Some instants of a panel, each with some companies."""

    instants: Sequence[datetime]
    companies: Sequence[str]


def panel(history: History, asked: Asked[PanelOf]) -> Table:
    """Return the cells of a panel, by instant and company."""
    given = asked.given
    names = asked.names(history, given.symbol)
    grid = in_order(_grid(history, asked, names))
    lag = instants.parse_span(given.lag) if given.lag else timedelta(0)

    def block(part: _Block) -> Answer[PanelRow]:
        return history.panel(
            given.field,
            at=part.instants,
            symbols=part.companies or None,
            max_staleness=staleness(given.max_staleness),
            lag=lag,
            universe=given.universe,
        )

    if asked.limit is None:
        whole = block(_Block(grid, names))
        if len(grid) * len(names) * len(whole.columns) > MOST_VALUES:
            raise too_large()
        return Table(whole, _key, is_bounded=True)
    begin = _begin(asked, grid, names)
    end = min(begin + asked.limit, len(grid) * len(names))
    last = divmod(end - 1, len(names)) if names else (0, 0)
    beyond = Position((instants.to_text(grid[last[0]]), names[last[1]]), 1) if end < len(grid) * len(names) else None
    columns = block(_Block([], names[:1])).columns

    def rows() -> Iterator[Row]:
        return chain.from_iterable(block(part).rows() for part in _blocks(grid, names, begin, end))

    return Table(Answer(columns, rows, PanelRow), _key, beyond=beyond)


def _key(row: Row) -> tuple[str, ...]:
    return row[0], row[1]


def _begin(asked: Asked[PanelOf], grid: Sequence[datetime], names: Sequence[str]) -> int:
    """Return the number of the first cell of the page."""
    if (key := asked.key(2)) is None:
        return 0
    at = asked.position_at(key[0])
    row = bisect_left(grid, at)
    return min(row * len(names) + bisect_right(names, key[1]), len(grid) * len(names))


def _blocks(grid: Sequence[datetime], names: Sequence[str], begin: int, end: int) -> Iterator[_Block]:
    """Yield cells in as few blocks as there can be: the end of an instant, whole instants, the beginning of one."""
    while begin < end:
        row, column = divmod(begin, len(names))
        if column == 0 and end - begin >= len(names):
            rows = (end - begin) // len(names)
            yield _Block(grid[row : row + rows], names)
            begin += rows * len(names)
        else:
            stop = min(len(names), column + end - begin)
            yield _Block(grid[row : row + 1], names[column:stop])
            begin += stop - column


def _grid(history: History, asked: Asked[PanelOf], names: Sequence[str]) -> Sequence[datetime]:
    """Return the instants of the panel. Raise Refusal for both a grid and instants, or too many."""
    given = asked.given
    if given.at:
        if given.since or given.until or given.calendar:
            problem = "at names the instants: there is no grid"
            raise Refusal(HTTPStatus.BAD_REQUEST, problem, remedy="leave out calendar, since and until")
        named = (asked.instant("at", one, day_ends=True) for one in given.at)
        return [one for one in named if one is not None]
    asked.interval(given.since, given.until)
    until = asked.instant("until", given.until, day_ends=True) or asked.at
    since = asked.day_or_instant("since", given.since) or _first_day(history, asked, names)
    if given.calendar is not None and not extras.have_calendars():
        problem = "calendars need exchange_calendars, which the server does not have"
        remedy = f"on the server, {extras.installs('calendars')}"
        raise Refusal(HTTPStatus.NOT_IMPLEMENTED, problem, remedy=remedy)
    found = list(islice(grid_of(given.every, given.calendar, since, until), _MOST_INSTANTS + 1))
    if len(found) > _MOST_INSTANTS:
        raise too_large()
    return found


def _first_day(history: History, asked: Asked[PanelOf], names: Sequence[str]) -> date:
    if not asked.given.symbol:
        return asked.first_observed_at(history).date()
    first = history.first_observed_at(names)
    return date.max if first is None else first.date()


PANEL = Recorded(
    "/panel",
    "panel",
    "What was known of each company at each instant of a grid",
    "As `/as-of` says it, by instant and company. A company of which nothing was known, or that was too stale, has a"
    " row of nulls.",
    PanelOf,
    with_fields(CellBase),
    panel,
)
