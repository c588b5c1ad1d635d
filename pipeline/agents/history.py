"""The tool `history`: the versions of one company through time."""

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, field

from pipeline.agents.arguments import CursorText, Fields, Limit, SinceText, SymbolText, UntilArguments
from pipeline.agents.csv_text import csv_lines
from pipeline.agents.paging import page
from pipeline.agents.symbols import find_company
from pipeline.agents.tool import (
    InstantText,
    Question,
    ResultWithUnits,
    Row,
    Tool,
    Values,
    records,
    units_lines,
    units_of,
    values_of,
)
from pipeline.model.fields import find_fields
from pipeline.query.snapshots import DEFAULT_FIELDS


class HistoryArguments(UntilArguments, kw_only=True, frozen=True):
    """What `history` is called with."""

    symbol: SymbolText
    since: SinceText | None = None
    fields: Annotated[
        Fields,
        Meta(description="Fields by column or API name. Left out: market value, P/E, EPS and latest quarter."),
    ] = field(default_factory=list)
    newest_first: bool = False
    limit: Limit = 100
    cursor: CursorText | None = None


class Version(Row, kw_only=True, frozen=True):
    """A version of a company's overview."""

    observed_at: Annotated[InstantText, Meta(description="When it was first seen.")]
    confirmed_at: Annotated[InstantText, Meta(description="When it was last seen unchanged, up to `until`.")]
    observed_symbol: Annotated[str | None, Meta(description="The symbol that it had then, if another.")] = None
    values: Values


class Versions(ResultWithUnits, kw_only=True, frozen=True):
    """What `history` answers."""

    symbol: Annotated[str, Meta(description="The company's newest symbol.")]
    total: Annotated[int, Meta(description="How many versions there are in the interval, on all pages.")]
    versions: list[Version]


def _answer(question: Question[HistoryArguments]) -> Versions:
    asked = question.asked
    company = find_company(question, asked.symbol)
    columns = find_fields(asked.fields, DEFAULT_FIELDS)
    since = question.since(asked.since)
    rows = list(records(question.history.history(company, columns, since=since, until=question.at)))
    if asked.newest_first:
        rows.reverse()
    names = [field.column for field in columns]
    found = page((_version(row, company, names) for row in rows), question.offset, asked.limit)
    empty = [] if rows else [f"No version of {company} was first seen in this interval: begin earlier."]
    return Versions(
        at=question.at_text,
        notices=question.notices(*empty),
        next_cursor=question.cursor(found),
        units=units_of(names),
        symbol=company,
        total=len(rows),
        versions=list(found.rows),
    )


def _version(row: dict[str, Any], company: str, columns: Sequence[str]) -> Version:
    observed_symbol = row.get("observed_symbol")
    return Version(
        observed_at=row["observed_at"],
        confirmed_at=row["confirmed_at"],
        observed_symbol=None if observed_symbol == company else observed_symbol,
        values=values_of(row, columns),
    )


def _lines(result: Versions) -> list[str]:
    versions = result.versions
    head = f"{len(versions):,} of {result.total:,} versions of {result.symbol}"
    if not versions:
        return [head]
    other = any(one.observed_symbol for one in versions)
    names = ["observed_at", "confirmed_at", *(["observed_symbol"] if other else []), *versions[0].values]
    rows = (
        [
            one.observed_at,
            one.confirmed_at,
            *([one.observed_symbol or result.symbol] if other else []),
            *one.values.values(),
        ]
        for one in versions
    )
    return [head, *units_lines(result.units), *csv_lines(names, rows)]


HISTORY = Tool(
    name="history",
    title="One company through time",
    description=(
        "Give the versions of one company's overview that were first seen between `since` and `until`, oldest first: "
        "each with the interval in which it was seen, and the fields that you name. Use it for how a value moved. A "
        "version appears when any field changed, so neighbours may have equal values. For values on regular days, or "
        "of several companies, use `panel`; for only what changed, `changes`; for reported quarters and restatements, "
        "`vintages`.\n"
        'Example: {"symbol": "AAPL", "since": "2026-01-01", "until": "2026-03-14", "fields": ["pe_ratio"]}'
    ),
    arguments=HistoryArguments,
    result=Versions,
    answer=_answer,
    lines=_lines,
)
