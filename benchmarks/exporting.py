"""A database as one Parquet file, written by this program or a peer. Run as a process: prints JSON."""

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from time import perf_counter, process_time

import pyarrow.parquet as pq

from benchmarks.processes import peak_megabytes
from pipeline.files import replacing
from pipeline.store.reader import open_for_reading
from pipeline.transfer import parquet
from pipeline.transfer.export import Selection, read_transaction


@dataclass(frozen=True, slots=True)
class Exported:
    """What the export took. `cpu_seconds` are those of all threads."""

    rows: int
    bytes: int
    seconds: float
    cpu_seconds: float
    peak_megabytes: float


def export(database: Path, write: Callable[[Path, Path], None]) -> Exported:
    """Export a database to a temporary file beside it, with a function that takes both."""
    with tempfile.TemporaryDirectory(dir=database.parent) as folder:
        target, began, cpu = Path(folder, "overviews.parquet"), perf_counter(), process_time()
        write(database, target)
        seconds, cpu_seconds = perf_counter() - began, process_time() - cpu
        rows = pq.read_metadata(target).num_rows
        return Exported(rows, target.stat().st_size, seconds, cpu_seconds, peak_megabytes())


def write_ours(database: Path, target: Path) -> None:
    """Write what the command `export` writes."""
    with open_for_reading(database) as db, read_transaction(db), replacing(target, check=lambda _: None) as file:
        parquet.write(file, (group.table for group in parquet.groups(db, Selection())))


def write_with_adbc(database: Path, target: Path) -> None:
    """Write the view with the Arrow driver for SQLite: instants and dates as text, by symbol."""
    dbapi = import_module("adbc_driver_sqlite.dbapi")
    with dbapi.connect(f"{database.as_uri()}?mode=ro") as db, db.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": 65_536})
        cursor.execute("SELECT * FROM overviews")
        batches = cursor.fetch_record_batch()
        with pq.ParquetWriter(target, batches.schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)


def write_with_duckdb(database: Path, target: Path) -> None:
    """Write the view with DuckDB's scanner of SQLite files: instants and dates as text, by symbol."""
    package = Path(str(import_module("duckdb_extension_sqlite_scanner").__file__)).parent
    (extension,) = package.rglob("*.duckdb_extension")
    with import_module("duckdb").connect() as db:
        db.execute(f"LOAD '{extension}'")
        db.execute(f"ATTACH '{database}' AS record (TYPE sqlite, READ_ONLY)")
        db.execute(f"COPY (SELECT * FROM record.overviews) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")


WRITERS = {"ours": write_ours, "adbc": write_with_adbc, "duckdb": write_with_duckdb}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("database", type=Path)
    parser.add_argument("writer", choices=WRITERS)
    arguments = parser.parse_args()
    print(json.dumps(asdict(export(arguments.database, WRITERS[arguments.writer]))))


if __name__ == "__main__":
    main()
