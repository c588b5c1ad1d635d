"""Joins of Arrow tables to what was known at the instants of their rows. Needs the extra `parquet`."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.instants import MILLISECOND, from_text, in_zone, parse_recorded, to_text
from pipeline.query.arrow import one_table, schema_of
from pipeline.query.join import JoinError, Joining, unreadable
from pipeline.query.joined import Joined
from pipeline.query.known import Known
from pipeline.query.known_arrow import known_columns
from pipeline.text import cut, quoted

_ROWS_AT_ONCE = 1_000_000
_DAY = 86_400_000
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall clocks are counted from it
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999
"""Milliseconds since 1970 of the instants that the database's text can hold: those of the years 1 to 9999."""
_A_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def one_line(error: Exception) -> str:
    """Return what Arrow says, some of which has several lines."""
    return cut(" ".join(str(error).split()), 200)


def _table_of(given: Any) -> pa.Table:
    """Return what has the Arrow PyCapsule interface as a table. Raise JoinError for anything else."""
    try:
        return pa.table(given)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise JoinError(f"no table: {error}", remedy="pass a data frame, or anything else that Arrow reads") from None


def joined_schema(schema: pa.Schema, joining: Joining) -> pa.Schema:
    """Return the schema of a table when it is joined. Raise JoinError if it cannot be."""
    joining.check_columns(schema.names)
    for field in schema_of(joining.known.columns):
        schema = schema.append(field.with_name(f"{joining.prefix}{field.name}"))
    return schema


