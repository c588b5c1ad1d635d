"""A tool: what it is called with, what it answers, and the question that a call of it is."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Generic, TypeVar, overload

import msgspec
from msgspec import Meta

from pipeline.agents.arguments import Arguments
from pipeline.agents.paging import Cursor, Page
from pipeline.agents.untrusted import NOTICE, harmless
from pipeline.instants import to_text
from pipeline.model.fields import COLUMNS
from pipeline.monitoring.fleet_view import FleetView
from pipeline.query.history import History
from pipeline.query.reach import Reach, check_order
from pipeline.query.results import Answer

A = TypeVar("A", bound=Arguments)
R = TypeVar("R", bound="Result")

Value = str | int | float | None
Values = Annotated[
    dict[str, Value], Meta(description="By column; null where the API had no value. Dates are YYYY-MM-DD.")
]
InstantText = Annotated[str, Meta(description="ISO 8601, in UTC.")]
HoursSince = Annotated[
    float, Meta(description="Hours from when it was last seen to the instant that was asked about: how stale it was.")
]
_INVENTED = "These companies are invented: the data come from the sandbox, and nothing about them is real."


def records(answer: Answer[Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows of an answer by the names of its columns; instants and dates are text."""
    return (dict(zip(answer.names, row, strict=True)) for row in answer.rows())


def values_of(record: dict[str, Any], columns: Sequence[str]) -> dict[str, Value]:
    """Return the values of some columns, with every text made harmless."""
    return {column: harmless(record[column]) for column in columns}


@overload
def in_steps(hours: float) -> float: ...
@overload
def in_steps(hours: None) -> None: ...
def in_steps(hours: float | None) -> float | None:
    """Return a staleness in steps of half a minute: digits are tokens."""
    return None if hours is None else round(hours, 2)


class Row(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A row of an answer."""


class Result(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What a tool answers."""

    at: Annotated[str, Meta(description="The instant up to which this answer knows anything (ISO 8601, UTC).")]
    notices: Annotated[list[str], Meta(description="What to know about this answer.")]
    next_cursor: Annotated[
        str | None, Meta(description="There is more: repeat the call with this as `cursor`. Absent: this is all.")
    ] = None


class ResultWithUnits(Result, kw_only=True, frozen=True):
    """An answer with values of fields."""

    units: Annotated[dict[str, str], Meta(description="By column. A fraction is of 1: 0.25 is 25 %.")]


def units_of(columns: Iterable[str]) -> dict[str, str]:
    """Return the units of those columns that have one."""
    fields = (COLUMNS.get(column) for column in dict.fromkeys(columns))
    return {field.column: field.unit for field in fields if field is not None and field.unit}


def units_lines(units: Mapping[str, str]) -> list[str]:
    """Return the line that says what units the columns of a table have; none where none has one."""
    return [f"units: {', '.join(f'{column} {unit}' for column, unit in units.items())}"] if units else []


@dataclass(frozen=True, slots=True)
class Question(Generic[A]):
    """A call of a tool that is to be answered."""

    history: History
    """The record, in which nothing observed after `at` can be seen."""
    asked: A
    at: datetime
    reach: Reach
    """Up to which instant calls may ask."""
    asked_at: datetime
    """The present of the first page: what is counted back from now is so for all of an answer."""
    stale_after: timedelta
    checksum: int
    offset: int = 0
    """Where the page begins."""
    view_fleet: Callable[[], FleetView | None] = lambda: None
    """Returns the fleet at present, if this machine belongs to one or the file follows one. Raises DatabaseError."""

    @property
    def is_of_present(self) -> bool:
        """Whether the answer may say how things are at present: of the past, it must not know that."""
        return self.reach.lock is None and self.at == self.reach.at

    @property
    def at_text(self) -> str:
        return to_text(self.at)

    @property
    def first_reach(self) -> Reach:
        """Up to which instant the call of the first page might ask."""
        return replace(self.reach, at=self.asked_at)

    def since(self, text: str | None, default: timedelta | None = None) -> datetime | None:
        """Return the instant from which the call asks; without one the default before `at`, or None. Raise Trouble."""
        if text is None:
            return None if default is None else self.at - default
        begins = self.first_reach.instant("since", text, day_ends=False)
        check_order(begins, self.at)
        return begins

    def cursor(self, page: Page[Any]) -> str | None:
        """Return what leads to the next page; None where there is none."""
        return (
            None if page.next_offset is None else str(Cursor(page.next_offset, self.at, self.asked_at, self.checksum))
        )

    def notices(self, *others: str) -> list[str]:
        """Return what to know about an answer."""
        return [NOTICE, *([_INVENTED] if self.history.holds_invented() else []), *others]


@dataclass(frozen=True, slots=True)
class Tool(Generic[A, R]):
    """Something that an agent can ask the record."""

    name: str
    title: str
    description: str
    """What it gives, when to use it, and an example: all that an agent knows of it."""
    arguments: type[A]
    result: type[R]
    answer: Callable[[Question[A]], R]
    lines: Callable[[R], Sequence[str]]
    """Returns the answer as lines of text, the most compact that an agent can read."""

    def text(self, result: R) -> str:
        """Return the answer as text, with what to know about it."""
        more = f"(cut here: for the rest, repeat the call with cursor={result.next_cursor!r})"
        return "\n".join(
            [
                f"as of {result.at}",
                *(f"note: {notice}" for notice in result.notices),
                *self.lines(result),
                *([more] if result.next_cursor else []),
            ]
        )
