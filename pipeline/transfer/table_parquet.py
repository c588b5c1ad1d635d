"""Tables as Parquet files, a row group each. Needs the extra `parquet`."""

from collections.abc import Iterable
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq


def write_tables(file: BinaryIO, tables: Iterable[pa.Table]) -> int:
    """Write tables of one schema, of which there is one at least, as a Parquet file. Return the number of rows."""
    remaining = iter(tables)
    first = next(remaining)
    rows: int = first.num_rows
    with pq.ParquetWriter(file, first.schema, compression="zstd") as writer:
        if rows:
            writer.write_table(first)
        for each in remaining:
            writer.write_table(each)
            rows += each.num_rows
    return rows
