"""The tool `companies`: the companies known at an instant, found by name and sector, sorted by any field."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Annotated, Any

from msgspec import Meta, field

from pipeline.agents.arguments import AtArguments, CursorText, FieldText, Hours, Limit
from pipeline.agents.csv_text import csv_lines, in_hours
from pipeline.agents.paging import page
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
from pipeline.agents.untrusted import harmless
from pipeline.model.fields import COLUMNS, SYMBOL_FIELD, find_field, find_fields
from pipeline.text import few, quoted

_SHOWN = tuple(COLUMNS[column] for column in ("name", "sector", "industry", "market_capitalization"))

Word = Annotated[str, Meta(min_length=1, max_length=100)]


class CompaniesArguments(AtArguments, kw_only=True, frozen=True):
    """What `companies` is called with."""

    search: Annotated[Word | None, Meta(description="Part of a symbol or name, in any case.", examples=["apple"])] = (
        None
    )
    sector: Annotated[Word | None, Meta(description="As in the data, in any case.", examples=["TECHNOLOGY"])] = None
    industry: Annotated[Word | None, Meta(description="As in the data, in any case.")] = None
    fields: Annotated[
        list[FieldText],
        Meta(description="More fields of each company, such as pe_ratio.", examples=[["pe_ratio"]], max_length=20),
    ] = field(default_factory=list)
    sort: Annotated[
        FieldText, Meta(description="Field to sort by. Companies without a value come last.", examples=["pe_ratio"])
    ] = "symbol"
    descending: Annotated[bool, Meta(description="Whether the largest come first.")] = False
    max_staleness_hours: Annotated[
        Hours | None, Meta(description="Leave out what was last seen longer before `at`.", examples=[72])
    ] = None
    universe: Annotated[
        bool,
        Meta(description="Only companies that were configured to be collected at `at`: avoids survivorship bias."),
    ] = False
    limit: Limit = 100
    cursor: CursorText | None = None


class Company(Row, kw_only=True, frozen=True):
    """A company as it was known."""

    symbol: str
    values: Values
    observed_at: InstantText
    staleness_hours: HoursSince


class Companies(ResultWithUnits, kw_only=True, frozen=True):
    """What `companies` answers."""

    total: Annotated[int, Meta(description="How many companies match, on all pages.")]
    companies: Annotated[list[Company], Meta(description="Those on this page.")]


def _answer(question: Question[CompaniesArguments]) -> Companies:
    asked = question.asked
    sorted_by = find_field(asked.sort)
    shown = find_fields([*_SHOWN, *asked.fields, sorted_by], ())
    longest = None if asked.max_staleness_hours is None else timedelta(hours=asked.max_staleness_hours)
    answer = question.history.as_of(question.at, fields=shown, max_staleness=longest, universe=asked.universe)
    known = list(records(answer))
    matching = [row for row in known if _matches(row, asked)]
    if sorted_by is not SYMBOL_FIELD or asked.descending:
        matching = _sorted(matching, sorted_by.column, descending=asked.descending)
    columns = [field.column for field in shown]
    found = page((_company(row, columns) for row in matching), question.offset, asked.limit)
    return Companies(
        at=question.at_text,
        notices=question.notices(*_why_empty(known, matching, asked)),
        next_cursor=question.cursor(found),
        units=units_of(columns),
        total=len(matching),
        companies=list(found.rows),
    )


def _matches(row: dict[str, Any], asked: CompaniesArguments) -> bool:
    return (
        (asked.search is None or any(_has(row[name], asked.search) for name in ("symbol", "name")))
        and (asked.sector is None or _is(row["sector"], asked.sector))
        and (asked.industry is None or _is(row["industry"], asked.industry))
    )


def _has(value: Any, part: str) -> bool:
    return isinstance(value, str) and part.casefold() in value.casefold()


def _is(value: Any, word: str) -> bool:
    return isinstance(value, str) and value.casefold() == word.casefold()


def _sorted(rows: Iterable[dict[str, Any]], column: str, *, descending: bool) -> list[dict[str, Any]]:
    """Return the rows by a column, those without a value last, and equal ones by symbol."""
    rows = list(rows)
    with_value = [row for row in rows if row[column] is not None]
    without = [row for row in rows if row[column] is None]
    return [*sorted(with_value, key=lambda row: row[column], reverse=descending), *without]


def _company(row: dict[str, Any], columns: Sequence[str]) -> Company:
    return Company(
        symbol=row["symbol"],
        values=values_of(row, columns),
        observed_at=row["observed_at"],
        staleness_hours=in_steps(row["staleness_hours"]),
    )


def _why_empty(known: list[dict[str, Any]], matching: list[dict[str, Any]], asked: CompaniesArguments) -> list[str]:
    """Return what explains an empty answer, and what to ask instead."""
    if matching:
        return []
    if not known and (asked.universe or asked.max_staleness_hours is not None):
        return ["No company was fresh enough, or configured, then: allow a longer staleness, or leave universe out."]
    if not known:
        return ["Nothing was known then. The tool status says when the record begins; ask about a later instant."]
    for name, word in (("sector", asked.sector), ("industry", asked.industry)):
        there = sorted({str(harmless(row[name])) for row in known if row[name]})
        if word is not None and not any(_is(one, word) for one in there):
            return [f"No company had the {name} {quoted(harmless(word))}. There were: {few(there, 30)}."]
    return [f"None of {len(known):,} companies matches: search for less."]


def _lines(result: Companies) -> list[str]:
    names = list(result.companies[0].values) if result.companies else []
    rows = (
        [one.symbol, *one.values.values(), one.observed_at, in_hours(one.staleness_hours)] for one in result.companies
    )
    head = f"{len(result.companies):,} of {result.total:,} companies"
    if not result.companies:
        return [head]
    return [head, *units_lines(result.units), *csv_lines(["symbol", *names, "observed_at", "staleness_hours"], rows)]


COMPANIES = Tool(
    name="companies",
    title="Companies known at an instant",
    description=(
        "Find companies in the record as it was at an instant: search names, filter by sector or industry, sort and "
        "screen by any field. Use it first, to learn which symbols there are, and for questions across companies, "
        "such as the largest of a sector or those with the lowest P/E. Gives symbol, name, sector, industry, market "
        "value (USD) and the fields that you name; for all fields of a few companies use `overview`.\n"
        'Example: {"at": "2026-03-14", "sector": "TECHNOLOGY", "sort": "market_capitalization", "descending": true, '
        '"fields": ["pe_ratio"], "limit": 20}'
    ),
    arguments=CompaniesArguments,
    result=Companies,
    answer=_answer,
    lines=_lines,
)
