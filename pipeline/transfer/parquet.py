"""Parquet export: snapshots in typed columns, as one file or a folder per month. Needs the extra `parquet`."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import __version__
from pipeline.files import new_file
from pipeline.instants import from_text
from pipeline.model.fields import DAILY_FIELDS, PROFILE_FIELDS, REPORTED_FIELDS, Kind
from pipeline.query.arrow import schema_of, table
from pipeline.query.packed import packed, places_of, typed
from pipeline.store.migration_files import shipped_migrations
from pipeline.transfer.export import COLUMNS, WANTED_SYMBOLS, Selection

_GROUP = 65_536
"""Most rows of a row group: about 40 MB in memory, twice, as one is encoded while the next is read."""
_PIECE = 8_192
"""Rows that are read at once: few enough to stay in the processor's cache."""
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
_PROFILE_COLUMNS = (("id", Kind.INTEGER), *((field.column, field.kind) for field in PROFILE_FIELDS))
_STATEMENT_COLUMNS = (("id", Kind.INTEGER), *((field.column, field.kind) for field in REPORTED_FIELDS))
_PART_NAMES = {field.column for field in (*PROFILE_FIELDS, *REPORTED_FIELDS)}
_NARROW: tuple[tuple[str, Kind], ...] = (
    *((name, kind) for name, kind in COLUMNS if name not in _PART_NAMES),
    *((name, Kind.INTEGER) for name in _IDS),
)
_SNAPSHOTS = f"""
    SELECT {", ".join(f"snapshots.{name}" for name, _ in _NARROW)}
      FROM symbols
     CROSS JOIN snapshots ON snapshots.symbol = symbols.symbol AND snapshots.observed_at BETWEEN :since AND :until
     WHERE {WANTED_SYMBOLS}
       AND symbols.symbol >= :last_symbol
       AND (symbols.symbol > :last_symbol OR snapshots.observed_at > :last_at)
     ORDER BY symbols.symbol
     LIMIT :rows
"""
_SPAN = f"""
    SELECT min((SELECT observed_at FROM snapshots
                 WHERE snapshots.symbol = symbols.symbol AND observed_at BETWEEN :since AND :until
                 ORDER BY observed_at LIMIT 1)),
           max((SELECT observed_at FROM snapshots
                 WHERE snapshots.symbol = symbols.symbol AND observed_at BETWEEN :since AND :until
                 ORDER BY observed_at DESC LIMIT 1))
      FROM symbols
     WHERE {WANTED_SYMBOLS}
"""
"""The first and the last instant."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one month, by symbol and instant: a row group. `month` is as `2026-03`."""

    month: str
    table: pa.Table


def groups(db: sqlite3.Connection, selection: Selection) -> Iterator[Group]:
    """Yield the selection month by month, each in as many groups as memory needs."""
    parameters = selection.parameters()
    first, last = db.execute(_SPAN, parameters).fetchone()
    if first is None:
        return
    for month in _months(from_text(first), from_text(last)):
        # The letter sorts after every instant of the month, and before those of the next.
        of_month = {**parameters, "since": max(month, first), "until": min(f"{month}~", last)}
        for each in _tables(db, of_month):
            yield Group(month, each)


def _months(first: datetime, last: datetime) -> Iterator[str]:
    """Yield the months from one instant to another, as `2026-03`."""
    for number in range(first.year * 12 + first.month - 1, last.year * 12 + last.month):
        yield f"{number // 12:04}-{number % 12 + 1:02}"


def _tables(db: sqlite3.Connection, parameters: Mapping[str, Any]) -> Iterator[pa.Table]:
    """Yield the rows of an interval by symbol and instant, a row group at a time."""
    pieces: list[dict[str, pa.Array]] = []
    for piece in _pieces(db, parameters):
        pieces.append(piece)
        if len(pieces) * _PIECE >= _GROUP:
            joined, pieces = _joined(db, pieces), []  # before a row group is encoded: its pieces take as much memory
            yield joined
    if pieces:
        yield _joined(db, pieces)


def _pieces(db: sqlite3.Connection, parameters: Mapping[str, Any]) -> Iterator[dict[str, pa.Array]]:
    """Yield the narrow rows of an interval, a piece at a time."""
    last = {"last_symbol": "", "last_at": ""}
    while True:
        piece = packed(db, _NARROW, _SNAPSHOTS, {**parameters, **last, "rows": _PIECE})
        symbols, instants = piece["symbol"], piece["observed_at"]
        if len(symbols):
            yield piece
        if len(symbols) < _PIECE:
            return
        last = {"last_symbol": symbols[-1].as_py(), "last_at": instants[-1].as_py()}


