"""The tool `overview`: all that was known of a few companies at an instant."""

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, field

from pipeline.agents.arguments import AtArguments, Fields, Hours, SymbolText
from pipeline.agents.csv_text import csv_lines, in_hours
from pipeline.agents.paging import LARGEST_PAGE
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
    units_of,
    values_of,
)
from pipeline.json_text import encode_json, spaced_json
from pipeline.model.fields import CATALOGUE, COLUMNS, SYMBOL_FIELD, Part, find_fields
from pipeline.text import ascii_json

_WITHOUT_DESCRIPTION = tuple(field for field in CATALOGUE if field.column != "description")


class OverviewArguments(AtArguments, kw_only=True, frozen=True):
    """What `overview` is called with."""

    symbols: Annotated[
        list[SymbolText], Meta(description="One to twenty tickers.", examples=[["AAPL"]], min_length=1, max_length=20)
    ]
    fields: Annotated[
        Fields, Meta(description='Fields by column or API name. Left out: all but `description`; "all": all.')
    ] = field(default_factory=list)
    max_staleness_hours: Annotated[
        Hours | None, Meta(description="Leave out what was last seen longer before `at`.", examples=[72])
    ] = None
    original: Annotated[
        bool, Meta(description="Also give each document exactly as the API sent it, as JSON text. Long.")
    ] = False


class Overview(Row, kw_only=True, frozen=True):
    """A company as it was known."""

    symbol: Annotated[str, Meta(description="The company's newest symbol.")]
    observed_symbol: Annotated[str | None, Meta(description="The symbol that it had then, if another.")] = None
    values: Values
    observed_at: Annotated[InstantText, Meta(description="When this version was first seen.")]
    confirmed_at: Annotated[InstantText, Meta(description="When it was last seen unchanged, up to `at`.")]
    staleness_hours: HoursSince
    document: Annotated[str | None, Meta(description="As received: JSON text, in ASCII.")] = None


class Overviews(ResultWithUnits, kw_only=True, frozen=True):
    """What `overview` answers."""

    companies: list[Overview]
    missing: Annotated[list[Missing], Meta(description="Symbols of which there is nothing to answer.")] = field(
        default_factory=list
    )


def _answer(question: Question[OverviewArguments]) -> Overviews:
    asked = question.asked
    names, missing = find_companies(question, asked.symbols)
    columns = find_fields(asked.fields, _WITHOUT_DESCRIPTION)
    known = {row["symbol"]: row for row in records(question.history.as_of(question.at, names, columns))}
    found: list[Overview] = []
    for row in (known[name] for name in names):
        if asked.max_staleness_hours is not None and row["staleness_hours"] > asked.max_staleness_hours:
            why = f"it was last seen {row['staleness_hours']:,.1f} hours before, at {row['confirmed_at']}"
            missing.append(Missing(symbol=row["symbol"], why=why))
        else:
            document = _document(question, row["symbol"]) if asked.original else None
            found.append(_overview(row, [field.column for field in columns], document))
    _check_size(found)
    units = units_of(field.column for field in columns)
    return Overviews(at=question.at_text, notices=question.notices(), companies=found, units=units, missing=missing)


def _document(question: Question[OverviewArguments], symbol: str) -> str:
    (document,) = question.history.documents_as_of(question.at, [symbol])
    return ascii_json(spaced_json(document))


def _overview(row: dict[str, Any], columns: Sequence[str], document: str | None) -> Overview:
    observed_symbol = row.get("observed_symbol")
    return Overview(
        symbol=row["symbol"],
        observed_symbol=None if observed_symbol == row["symbol"] else observed_symbol,
        values=values_of(row, columns),
        observed_at=row["observed_at"],
        confirmed_at=row["confirmed_at"],
        staleness_hours=in_steps(row["staleness_hours"]),
        document=document,
    )


def _check_size(found: Sequence[Overview]) -> None:
    """Raise BadCall for more than an agent can read at once."""
    characters = len(encode_json(found))
    if len(found) > 1 and characters > LARGEST_PAGE:
        problem = f"the answer is too large: {characters:,} characters of {LARGEST_PAGE:,}"
        raise BadCall(problem, remedy="name fewer symbols or fields, or leave original out")


def _lines(result: Overviews) -> list[str]:
    """Return a line for each field, with a column for each company: the names of fields stand there once."""
    companies = result.companies
    rows: list[list[Any]] = [
        ["observed_at", "", *(one.observed_at for one in companies)],
        ["confirmed_at", "", *(one.confirmed_at for one in companies)],
        ["staleness_hours", "", *(in_hours(one.staleness_hours) for one in companies)],
    ]
    if any(one.observed_symbol for one in companies):
        rows.insert(0, ["observed_symbol", "", *(one.observed_symbol or one.symbol for one in companies)])
    columns = list(companies[0].values) if companies else []
    empty = [column for column in columns if all(one.values[column] is None for one in companies)]
    rows += (
        [column, COLUMNS[column].unit, *(one.values[column] for one in companies)]
        for column in columns
        if column not in empty
    )
    table = csv_lines(["field", "unit", *(one.symbol for one in companies)], rows) if companies else []
    documents = [f"document of {one.symbol}: {one.document}" for one in companies if one.document is not None]
    without = [f"no value in {', '.join(empty)}"] if empty else []
    return [*table, *without, *documents, *missing_lines(result.missing)]


def _columns(part: Part) -> str:
    return ", ".join(field.column for field in CATALOGUE if field.part is part and field is not SYMBOL_FIELD)


OVERVIEW = Tool(
    name="overview",
    title="Overview of companies at an instant",
    description=(
        "Give what was known of one to twenty companies at an instant: the newest snapshot not observed later, with "
        "when it was observed and how stale it was. Use it for the state of named companies; for how a value moved "
        "use `history`, for many instants `panel`. The text has a line for each field, with its unit; fractions are "
        "of 1 (0.25 is 25 %). Reported money is in the issuer's reporting currency, although the API says USD.\n"
        f"Fields that describe the company: {_columns(Part.PROFILE)}.\n"
        f"Reported, about quarterly: {_columns(Part.REPORTED)}.\n"
        f"Moving with the price, daily: {_columns(Part.DAILY)}.\n"
        'Example: {"at": "2026-03-14", "symbols": ["AAPL", "MSFT"], "fields": ["pe_ratio", "market_capitalization"]}'
    ),
    arguments=OverviewArguments,
    result=Overviews,
    answer=_answer,
    lines=_lines,
)
