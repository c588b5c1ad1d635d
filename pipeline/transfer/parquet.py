"""Parquet export: snapshots in typed columns, as one file or a folder per month. Needs the extra `parquet`."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import __version__
from pipeline.files import new_file
from pipeline.model.fields import DAILY_FIELDS, PROFILE_FIELDS, REPORTED_FIELDS, Field, Kind
from pipeline.query.arrow import RAW_TYPES, schema_of, table, typed_array
from pipeline.store.migration_files import shipped_migrations
from pipeline.transfer.export import COLUMNS, WANTED_SYMBOLS, Selection

_ROWS_AT_ONCE = 256
"""Few enough to stay in the processor's cache between SQLite and Arrow: 1.4 times as fast as 2,048."""
_GROUP = 65_536
"""Most rows of a row group: about 40 MB in memory, twice, as one is encoded while the next is read."""
_BUFFER = 1 << 20
"""Bytes of a write: each waits for Python, which the reading thread keeps busy."""
_DICTIONARY_BYTES = 64 << 20
"""A row group's descriptions are 5 MB or so. By default Parquet drops a dictionary at 1 MB and repeats each text."""


SCHEMA = schema_of(COLUMNS).with_metadata(
    {"overview_pipeline.schema": str(len(shipped_migrations())), "overview_pipeline.version": __version__}
)
"""The columns of the view `overviews`, and which schema of the database and which program they come from."""

# Profiles and statements are shared by many snapshots. So narrow rows are read, with the ids of their parts, and joined
# in Arrow: each part is read once for a row group, and memory does not grow with the database.
_IDS = ("profile_id", "statement_id")
_PARTS = tuple((field.column, field.kind) for field in (*PROFILE_FIELDS, *REPORTED_FIELDS))
_PART_NAMES = {name for name, _ in _PARTS}
_NARROW: tuple[tuple[str, Kind], ...] = (
    *((name, kind) for name, kind in COLUMNS if name not in _PART_NAMES),
    *((name, Kind.INTEGER) for name in _IDS),
)
_NARROW_SCHEMA = pa.schema([pa.field(name, RAW_TYPES[kind]) for name, kind in _NARROW])
_SNAPSHOTS = f"""
    SELECT {", ".join(f"snapshots.{name}" for name, _ in _NARROW)}
      FROM symbols
     CROSS JOIN snapshots ON snapshots.symbol = symbols.symbol AND snapshots.observed_at BETWEEN :since AND :until
     WHERE {WANTED_SYMBOLS}
     ORDER BY symbols.symbol
"""
_FIRST = f"""
    SELECT min((SELECT observed_at FROM snapshots
                 WHERE snapshots.symbol = symbols.symbol AND observed_at BETWEEN :since AND :until
                 ORDER BY observed_at LIMIT 1))
      FROM symbols
     WHERE {WANTED_SYMBOLS}
"""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one month, by symbol and instant: a row group. `month` is as `2026-03`."""

    month: str
    table: pa.Table


def groups(db: sqlite3.Connection, selection: Selection) -> Iterator[Group]:
    """Yield the selection month by month, each in as many groups as memory needs."""
    parameters = selection.parameters()
    while True:
        (first,) = db.execute(_FIRST, parameters).fetchone()
        if first is None:
            return
        month = first[:7]
        after = f"{month}~"  # sorts after every instant of the month, and before those of the next
        of_month = {**parameters, "since": first, "until": min(after, parameters["until"])}
        for narrow in _narrow(db.execute(_SNAPSHOTS, of_month)):
            yield Group(month, _joined(db, narrow))
        parameters["since"] = after


def _narrow(cursor: sqlite3.Cursor) -> Iterator[pa.Table]:
    """Yield the cursor's rows, a row group at a time."""
    batches: list[pa.RecordBatch] = []
    while rows := cursor.fetchmany(_ROWS_AT_ONCE):
        batches.append(pa.RecordBatch.from_struct_array(pa.array(rows, _NARROW_ROW)))
        if len(batches) * _ROWS_AT_ONCE >= _GROUP:
            yield pa.Table.from_batches(batches).combine_chunks()
            batches = []
    if batches:
        yield pa.Table.from_batches(batches).combine_chunks()