def _joined(db: sqlite3.Connection, pieces: Sequence[Mapping[str, pa.Array]]) -> pa.Table:
    """Return narrow rows joined with their parts, in the order of the view."""
    narrow = typed(_NARROW, pieces)
    columns = {
        **narrow,
        **_repeated(_profiles(db, narrow["profile_id"]), narrow["profile_id"]),
        **_repeated(_statements(db, narrow["statement_id"]), narrow["statement_id"]),
    }
    return pa.table([columns[name] for name, _ in COLUMNS], schema=SCHEMA)


def _repeated(parts: Mapping[str, pa.Array], ids: pa.Array) -> dict[str, pa.Array]:
    """Return the parts' columns as they are for the ids: each part is read once, then repeated by its place."""
    places = places_of(ids, parts["id"])
    return {name: column.take(places) for name, column in parts.items()}


def _profiles(db: sqlite3.Connection, ids: pa.Array) -> dict[str, pa.Array]:
    """Return the columns of the profiles that have the ids. Few and long: packed, each text would be copied thrice."""
    rows = db.execute(_part_query("profiles", _PROFILE_COLUMNS), _part_ids(ids)).fetchall()
    read = table(_PROFILE_COLUMNS, rows)
    return {name: read.column(name).chunk(0) for name, _ in _PROFILE_COLUMNS}


def _statements(db: sqlite3.Connection, ids: pa.Array) -> dict[str, pa.Array]:
    """Return the columns of the statements that have the ids."""
    query = _part_query("statements", _STATEMENT_COLUMNS)
    return typed(_STATEMENT_COLUMNS, [packed(db, _STATEMENT_COLUMNS, query, _part_ids(ids))])


def _part_query(name: str, columns: Sequence[tuple[str, Kind]]) -> str:
    names = ", ".join(f"parts.{column}" for column, _ in columns)
    return f"SELECT {names} FROM json_each(:ids) AS wanted JOIN {name} AS parts ON parts.id = wanted.value"


def _part_ids(ids: pa.Array) -> dict[str, str]:
    return {"ids": json.dumps(pc.unique(ids).to_pylist())}


def write(file: BinaryIO, tables: Iterable[pa.Table]) -> None:
    """Write tables as one Parquet file, a row group each. While one is encoded, the next is read."""
    encoded = _Encoded()
    with (
        pa.output_stream(pa.PythonFile(encoded, "w"), buffer_size=_BUFFER) as buffered,
        _writer(buffered) as writer,
        ThreadPoolExecutor(1, "parquet") as encoder,
    ):
        encoding: Future[None] | None = None
        for each in tables:
            if encoding is not None:
                encoding.result()
                encoded.move_to(file)
            encoding = encoder.submit(writer.write_table, each)
        if encoding is not None:
            encoding.result()
    encoded.move_to(file)


class _Encoded:
    """A file for Arrow, in memory, whose bytes are moved on by the thread that a signal interrupts.

    A thread that waits for a full pipe or a failing disk could not be stopped.
    """

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, some: bytes) -> int:
        self._pieces.append(bytes(some))  # a copy, if it is a buffer of its own that Arrow uses again
        return len(some)

    def move_to(self, file: BinaryIO) -> None:
        """Write to the file what Arrow has written since the last time."""
        pieces, self._pieces = self._pieces, []
        file.writelines(pieces)

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
        column_encoding=dict.fromkeys(_INSTANTS, "DELTA_BINARY_PACKED"),
        write_statistics=[*_SORTED_BY, "confirmed_at"],
        sorting_columns=[pq.SortingColumn(SCHEMA.get_field_index(name)) for name in _SORTED_BY],
    )


_SORTED_BY = ("symbol", "observed_at")
"""Only of these, and of the other instant, does a row group hold a part of all values, which its statistics tell."""
_INSTANTS = tuple(name for name, kind in COLUMNS if kind is Kind.INSTANT)
"""Near each other from row to row, and nearly all different: their differences take a few bytes."""
_DAILY_NUMBERS = {field.column for field in DAILY_FIELDS if field.kind in (Kind.INTEGER, Kind.REAL)}
_DICTIONARIES = [name for name, _ in COLUMNS if name not in _DAILY_NUMBERS and name not in _INSTANTS]
"""Columns that repeat from row to row; daily numbers seldom do."""


def write_partitioned(folder: Path, groups: Iterable[Group]) -> None:
    """Write groups as a folder per month, as DuckDB, Spark and Trino read them: `year=2026/month=03/part-0.parquet`."""
    for month, of_month in groupby(groups, key=attrgetter("month")):
        year, number = month.split("-")
        with new_file(folder / f"year={year}" / f"month={number}" / "part-0.parquet") as file:
            write(file, (group.table for group in of_month))
