"""The tool `panel`: what was known of companies at each of many instants."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from pipeline.agents.arguments import CursorText, FieldText, Hours, Limit, SinceText, SymbolText, UntilArguments
from pipeline.agents.csv_text import csv_lines, in_hours
from pipeline.agents.paging import page
from pipeline.agents.refusals import BadCall
from pipeline.agents.symbols import Missing, find_companies, missing_lines
from pipeline.agents.tool import (
    HoursSince,
    InstantText,
    Question,
    ResultWithUnits,
    Row,
    Tool,
    Values,
    in_steps,
    records,
    units_lines,
    units_of,
    values_of,
)
from pipeline.instants import parse_span, to_text
from pipeline.model.fields import Field, find_fields
from pipeline.query.panel import grid_of, in_order

_MOST_CELLS = 100_000
"""Companies times instants: what is read within half a second."""


CalendarText = Annotated[
    str,
    Meta(
        description="An exchange whose closes to take instead of ends of days.",
        examples=["XNYS"],
        pattern=r"^[A-Za-z0-9_/]{1,20}$",
    ),
]
SpanText = Annotated[
    str,
    Meta(
        description="An embargo: answer each instant with what was known that much earlier.",
        examples=["1d"],
        max_length=10,
    ),
]


class PanelArguments(UntilArguments, kw_only=True, frozen=True):
    """What `panel` is called with."""

    fields: Annotated[
        list[FieldText],
        Meta(
            description="One to ten fields by column or API name. One alone gives the most compact text.",
            examples=[["pe_ratio"]],
            min_length=1,
            max_length=10,
        ),
    ]
    since: SinceText
    every: Annotated[
        Literal["1d", "1w", "1mo", "1q"],
        Meta(
            description=(
                "Step of the grid. From a date on: ends of days, weeks, months or quarters in UTC. From an instant "
                "on: the same time of later days."
            )
        ),
    ] = "1mo"
    calendar: CalendarText | None = None
    symbols: Annotated[
        list[SymbolText], Meta(description="Only these companies. Left out: all.", examples=[["AAPL"]], max_length=200)
    ] = field(default_factory=list)
    lag: SpanText | None = None
    max_staleness_hours: Annotated[
        Hours | None, Meta(description="Leave values empty that were last seen longer before.", examples=[72])
    ] = None
    universe: Annotated[
        bool, Meta(description="Only companies that were configured at each instant: avoids survivorship bias.")
    ] = False
    limit: Annotated[Limit, Meta(description="Cells at most: a cell is a company at an instant.")] = 120
    cursor: CursorText | None = None


class Cell(Row, kw_only=True, frozen=True):
    """What was known of a company at an instant of the grid."""

    at: InstantText
    symbol: str
    values: Values
    observed_at: Annotated[
        InstantText | None,
        Meta(description="When that was first seen. Absent: nothing was known, or it was too stale."),
    ] = None
    staleness_hours: HoursSince | None = None


class Cells(ResultWithUnits, kw_only=True, frozen=True):
    """What `panel` answers."""

    total: Annotated[int, Meta(description="Companies times instants, on all pages.")]
    cells: Annotated[list[Cell], Meta(description="By instant and company.")]
    missing: Annotated[list[Missing], Meta(description="Symbols of which nothing was known.")] = field(
        default_factory=list
    )


def _answer(question: Question[PanelArguments]) -> Cells:
    asked, history = question.asked, question.history
    names, missing = find_companies(question, asked.symbols) if asked.symbols else (history.symbols(), [])
    columns = find_fields(asked.fields, ())
    if not columns:
        raise BadCall("the panel has no field", remedy="name one, such as pe_ratio")
    instants = _instants(question)
    _check_size(len(instants), len(names))
    longest = None if asked.max_staleness_hours is None else timedelta(hours=asked.max_staleness_hours)
    answer = history.panel(
        columns, at=instants, symbols=names, max_staleness=longest, lag=_lag(asked.lag), universe=asked.universe
    )
    limit = max(1, asked.limit // len(names)) * len(names) if 0 < len(names) <= asked.limit else asked.limit
    found = page(_cells(records(answer), columns), question.offset, limit)
    return Cells(
        at=question.at_text,
        notices=question.notices(*_when_it_begins(question, instants[0], names)),
        next_cursor=question.cursor(found),
        units=units_of(field.column for field in columns),
        total=len(instants) * len(names),
        cells=list(found.rows),
        missing=missing,
    )


def _instants(question: Question[PanelArguments]) -> list[datetime]:
    """Return the instants of the grid. Raise BadCall if there are none."""
    asked = question.asked
    question.since(asked.since)
    begin = question.first_reach.day_or_instant("since", asked.since)
    instants = in_order(grid_of(asked.every, asked.calendar, begin, question.at))
    if not instants:
        raise BadCall("the grid has no instant: until is before the end of the first day or period", remedy=_SHORTER)
    return instants


_SHORTER = "begin earlier, or name a shorter `every`"


def _when_it_begins(question: Question[PanelArguments], first: datetime, names: Sequence[str]) -> list[str]:
    """Return a notice if the grid begins before anything was observed: its first cells are empty."""
    began = question.history.first_observed_at(names)
    if began is None or began <= first:
        return []
    return [f"The first snapshot of these companies is of {to_text(began)}: cells before it are empty."]


def _check_size(instants: int, companies: int) -> None:
    cells = instants * companies
    if cells > _MOST_CELLS:
        problem = f"{companies:,} companies at {instants:,} instants are {cells:,} cells, of {_MOST_CELLS:,} at most"
        raise BadCall(problem, remedy="name symbols, begin later, or take a longer `every`, such as 1mo")


def _lag(text: str | None) -> timedelta:
    try:
        return timedelta(0) if text is None else parse_span(text)
    except ValueError as error:
        raise BadCall(f"lag: {error}") from None


def _cells(rows: Iterable[dict[str, Any]], columns: Sequence[Field]) -> Iterator[Cell]:
    names = [field.column for field in columns]
    return (
        Cell(
            at=row["at"],
            symbol=row["symbol"],
            values=values_of(row, names),
            observed_at=row["observed_at"],
            staleness_hours=in_steps(row["staleness_hours"]),
        )
        for row in rows
    )


def _lines(result: Cells) -> list[str]:
    cells = result.cells
    head = f"{len(cells):,} of {result.total:,} cells"
    if not cells:
        return [head, *missing_lines(result.missing)]
    columns = list(cells[0].values)
    table = _pivoted(cells, columns[0]) if len(columns) == 1 else []
    if not table:
        rows = (
            [_day(one.at), one.symbol, *one.values.values(), one.observed_at, in_hours(one.staleness_hours)]
            for one in cells
        )
        table = csv_lines(["at", "symbol", *columns, "observed_at", "staleness_hours"], rows)
    return [head, *units_lines(result.units), *table, *missing_lines(result.missing)]


def _day(at: str) -> str:
    """Return the end of a day as the day: that is what a day means in a call."""
    return at.removesuffix("T23:59:59.999Z")


def _pivoted(cells: Sequence[Cell], column: str) -> list[str]:
    """Return one field with a line for each instant and a column for each company; nothing for a part of an instant."""
    by_instant = [list(of_instant) for _, of_instant in groupby(cells, key=lambda one: one.at)]
    symbols = [one.symbol for one in by_instant[0]]
    if any([one.symbol for one in of_instant] != symbols for of_instant in by_instant):
        return []
    rows = ([_day(of_instant[0].at), *(one.values[column] for one in of_instant)] for of_instant in by_instant)
    return [
        f"{column} of each company, empty where nothing was known or it was too stale:",
        *csv_lines(["at", *symbols], rows),
    ]


PANEL = Tool(
    name="panel",
    title="Values at many instants",
    description=(
        "Give what was known of companies at each instant of a grid from `since` to `until`: a row for each instant "
        "and company, as `overview` would say then, empty where nothing was known yet. Use it for time series on "
        "regular days, for several companies side by side, and for backtests: no cell knows anything observed after "
        "its instant. `lag` sets an embargo. For a single company's versions as they came use `history`.\n"
        'Example: {"fields": ["pe_ratio"], "since": "2025-12-31", "until": "2026-03-14", "every": "1w", '
        '"symbols": ["AAPL", "MSFT"]}'
    ),
    arguments=PanelArguments,
    result=Cells,
    answer=_answer,
    lines=_lines,
)
