"""Joining: the rows of a Parquet file with what was known at their instants. Needs the extra `parquet`."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.query.join import JoinError, Joining
from pipeline.query.join_arrow import joined_schema, joined_tables, one_line

_ROWS_AT_ONCE, _BYTES_AT_ONCE = 750_000, 64 << 20
"""What is read, joined and written at once, as a row group: it bounds memory."""
_BATCH = 1 << 13
"""Rows that are read at once, however large they are."""
_ERRORS = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What Arrow raises for damaged files; the last of them for names that are not UTF-8."""


def open_parquet(source: BinaryIO) -> pq.ParquetFile:
    """Open a Parquet file; `metadata.num_rows` is its number of rows. Raise JoinError for any other file."""
    try:
        return pq.ParquetFile(source)
    except _ERRORS as error:
        raise JoinError(f"no Parquet: {one_line(error)}") from None


def join_parquet(file: pq.ParquetFile, target: BinaryIO, joining: Joining, advance: Callable[[float], object]) -> int:
    """Write a Parquet file with its columns, of the same types, and those of the join. Return the number of rows.

    `advance` is called with the number of rows of each row group that was written. Raise JoinError, naming the row.
    """
    with pq.ParquetWriter(target, joined_schema(file.schema_arrow, joining), compression="zstd") as writer:
        for table in joined_tables(joining, _tables(file)):
            writer.write_table(table)
            advance(table.num_rows)
        return int(file.metadata.num_rows)


def _tables(file: pq.ParquetFile) -> Iterator[pa.Table]:
    """Yield the rows of a file, as many at once as fit into memory."""
    batches: list[pa.RecordBatch] = []
    for batch in _batches(file):
        batches.append(batch)
        if len(batches) * _BATCH >= _ROWS_AT_ONCE or sum(one.nbytes for one in batches) >= _BYTES_AT_ONCE:
            yield pa.Table.from_batches(batches, file.schema_arrow)
            batches = []
    if batches:
        yield pa.Table.from_batches(batches, file.schema_arrow)


def _batches(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    try:
        yield from file.iter_batches(_BATCH)
    except _ERRORS as error:
        raise JoinError(f"the Parquet is damaged: {one_line(error)}") from None
