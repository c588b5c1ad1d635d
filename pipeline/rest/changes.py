"""`/api/v1/changes`: which values changed, from what to what, and when."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pipeline.model.anomalies import RULES
from pipeline.model.changes import parse_fraction
from pipeline.query.history import History
from pipeline.query.results import Answer, Row
from pipeline.rest.asked import Asked
from pipeline.rest.batches import Batches
from pipeline.rest.endpoints import Recorded
from pipeline.rest.parameters import Fields, InUniverse, Paged, Since, Symbols, Text, Until
from pipeline.rest.rows import Instant, Symbol
from pipeline.rest.tables import Table

Fraction = Annotated[
    Text,
    Meta(
        pattern=r"^([0-9]{1,12}(\.[0-9]{1,12})?%|0(\.[0-9]{1,12})?)$",
        description="Leave out numbers that changed by less. Text, and numbers that were 0, are always listed.",
        examples=["5%", "0.05"],
    ),
]
PartName = Annotated[
    Literal["profile", "reported", "daily"],
    Meta(description="Only fields of this part; parts change at different speeds."),
]
Suspicious = Annotated[bool, Meta(description="Only changes that the market does not explain.")]


class Changes(Paged, frozen=True, kw_only=True):
    """What `/changes` takes."""

    symbol: Symbols = ()
    since: Since | None = None
    until: Until | None = None
    field: Annotated[Fields, Meta(description="Only changes of these fields.")] = ()
    part: PartName | None = None
    min_change: Fraction = "0"
    suspicious: Suspicious = False
    universe: InUniverse = False


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A value, the previous one, and the observations between which it changed."""

    symbol: Symbol
    field: Annotated[
        str,
        Meta(description="The column; the API's name for a field that is not in the catalogue; `state` for coverage."),
    ]
    part: Annotated[str | None, Meta(description="Null for a field that is not in the catalogue.")]
    kind: Annotated[
        Literal["changed", "appeared", "disappeared", "covered", "uncovered", "first"],
        Meta(description="How it changed. `first`: a suspicious value of a company's first snapshot."),
    ]
    before: Annotated[Any, Meta(description="As typed, or as received where it is no valid value of the field.")]
    after: Any
    change: Annotated[
        float | None,
        Meta(description="Relative to the previous value: 0.05 is 5 % more. Null unless both are numbers."),
    ]
    last_confirmed_at: Annotated[Instant | None, Meta(description="When the previous value was last seen.")]
    observed_at: Annotated[Instant, Meta(description="When the new value was first seen.")]
    suspicion: Annotated[str | None, Meta(description="; ".join(f"{one}: {rule}" for one, rule in RULES.items()))]


def changes(history: History, asked: Asked[Changes]) -> Table:
    """Return what changed in an interval, without one since the last run began; by company, the oldest first."""
    given = asked.given
    since, until = asked.interval(given.since, given.until)
    if given.since is None and given.until is None:
        since = history.last_run_started_at()

    def of(names: Sequence[str] | None) -> Answer[Any]:
        return history.changes(
            names,
            since=since,
            until=until,
            part=given.part,
            fields=given.field or None,
            min_change=parse_fraction(given.min_change),
            suspicious=given.suspicious,
            universe=given.universe,
        )

    if asked.limit is None:
        return Table(of(given.symbol or None), _key)
    names = asked.names(history, given.symbol)
    begin = 0 if (key := asked.key(2)) is None else bisect_left(names, key[0])
    days = (until - (since or asked.first_observed_at(history))).days + 1
    batches = Batches(names[begin:], days)
    return Table(batches.answer(of), _key, beyond=batches.beyond)


def _key(row: Row) -> tuple[str, ...]:
    return row[0], row[8]


CHANGES = Recorded(
    "/changes",
    "changes",
    "Which values changed, from what to what, and when",
    "Without since and until: what changed since the last run began. A field that the API starts or stops sending is a"
    " change; so is a company that it starts or stops covering. The same number in another spelling is not. A page"
    " looks through a number of companies, and may have few rows or none: follow `next` to the end.",
    Changes,
    Change,
    changes,
)
