"""Results: an answer, its columns and rows, and the objects that its rows become."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec

from pipeline import extras
from pipeline.instants import date_from_text, from_text
from pipeline.model.fields import Field, FieldNotFound, Kind, find_field
from pipeline.model.values import Value

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

T = TypeVar("T")
Row = tuple[Any, ...]
"""Values in the order of the columns."""
Rows = Iterator[Row]


_PARSE: Mapping[Kind, Callable[[str], date]] = {Kind.INSTANT: from_text, Kind.DATE: date_from_text}


class Column(NamedTuple):
    """A column of an answer."""

    name: str
    kind: Kind


class Answer(Generic[T]):
    """The answer to a question. Each iteration reads the database again."""

    def __init__(
        self,
        columns: Sequence[Column],
        read: Callable[[], Rows],
        make: Callable[..., T],
        *,
        reader: Callable[[Callable[[], Iterator[Any]]], Iterator[Any]] = lambda read: read(),
        tables: Callable[[], Iterator["pa.Table"]] | None = None,
    ) -> None:
        """Take what reads the rows, and what makes an object of a row's values, with instants and dates parsed.

        `reader` yields what it reads with a function, and handles the errors of doing so. `tables` reads the same rows
        as Arrow tables, of which there is one at least, where that is faster than by way of the rows.
        """
        self.columns = tuple(columns)
        self._read = read
        self._make = make
        self._reader = reader
        self._tables = tables

    def __iter__(self) -> Iterator[T]:
        return (self._make(*values) for values in self._reader(self._parsed))

    def _parsed(self) -> Rows:
        """Yield the rows with instants and dates parsed. Raise Undecodable for one that was damaged."""
        parsed = [(place, _PARSE[column.kind]) for place, column in enumerate(self.columns) if column.kind in _PARSE]
        for row in self._read():
            values = list(row)
            for place, parse in parsed:
                if values[place] is not None:
                    values[place] = parse(values[place])
            yield tuple(values)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    def rows(self) -> Rows:
        """Return the rows as tuples in the order of the columns; instants and dates are text, as stored."""
        return self._reader(self._read)

    def tables(self) -> "Iterator[pa.Table]":
        """Return an iterator of typed Arrow tables with the rows: one at least, each small enough for memory.

        Raise Trouble if pyarrow is not installed.
        """
        arrow = extras.arrow()
        if self._tables is None:
            return self._reader(lambda: iter([arrow.table(self.columns, list(self._read()))]))
        return self._reader(self._tables)

    def to_arrow(self) -> "pa.Table":
        """Return a typed Arrow table. Raise Trouble if pyarrow is not installed."""
        made: pa.Table = extras.arrow().one_table(self.tables())
        return made

    def to_pandas(self) -> "pd.DataFrame":
        """Return a pandas data frame; missing values are pandas' own. Raise Trouble if pandas is not installed."""
        pandas = extras.pandas()
        made: pd.DataFrame = (
            pandas.frame_of(self._plain()) if self._is_faster_in_arrow() else pandas.frame(self.columns, self.rows())
        )
        return made

    def to_polars(self) -> "pl.DataFrame":
        """Return a Polars data frame. Raise Trouble if Polars is not installed."""
        polars = extras.polars()
        made: pl.DataFrame = (
            polars.frame_of(self._plain()) if self._is_faster_in_arrow() else polars.frame(self.columns, self.rows())
        )
        return made

    def _is_faster_in_arrow(self) -> bool:
        return self._tables is not None and extras.have_arrow()

    def _plain(self) -> "pa.Table":
        return extras.arrow().without_dictionaries(self.to_arrow())


def read_through(answer: Answer[T], reader: Callable[[Callable[[], Iterator[Any]]], Iterator[Any]]) -> Answer[T]:
    """Return the same answer, whose rows are what `reader` yields when it is given what reads them."""
    return Answer(answer.columns, answer._read, answer._make, reader=reader, tables=answer._tables)  # noqa: SLF001 - not public


def where(answer: Answer[T], is_wanted: Callable[[tuple[Any, ...]], bool]) -> Answer[T]:
    """Return the answer with some of the rows only."""
    return Answer(answer.columns, lambda: filter(is_wanted, answer._read()), answer._make)  # noqa: SLF001 - not public


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """A version of a company's overview: the fields that were requested, and when it was observed."""

    symbol: str
    """The company's newest symbol."""
    observed_at: datetime
    """When it was first seen."""
    confirmed_at: datetime
    """When it was last seen unchanged; in an as-of answer, not after that instant."""
    values: Mapping[str, Value | date]
    """By column."""
    staleness: timedelta | None = None
    """In an as-of answer: how long before the instant it was last seen."""
    observed_symbol: str | None = None
    """The symbol that the company had then, where the database knows of a rename; else None."""

    def __getitem__(self, field: str) -> Value | date:
        """Return the value of a field. Raise FieldNotFound, or KeyError for one that was not requested."""
        return self.values[find_field(field).column]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def __contains__(self, field: object) -> bool:
        try:
            return isinstance(field, str) and find_field(field).column in self.values
        except FieldNotFound:
            return False


class Vintage(NamedTuple):
    """A reported value of one fiscal quarter, with the interval in which it was known."""

    symbol: str
    field: str
    latest_quarter: date
    value: Value | date
    known_from: datetime
    known_until: datetime
    """When it was last seen."""
    is_restatement: bool
    """Whether the quarter had another value before."""
    before: Value | date
    change: float | None
    """Relative to the value before; None unless both are numbers."""


class Counted:
    """Counts the rows that are read from it."""

    def __init__(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for row in self._rows:
            self.count += 1
            yield row


def columns_of(fields: Sequence[Field]) -> Iterator[Column]:
    """Yield the columns that hold fields."""
    return (Column(field.column, field.kind) for field in fields)
