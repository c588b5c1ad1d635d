"""`/api/v1/vintages/SYMBOL` and `/api/v1/restatements`: reported values by fiscal quarter, and when each was known."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pipeline.model.fields import FISCAL_FIELDS, find_fields
from pipeline.query.history import History
from pipeline.query.results import Answer, Row
from pipeline.query.vintages import QUARTERLY_FIELDS
from pipeline.rest.asked import Asked
from pipeline.rest.batches import Batches
from pipeline.rest.endpoints import Recorded
from pipeline.rest.parameters import Fields, InUniverse, Paged, Since, Symbols, SymbolText, Until
from pipeline.rest.rows import Day, Instant, Symbol
from pipeline.rest.tables import Table

_QUARTERLY = "A field that is reported by quarter, or `all`. Without it: those of a quarter's statements."


class VintagesOf(Paged, frozen=True, kw_only=True):
    """What `/vintages/SYMBOL` takes."""

    symbol: SymbolText
    field: Annotated[Fields, Meta(description=_QUARTERLY)] = ()
    since: Annotated[Since | None, Meta(description="First known then or later.")] = None
    until: Annotated[Until | None, Meta(description="First known then or earlier.")] = None


class Restatements(Paged, frozen=True, kw_only=True):
    """What `/restatements` takes."""

    symbol: Symbols = ()
    field: Annotated[Fields, Meta(description=_QUARTERLY)] = ()
    since: Annotated[Since | None, Meta(description="First known then or later.")] = None
    until: Annotated[Until | None, Meta(description="First known then or earlier.")] = None
    universe: InUniverse = False


Reported = int | float | str


class Vintage(msgspec.Struct, frozen=True, kw_only=True):
    """A reported value of one fiscal quarter, with the interval in which it was known."""

    symbol: Symbol
    field: str
    latest_quarter: Annotated[Day, Meta(description="The last day of the fiscal quarter.")]
    value: Reported
    known_from: Instant
    known_until: Annotated[Instant, Meta(description="When it was last seen.")]
    is_restatement: Annotated[bool, Meta(description="Whether the quarter had another value before.")]
    before: Annotated[Reported | None, Meta(description="The value before; null where there was none.")]
    change: Annotated[float | None, Meta(description="Relative to the value before; null unless both are numbers.")]


def vintages(history: History, asked: Asked[VintagesOf]) -> Table:
    """Return the reported values of a company, by field and quarter."""
    given = asked.given
    since, until = asked.interval(given.since, given.until)
    answer = history.vintages(given.symbol, given.field or None, since=since, until=until)
    asked.key(2)
    return Table(answer, _key(given.field))


def restatements(history: History, asked: Asked[Restatements]) -> Table:
    """Return the values that replaced another of their quarter, by company. A page reads a number of companies."""
    given = asked.given
    since, until = asked.interval(given.since, given.until)

    def of(names: Sequence[str] | None) -> Answer[Any]:
        return history.restatements(names, given.field or None, since=since, until=until, universe=given.universe)

    if asked.limit is None:
        return Table(of(given.symbol or None), _key(given.field))
    names = asked.names(history, given.symbol)
    begin = 0 if (key := asked.key(2)) is None else bisect_left(names, key[0])
    # All that a company ever reported is read: a value may replace a much older one.
    batches = Batches(names[begin:], (until - asked.first_observed_at(history)).days + 1)
    return Table(batches.answer(of), _key(given.field), beyond=batches.beyond)


def _key(named: Sequence[str]) -> Callable[[Row], tuple[str, ...]]:
    """Return the key of a row: by company and field, in the order in which the fields are asked for."""
    fields = find_fields(named, FISCAL_FIELDS, every=QUARTERLY_FIELDS)
    places = {field.column: f"{place:02}" for place, field in enumerate(fields)}
    return lambda row: (row[0], places[row[1]])


VINTAGES = Recorded(
    "/vintages/{symbol}",
    "vintages",
    "What a company reported by fiscal quarter, and when each value was known",
    "A second value for one quarter is a restatement: by the company, or, within days of its report, by the API, which"
    " updates the quarter first and its values later.",
    VintagesOf,
    Vintage,
    vintages,
)
RESTATEMENTS = Recorded(
    "/restatements",
    "restatements",
    "Reported values that replaced another of the same quarter",
    "Of all companies, or some. A page reads a number of companies, and may have few rows or none: follow `next` to the"
    " end.",
    Restatements,
    Vintage,
    restatements,
)