_NARROW_ROW = pa.struct(list(_NARROW_SCHEMA))
"""One call makes columns of rows: a twelfth less work than a call for each column."""


def _joined(db: sqlite3.Connection, narrow: pa.Table) -> pa.Table:
    """Return narrow rows joined with their parts, in the order of the view."""
    columns = {name: typed_array(_chunk(narrow, name), kind) for name, kind in _NARROW if name not in _IDS}
    columns |= _parts(db, "profiles", PROFILE_FIELDS, _chunk(narrow, "profile_id"))
    columns |= _parts(db, "statements", REPORTED_FIELDS, _chunk(narrow, "statement_id"))
    return pa.table([columns[name] for name, _ in COLUMNS], schema=SCHEMA)


def _chunk(narrow: pa.Table, name: str) -> pa.Array:
    return narrow.column(name).chunk(0)


def _parts(db: sqlite3.Connection, name: str, fields: Sequence[Field], ids: pa.Array) -> dict[str, pa.Array]:
    """Return the columns of the parts that have the ids: each part is read once, then repeated by its place."""
    wanted = json.dumps(pc.unique(ids).to_pylist())
    columns = [("id", Kind.INTEGER), *((field.column, field.kind) for field in fields)]
    names = ", ".join(f"parts.{column}" for column, _ in columns)
    query = f"SELECT {names} FROM json_each(?) AS wanted JOIN {name} AS parts ON parts.id = wanted.value"
    parts = table(columns, db.execute(query, (wanted,)).fetchall())
    places = pc.index_in(ids, parts.column("id").chunk(0))
    return {field.column: parts.column(field.column).chunk(0).take(places) for field in fields}


def write(file: BinaryIO, tables: Iterable[pa.Table]) -> None:
    """Write tables as one Parquet file, a row group each. While one is encoded, the next is read."""
    with (
        pa.output_stream(pa.PythonFile(_Sink(file), "w"), buffer_size=_BUFFER) as buffered,
        _writer(buffered) as writer,
        ThreadPoolExecutor(1, "parquet") as encoder,
    ):
        encoding: Future[None] | None = None
        for each in tables:
            if encoding is not None:
                encoding.result()
            encoding = encoder.submit(writer.write_table, each)
        if encoding is not None:
            encoding.result()


class _Sink:
    """A file for Arrow that it cannot close, and that fails once only, not again while Arrow cleans up."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._failed = False

    def write(self, some: bytes) -> int:
        if not self._failed:
            try:
                self._file.write(some)
            except OSError:
                self._failed = True
                raise
        return len(some)

    def flush(self) -> None:
        """Do nothing: the opener of the file does."""

    def close(self) -> None:
        """Do nothing: the opener of the file does."""


def _writer(file: pa.NativeFile) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        file,
        SCHEMA,
        compression="zstd",
        use_dictionary=_DICTIONARIES,
        dictionary_pagesize_limit=_DICTIONARY_BYTES,
        sorting_columns=[pq.SortingColumn(0), pq.SortingColumn(1)],
    )


_DAILY_NAMES = {field.column for field in DAILY_FIELDS}
_DICTIONARIES = [name for name, _ in COLUMNS if name not in _DAILY_NAMES]
"""Columns that repeat from row to row; daily numbers seldom do."""


def write_partitioned(folder: Path, groups: Iterable[Group]) -> None:
    """Write groups as a folder per month, as DuckDB, Spark and Trino read them: `year=2026/month=03/part-0.parquet`."""
    for month, of_month in groupby(groups, key=attrgetter("month")):
        year, number = month.split("-")
        with new_file(folder / f"year={year}" / f"month={number}" / "part-0.parquet") as file:
            write(file, (group.table for group in of_month))
