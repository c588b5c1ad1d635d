"""Rows of a table with what was known at their instants, by this program or a peer. Run as a process: prints JSON.

The table has a million rows of random symbols and instants. Peers join it to the exported Parquet, which is sorted by
month, symbol and instant, each in the way that its documentation recommends, and without the staleness.
"""

import argparse
import json
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from time import perf_counter, process_time

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.exporting import write_ours
from benchmarks.processes import peak_megabytes
from pipeline.files import replacing
from pipeline.model.fields import find_fields
from pipeline.query.grid import Every, grid
from pipeline.query.history import History
from pipeline.query.join import Joining
from pipeline.query.known import Known
from pipeline.store.reader import open_for_reading
from pipeline.transfer.export import read_transaction
from pipeline.transfer.joined_parquet import join_parquet, open_parquet
from pipeline.transfer.table_parquet import write_tables

FIELDS = ("pe_ratio", "eps", "market_capitalization", "revenue_ttm", "sector")
_NAMES = ", ".join(("symbol", "observed_at", *FIELDS))
_ROWS = 1_000_000
_DAYS = 250


@dataclass(frozen=True, slots=True)
class Took:
    """What a join or a panel took. `known`: rows in which something was known; `cpu_seconds`: of all threads."""

    rows: int
    known: int
    seconds: float
    cpu_seconds: float
    peak_megabytes: float


def table_beside(database: Path) -> Path:
    """Return the path of the table to join."""
    return database.with_suffix(".trades.parquet")


def export_beside(database: Path) -> Path:
    """Return the path of the export that peers read."""
    return database.with_suffix(".parquet")


def prepare(database: Path) -> None:
    """Write the table to join and the export, unless they are there."""
    if not table_beside(database).exists():
        with History.open(database) as history:
            symbols = history.symbols()
            snapshots = list(history.history(symbols[0], ["eps"]))
        first, days = snapshots[0].observed_at, (snapshots[-1].observed_at - snapshots[0].observed_at).days
        chance = random.Random(1)
        at = [first + timedelta(milliseconds=chance.randrange(days * 86_400_000)) for _ in range(_ROWS)]
        columns = {"symbol": chance.choices(symbols, k=_ROWS), "time": pa.array(at, pa.timestamp("ms", "UTC"))}
        pq.write_table(
            pa.table({**columns, "shares": chance.choices(range(1, 1_000), k=_ROWS)}), table_beside(database)
        )
    if not export_beside(database).exists():
        write_ours(database, export_beside(database))


def join_ours(database: Path, target: Path) -> None:
    """Write what the command `join` writes."""
    with (
        open_for_reading(database) as db,
        read_transaction(db),
        replacing(target, check=lambda _: None) as file,
        table_beside(database).open("rb") as source,
        open_parquet(source) as table,
    ):
        join_parquet(table, file, Joining(Known(db, find_fields(FIELDS, ()))), lambda _rows: None)


def join_with_duckdb(database: Path, target: Path) -> None:
    """Write an ASOF JOIN."""
    with import_module("duckdb").connect() as db:
        db.execute(f"""
            COPY (SELECT trades.*, known.* EXCLUDE (symbol)
                    FROM '{table_beside(database)}' AS trades
                    ASOF LEFT JOIN (SELECT {_NAMES} FROM '{export_beside(database)}') AS known
                      ON trades.symbol = known.symbol AND trades.time >= known.observed_at)
              TO '{target}' (FORMAT parquet, COMPRESSION zstd)
        """)


def join_with_polars(database: Path, target: Path) -> None:
    """Write a join_asof, which needs both sides sorted, with the rows in their order."""
    polars = import_module("polars")
    trades = polars.scan_parquet(table_beside(database)).with_row_index("row").sort("time")
    columns = polars.scan_parquet(export_beside(database)).select("symbol", "observed_at", *FIELDS)
    known = columns.with_columns(polars.col("symbol").cast(polars.String)).sort("observed_at")
    joined = trades.join_asof(
        known, left_on="time", right_on="observed_at", by="symbol", coalesce=False, check_sortedness=False
    )
    joined.sort("row").drop("row").collect().write_parquet(target, compression="zstd")


def panel_ours(database: Path, target: Path) -> None:
    """Write what the command `panel` writes: one field of all symbols on 250 days."""
    with History.open(database) as history, replacing(target, check=lambda _: None) as file:
        first = history.first_observed_at()
        assert first is not None
        days = grid(Every.DAY, first.date() + timedelta(days=365), first + timedelta(days=365 + _DAYS))
        write_tables(file, history.panel(["pe_ratio"], at=list(days)[:_DAYS]).tables())


WAYS: dict[str, Callable[[Path, Path], None]] = {
    "ours": join_ours,
    "duckdb": join_with_duckdb,
    "polars": join_with_polars,
    "panel": panel_ours,
}


def measure(database: Path, write: Callable[[Path, Path], None]) -> Took:
    """Write a file beside the database, and return what it took."""
    target = database.with_suffix(".joined.parquet")
    began, cpu = perf_counter(), process_time()
    write(database, target)
    seconds, cpu_seconds, peak = perf_counter() - began, process_time() - cpu, peak_megabytes()
    column = pq.read_table(target, columns=["observed_at"]).column(0)
    target.unlink()
    return Took(len(column), len(column) - column.null_count, seconds, cpu_seconds, peak)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("database", type=Path)
    parser.add_argument("way", choices=["prepare", *WAYS])
    arguments = parser.parse_args()
    if arguments.way == "prepare":
        prepare(arguments.database)
        print("{}")
    else:
        print(json.dumps(asdict(measure(arguments.database, WAYS[arguments.way]))))


if __name__ == "__main__":
    main()
