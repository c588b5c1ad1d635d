"""Packed rows: what a query returns as Arrow columns, with no Python object for a value. Needs the extra `parquet`.

SQLite copies the rows into a temporary table, in one call, and `pages` decodes that table's pages. It takes less than
half the time of fetching the rows, and other threads go on meanwhile. A driver for Arrow would bring a second SQLite
into the process: when one of the two closes the file, the locks of the other are lost.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import Inconsistent, Undecodable
from pipeline.model.fields import Kind
from pipeline.query.arrow import typed_array
from pipeline.query.pages import Column, Mask, records_of

_PAGE_SIZE = 1 << 16
"""The largest there is: a sixteenth of the pages to visit."""


def packed(
    db: sqlite3.Connection, columns: Sequence[tuple[str, Kind]], query: str, parameters: Mapping[str, Any]
) -> dict[str, pa.Array]:
    """Return the columns of a query's rows by name, in the raw types: `typed` makes the others of them.

    Fastest with some thousand rows, which stay in the processor's cache. Raise Undecodable if a value is not of its
    column's kind, and what sqlite3 raises.
    """
    db.execute(f"PRAGMA temp.page_size = {_PAGE_SIZE}")  # of the first table that the connection packs
    db.execute(f"CREATE TEMP TABLE packed ({', '.join(name for name, _ in columns)})")
    try:
        db.execute(f"INSERT INTO temp.packed {query}", parameters)
        (root,) = db.execute("SELECT rootpage FROM sqlite_temp_master WHERE name = 'packed'").fetchone()
        pages = db.serialize(name="temp")
    finally:
        db.execute("DROP TABLE IF EXISTS temp.packed")  # after some errors, SQLite has rolled it back
    decoded = records_of(pages, root).columns(len(columns))
    return {name: _array(column, kind) for (name, kind), column in zip(columns, decoded, strict=True)}


def typed(columns: Sequence[tuple[str, Kind]], pieces: Sequence[Mapping[str, pa.Array]]) -> dict[str, pa.Array]:
    """Return the columns of all pieces as one, in the types of `arrow.table`. Raise Undecodable where that fails."""
    return {name: _typed(pa.concat_arrays([piece[name] for piece in pieces]), kind) for name, kind in columns}


def places_of(ids: pa.Array, parts: pa.Array) -> pa.Array:
    """Return the place of each id among those of parts, null for null. Raise Inconsistent where one is missing."""
    places = pc.index_in(ids, parts)
    if places.null_count > ids.null_count:
        raise Inconsistent("a snapshot refers to a row that is missing")
    return places


def _array(column: Column, kind: Kind) -> pa.Array:
    missing = column.nulls()
    match kind:
        case Kind.INTEGER:
            return pa.array(column.integers(), mask=missing)
        case Kind.REAL:
            return pa.array(column.reals(), mask=missing)
        case _:
            return _text(column, missing)


def _text(column: Column, missing: Mask | None) -> pa.Array:
    offsets = np.zeros(len(column.sizes) + 1, np.int32)
    np.cumsum(column.sizes, out=offsets[1:])
    valid = None if missing is None else pa.array(~missing).buffers()[1]
    buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(column.texts())]
    return pa.Array.from_buffers(pa.string(), len(column.sizes), buffers)


def _typed(array: pa.Array, kind: Kind) -> pa.Array:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        raise Undecodable(str(error)) from None
    return typed_array(array, kind)
