"""The tool `changes`: which values changed, from what to what, and between which observations."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from pipeline.agents.arguments import CursorText, Fields, Limit, SinceText, SymbolText, UntilArguments
from pipeline.agents.csv_text import csv_lines, in_fractions
from pipeline.agents.paging import page
from pipeline.agents.symbols import Missing, find_companies, missing_lines
from pipeline.agents.tool import InstantText, Question, ResultWithUnits, Row, Tool, records, units_lines, units_of
from pipeline.agents.untrusted import harmless
from pipeline.model.fields import find_field
from pipeline.text import count

_DEFAULT_SPAN = timedelta(days=7)


class ChangesArguments(UntilArguments, kw_only=True, frozen=True):
    """What `changes` is called with."""

    since: Annotated[
        SinceText | None, Meta(description="The beginning, inclusive. Left out: 7 days before `until`.")
    ] = None
    symbols: Annotated[
        list[SymbolText], Meta(description="Only these companies. Left out: all.", examples=[["AAPL"]], max_length=50)
    ] = field(default_factory=list)
    part: Annotated[
        Literal["profile", "reported", "daily"] | None,
        Meta(
            description=(
                "Only fields of this part: who a company is, what it reported, or what follows the price. For news, "
                "leave out daily by asking for profile or reported."
            )
        ),
    ] = None
    fields: Annotated[Fields, Meta(description="Only these fields. Left out: all.")] = field(default_factory=list)
    min_change: Annotated[
        float, Meta(description="Leave out numbers that changed by a smaller fraction: 0.05 is 5 %.", ge=0)
    ] = 0.0
    suspicious: Annotated[bool, Meta(description="Only changes that the market cannot explain: likely errors.")] = False
    universe: Annotated[bool, Meta(description="Only companies that were configured to be collected then.")] = False
    limit: Limit = 100
    cursor: CursorText | None = None


class Change(Row, kw_only=True, frozen=True):
    """A value, the one before it, and the observations between which it changed."""

    symbol: str
    field: Annotated[str, Meta(description="The column; `state` where the API began or ceased to cover the company.")]
    part: str | None = None
    kind: Annotated[str, Meta(description="changed, appeared, disappeared, covered, uncovered, or first.")]
    before: Any = None
    after: Any = None
    change: Annotated[float | None, Meta(description="As a fraction of the value before: 0.05 is 5 % more.")] = None
    last_confirmed_at: Annotated[InstantText | None, Meta(description="When the value before was last observed.")] = (
        None
    )
    observed_at: Annotated[InstantText, Meta(description="When the new value was first observed.")]
    suspicion: Annotated[str | None, Meta(description="Why it is likely an error.")] = None


class Changes(ResultWithUnits, kw_only=True, frozen=True):
    """What `changes` answers."""

    changes: list[Change]
    missing: Annotated[list[Missing], Meta(description="Symbols of which nothing was known.")] = field(
        default_factory=list
    )


def _answer(question: Question[ChangesArguments]) -> Changes:
    asked = question.asked
    names, missing = find_companies(question, asked.symbols) if asked.symbols else (None, [])
    answer = question.history.changes(
        names,
        since=question.since(asked.since, _DEFAULT_SPAN),
        until=question.at,
        part=asked.part,
        fields=[find_field(one) for one in asked.fields if one != "all"],
        min_change=asked.min_change,
        suspicious=asked.suspicious,
        universe=asked.universe,
    )
    found = page(map(_change, records(answer)), question.offset, asked.limit)
    nothing = [] if found.rows or question.offset else ["Nothing changed in this interval, as far as was asked."]
    return Changes(
        at=question.at_text,
        notices=question.notices(*nothing),
        next_cursor=question.cursor(found),
        units=units_of(one.field for one in found.rows),
        changes=list(found.rows),
        missing=missing,
    )


def _change(row: dict[str, Any]) -> Change:
    return Change(**{name: harmless(value) for name, value in row.items()})


def _lines(result: Changes) -> list[str]:
    head = count(len(result.changes), "change")
    rows = (
        [
            one.symbol,
            one.field,
            one.kind,
            one.before,
            one.after,
            in_fractions(one.change),
            one.last_confirmed_at,
            one.observed_at,
            one.suspicion,
        ]
        for one in result.changes
    )
    table = csv_lines(_COLUMNS, rows)
    return [head, *units_lines(result.units), *(table if result.changes else []), *missing_lines(result.missing)]


_COLUMNS = ("symbol", "field", "kind", "before", "after", "change", "last_confirmed_at", "observed_at", "suspicion")

CHANGES = Tool(
    name="changes",
    title="What changed in an interval",
    description=(
        "List which values changed in snapshots first seen between `since` and `until`: field, value before, value "
        "after, relative change, and the two observations between which it happened; by company, oldest first. Use it "
        "for what is new: a new quarter, another sector or name, a jump. Fields that follow the price change nearly "
        "every day: ask for a `part`, `fields` or a `min_change`, or the answer is long. For reported values that "
        "were replaced use `vintages`.\n"
        'Example: {"since": "7d", "until": "now", "part": "reported", "min_change": 0.05}'
    ),
    arguments=ChangesArguments,
    result=Changes,
    answer=_answer,
    lines=_lines,
)
