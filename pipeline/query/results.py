"""Results: what questions to a record give. Rows of named and typed columns, and the objects that are made of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec

from pipeline import extras
from pipeline.model.fields import ColumnKind, Field, FieldNotFound, field_named
from pipeline.model.values import Value

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")


class Column(NamedTuple):
    """A column of an answer."""

    name: str
    kind: ColumnKind


class Answer(Generic[T]):
    """The answer to a question: iterable, again and again; `rows` has its rows as the file has them."""

    def __init__(
        self, columns: Sequence[Column], rows: Callable[[], Iterator[tuple[Any, ...]]], typed: Callable[..., T]
    ) -> None:
        self.columns = tuple(columns)
        self.rows = rows
        self._typed = typed

    def __iter__(self) -> Iterator[T]:
        return (self._typed(*row) for row in self.rows())

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def to_arrow(self) -> "pa.Table":
        """Return a typed Arrow table. Raise Trouble where pyarrow is not installed."""
        return extras.arrow().table(self.columns, list(self.rows()))


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """A version of a company's overview, as far as it was asked for."""

    symbol: str
    observed_at: datetime
    """When it was first seen."""
    confirmed_at: datetime
    """When it was last seen unchanged; in an as-of answer, not after that instant."""
    values: Mapping[str, Value]
    """By column."""
    staleness: timedelta | None = None
    """In an as-of answer: how long before the instant it was last seen."""

    def __getitem__(self, field: str) -> Value:
        """Return the value of a field. Raise FieldNotFound, or KeyError for one that was not asked for."""
        return self.values[field_named(field).column]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def __contains__(self, field: object) -> bool:
        try:
            return isinstance(field, str) and field_named(field).column in self.values
        except FieldNotFound:
            return False


class Vintage(NamedTuple):
    """A reported value of one quarter, with the interval in which we knew it."""

    symbol: str
    field: str
    latest_quarter: str
    value: Value
    known_from: datetime
    known_until: datetime
    """When it was last seen."""
    is_restatement: bool
    """Whether the quarter had another value before."""
    before: Value
    change: float | None
    """Relative to the value before; None unless both are numbers."""


def columns_of(fields: Sequence[Field]) -> Iterator[Column]:
    """Yield the columns in which fields are given."""
    return (Column(field.column, field.kind) for field in fields)
