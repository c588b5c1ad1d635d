"""Arrow tables of answers. Needs the extra `parquet`."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pyarrow as pa

from pipeline.errors import Undecodable
from pipeline.model.fields import Kind
from pipeline.query.columnar import by_column
from pipeline.text import cut

_TEXT = pa.dictionary(pa.int32(), pa.string())
TYPES: dict[Kind, pa.DataType] = {
    Kind.TEXT: _TEXT,
    Kind.INTEGER: pa.int64(),
    Kind.REAL: pa.float64(),
    Kind.DATE: pa.date32(),
    Kind.INSTANT: pa.timestamp("ms", tz="UTC"),
    Kind.JSON: pa.string(),
    Kind.BOOLEAN: pa.bool_(),
}
"""The types of a table's columns."""
RAW_TYPES: dict[Kind, pa.DataType] = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.REAL: pa.float64(),
    Kind.DATE: pa.string(),
    Kind.INSTANT: pa.string(),
    Kind.JSON: pa.string(),
    Kind.BOOLEAN: pa.bool_(),
}
"""The types of values as rows hold them, which `typed_array` makes the others of: instants and dates are text."""


def table(columns: Sequence[tuple[str, Kind]], rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Return rows as a typed Arrow table. Instants and dates may be text, as stored, or datetimes and dates."""
    values = by_column(columns, rows)
    arrays = [typed_array(_raw_array(each, kind), kind) for (_, kind), each in zip(columns, values, strict=True)]
    return pa.table(arrays, schema=schema_of(columns))


def without_dictionaries(table: pa.Table, names: Collection[str] | None = None) -> pa.Table:
    """Return a table in which texts are plain strings, as data frames take them; None: in all of its columns."""
    fields = [
        pa.field(one.name, pa.string())
        if pa.types.is_dictionary(one.type) and (names is None or one.name in names)
        else one
        for one in table.schema
    ]
    return table.cast(pa.schema(fields))


def one_table(tables: Iterable[pa.Table]) -> pa.Table:
    """Return tables of the same schema as one, whose texts are entries of one dictionary."""
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _raw_array(values: Sequence[Any], kind: Kind) -> pa.Array:
    """Return values as an Arrow array of their raw type; instants and dates as they are."""
    return pa.array(values, None if kind in (Kind.INSTANT, Kind.DATE) else RAW_TYPES[kind])


def typed_array(array: pa.Array, kind: Kind) -> pa.Array:
    """Return an array in its kind's type; texts become entries of a dictionary.

    Raise Undecodable for an instant or a date that was damaged.
    """
    if kind is Kind.TEXT:
        return array.dictionary_encode()
    try:
        return array.cast(TYPES[kind], safe=False)
    except pa.ArrowInvalid as error:
        raise Undecodable(cut(" ".join(str(error).split()), 100)) from None


def schema_of(columns: Iterable[tuple[str, Kind]]) -> pa.Schema:
    """Return the schema of a table of these columns."""
    return pa.schema([pa.field(name, TYPES[kind]) for name, kind in columns])