def joined_tables(joining: Joining, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield each table with what was known at the instants of its rows. Raise JoinError, naming the row."""
    row = 1
    for table in tables:
        instants = _instants(table.column(joining.time_column), joining, row)
        companies = _companies(table.column(joining.symbol_column), instants, joining.known)
        answered_at = pc.max_element_wise(pc.subtract(instants, joining.lag_milliseconds), _FIRST)
        _check_horizon(answered_at, joining, row)
        found = known_columns(joining.known, companies, answered_at, joining.longest)
        yield pa.table([*table.columns, *found.columns], schema=joined_schema(table.schema, joining))
        row += table.num_rows


def join_table(given: Any, joining: Joining) -> Joined:
    """Return what has the Arrow PyCapsule interface, joined to what was known. Raise JoinError, naming the row."""
    table = _table_of(given)
    schema, names = joined_schema(table.schema, joining), joining.added_names
    parts = (part.select(names) for part in joined_tables(joining, _slices(table)))
    added = one_table([schema.empty_table().select(names), *parts])
    return Joined(pa.table([*table.columns, *added.columns], schema=schema), names)


def _slices(table: pa.Table) -> Iterator[pa.Table]:
    """Yield a table in slices that can be joined at once."""
    for begin in range(0, table.num_rows, _ROWS_AT_ONCE):
        yield table.slice(begin, _ROWS_AT_ONCE)


def _companies(column: pa.ChunkedArray, instants: pa.Array, known: Known) -> pa.DictionaryArray:
    """Return the companies that symbols mean at the instants of their rows."""
    symbols = _texts(column).dictionary_encode()
    meanings = [None if name is None else known.meanings(name) for name in symbols.dictionary.to_pylist()]
    newest = [None if spans is None else spans[-1].company for spans in meanings]
    found = pa.array(newest, pa.string()).take(symbols.indices)
    for place, spans in enumerate(meanings):
        for span in reversed((spans or ())[:-1]):
            is_earlier = pc.less(instants, (from_text(span.until) - _EPOCH_UTC) // MILLISECOND)
            found = pc.if_else(pc.and_(pc.equal(symbols.indices, place), is_earlier), span.company, found)
    return found.dictionary_encode()  # of several spellings one


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view"


def _texts(column: pa.ChunkedArray) -> pa.Array:
    """Return a column of text as plain strings. Raise JoinError if it holds something else."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not _is_text(kind) and not pa.types.is_null(kind):
        raise JoinError(f"the column should hold text, not {column.type}")
    try:
        column.validate(full=True)  # its author may have put any bytes into it
    except pa.ArrowInvalid as error:
        raise JoinError(f"the column's text is damaged: {one_line(error)}") from None
    if not pa.types.is_dictionary(column.type):
        return _one(column.cast(pa.string()))
    parts = [chunk.dictionary.cast(pa.string()).take(chunk.indices) for chunk in column.chunks]
    return _one(pa.chunked_array(parts, pa.string()))  # nulls may be among the indices and in the dictionary


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _instants(column: pa.ChunkedArray, joining: Joining, first_row: int) -> pa.Array:
    """Return the instants of the rows, in milliseconds since 1970. Raise JoinError."""
    kind = column.type
    is_text = _is_text(kind.value_type if pa.types.is_dictionary(kind) else kind)
    if is_text:
        column = pa.chunked_array([_texts(column)])
    if column.null_count:
        row = first_row + pc.index(column.is_null(), value=True).as_py()
        raise JoinError(
            f"row {row:,} has nothing in {quoted(joining.time_column)}", remedy="give it an instant, or leave it out"
        )
    if pa.types.is_date(kind):
        found = pc.add(pc.multiply(_days(column).cast(pa.int64()), _DAY), _DAY - 1)
    elif pa.types.is_timestamp(kind):
        found = _milliseconds(_one(column).cast(pa.int64()), _A_SECOND[kind.unit])
        if kind.tz is None:
            _check_range(found, first_row)
            found = _mapped(found, lambda wall: _in_zone(wall, joining), first_row)
    elif is_text:
        found = _mapped(_one(column), lambda text: parse_recorded(text, joining.zone), first_row)
    elif pa.types.is_null(kind):
        found = pa.array([], pa.int64())
    else:
        raise JoinError(f"instants should be timestamps, dates or text, and {joining.time_column} holds {kind}")
    _check_range(found, first_row)
    return found


def _days(dates: pa.ChunkedArray) -> pa.Array:
    """Return the days since 1970. Raise JoinError where one in milliseconds is no whole day."""
    try:
        return _one(dates.cast(pa.date32())).cast(pa.int32())
    except pa.ArrowInvalid as error:
        raise JoinError(f"a date is no day: {error}") from None


def _milliseconds(counted: pa.Array, a_second: int) -> pa.Array:
    """Return a count of parts of a second in milliseconds, rounded down."""
    if a_second < 1_000:
        return pc.multiply(pc.min_element_wise(pc.max_element_wise(counted, _FIRST), _LAST), 1_000 // a_second)
    parts = a_second // 1_000
    whole = pc.divide(counted, parts)  # rounded towards 0
    return pc.subtract(whole, pc.less(pc.subtract(counted, pc.multiply(whole, parts)), 0).cast(pa.int64()))


def _mapped(values: pa.Array, read: Any, first_row: int) -> pa.Array:
    """Return the instants that a function reads of values, each distinct one once. Raise JoinError, naming the row."""
    coded = values.dictionary_encode()
    found = []
    for place, value in enumerate(coded.dictionary.to_pylist()):
        try:
            found.append((read(value) - _EPOCH_UTC) // MILLISECOND)
        except (ValueError, OverflowError) as error:
            raise unreadable(first_row + pc.index(coded.indices, place).as_py(), error) from None
    return pa.array(found, pa.int64()).take(coded.indices)


_EPOCH_UTC = _EPOCH.replace(tzinfo=UTC)


def _in_zone(milliseconds: int, joining: Joining) -> datetime:
    return in_zone(_EPOCH + timedelta(milliseconds=milliseconds), joining.zone)


def _check_horizon(answered_at: pa.Array, joining: Joining, first_row: int) -> None:
    """Raise JoinError for a row that is answered for an instant after the horizon."""
    if joining.horizon is None:
        return
    later = pc.greater(answered_at, (joining.horizon - _EPOCH_UTC) // MILLISECOND)
    if pc.any(later).as_py():
        row = first_row + pc.index(later, value=True).as_py()
        raise JoinError(
            f"row {row:,}: its instant is after {to_text(joining.horizon)}, up to which the record is shown"
        )


def _check_range(instants: pa.Array, first_row: int) -> None:
    outside = pc.or_(pc.less(instants, _FIRST), pc.greater(instants, _LAST))
    if pc.any(outside).as_py():
        row = first_row + pc.index(outside, value=True).as_py()
        raise JoinError(f"row {row:,}: its instant is not of the years 1 to 9999")
