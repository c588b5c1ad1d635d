"""The tool `vintages`: what a company reported for each fiscal quarter, when it was known, and what was restated."""

from datetime import timedelta
from typing import Annotated, Any

from msgspec import Meta, field

from pipeline.agents.arguments import AtArguments, CursorText, Fields, Limit, SinceText, SymbolText
from pipeline.agents.csv_text import csv_lines, in_fractions
from pipeline.agents.paging import page
from pipeline.agents.symbols import find_company
from pipeline.agents.tool import (
    InstantText,
    Question,
    ResultWithUnits,
    Row,
    Tool,
    Value,
    records,
    units_lines,
    units_of,
)
from pipeline.agents.untrusted import harmless
from pipeline.text import count

_DEFAULT_SPAN = timedelta(days=90)


class VintagesArguments(AtArguments, kw_only=True, frozen=True):
    """What `vintages` is called with."""

    symbol: Annotated[
        SymbolText | None, Meta(description="A ticker. Left out: the restatements of all companies since `since`.")
    ] = None
    fields: Annotated[
        Fields,
        Meta(
            description="Reported fields by column or API name. Left out: those of a quarter's statements.",
            examples=[["revenue_ttm", "ebitda"]],
        ),
    ] = field(default_factory=list)
    since: Annotated[
        SinceText | None,
        Meta(description="Only values first known from then on. Left out without a symbol: 90 days before `at`."),
    ] = None
    restatements: Annotated[bool, Meta(description="Only values that replaced another of the same quarter.")] = False
    limit: Limit = 200
    cursor: CursorText | None = None


class Vintage(Row, kw_only=True, frozen=True):
    """A reported value of one fiscal quarter, with the interval in which it was known."""

    symbol: str
    field: str
    latest_quarter: Annotated[str, Meta(description="Last day of the fiscal quarter.")]
    value: Value
    known_from: InstantText
    known_until: Annotated[InstantText, Meta(description="When it was last seen, up to `at`.")]
    is_restatement: Annotated[bool, Meta(description="Whether the quarter had another value before.")]
    before: Annotated[Value, Meta(description="The value that it replaced.")] = None
    change: Annotated[float | None, Meta(description="As a fraction of the value before.")] = None


class Vintages(ResultWithUnits, kw_only=True, frozen=True):
    """What `vintages` answers."""

    vintages: list[Vintage]


def _answer(question: Question[VintagesArguments]) -> Vintages:
    asked, history = question.asked, question.history
    fields = asked.fields or None
    if asked.symbol is None:
        since = question.since(asked.since, _DEFAULT_SPAN)
        answer = history.restatements(None, fields, since=since, until=question.at)
    else:
        ask = history.restatements if asked.restatements else history.vintages
        company = find_company(question, asked.symbol)
        answer = ask(company, fields, since=question.since(asked.since), until=question.at)
    found = page(map(_vintage, records(answer)), question.offset, asked.limit)
    nothing = [] if found.rows or question.offset else ["Nothing was reported that fits, as far as was known then."]
    return Vintages(
        at=question.at_text,
        notices=question.notices(*nothing),
        next_cursor=question.cursor(found),
        units=units_of(one.field for one in found.rows),
        vintages=list(found.rows),
    )


def _vintage(row: dict[str, Any]) -> Vintage:
    return Vintage(**{name: harmless(value) for name, value in row.items()})


def _lines(result: Vintages) -> list[str]:
    head = count(len(result.vintages), "value")
    rows = ([*(getattr(one, name) for name in _COLUMNS[:-1]), in_fractions(one.change)] for one in result.vintages)
    return [head, *units_lines(result.units), *csv_lines(_COLUMNS, rows)] if result.vintages else [head]


_COLUMNS = Vintage.__struct_fields__

VINTAGES = Tool(
    name="vintages",
    title="Reported values by fiscal quarter",
    description=(
        "Give each value that a company reported, by field and fiscal quarter, with when it was first and last seen, "
        "and whether it replaced another of the same quarter (a restatement), as known at an instant. Use it for what "
        "a quarter's numbers were said to be at the time, and for restatements; without a symbol, for the "
        "restatements of all companies. Money is in the issuer's reporting currency; `ttm` is the twelve months up to "
        "the quarter.\n"
        'Example: {"at": "2026-03-14", "symbol": "AAPL", "fields": ["revenue_ttm"]}'
    ),
    arguments=VintagesArguments,
    result=Vintages,
    answer=_answer,
    lines=_lines,
)
