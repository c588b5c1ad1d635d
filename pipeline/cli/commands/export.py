"""`pipeline export --output FILE`: write snapshots for other tools, as Parquet, CSV, Excel or JSON Lines."""

import signal
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

from pipeline.cli.configuration import load_silently, parse_symbols
from pipeline.cli.options import (
    Options,
    check_interval,
    examples,
    json_option,
    reading_options,
    since_option,
    until_option,
)
from pipeline.cli.overwriting import overwriting_check
from pipeline.cli.params import symbols_argument
from pipeline.cli.progress import row_progress
from pipeline.cli.readable import readable
from pipeline.cli.results import told_what_is_listed
from pipeline.cli.table_files import STANDARD, is_packed, open_output, report_file
from pipeline.extras import excel as excel_format
from pipeline.extras import parquet
from pipeline.files import filling
from pipeline.store.reader import open_for_reading
from pipeline.store.stored_symbols import check_listed, check_symbols
from pipeline.transfer.export import Selection, originals, overview_rows, read_transaction, snapshot_count
from pipeline.transfer.formats import write_jsonl, write_rows_csv, write_rows_excel_csv, write_rows_jsonl

_FORMATS = ("parquet", "csv", "xlsx", "jsonl")
_BINARY = {"parquet": "Parquet", "xlsx": "an Excel file"}
"""Formats that are compressed and that no terminal can show."""
_EVERY = 1_000
"""Rows between two updates of the progress bar."""

T = TypeVar("T")


class _Form(StrEnum):
    """What to write."""

    PARQUET = "parquet"
    PARTITIONS = "partitions"
    CSV = "csv"
    EXCEL_CSV = "csv for Excel"
    XLSX = "xlsx"
    JSONL = "jsonl"
    ORIGINALS = "originals"


@dataclass(slots=True)
class _Counter:
    """Counts the rows that are read through it, and advances a progress bar."""

    advance: Callable[[float], object]
    rows: int = 0

    def rows_of(self, items: Iterable[T], size: Callable[[T], int] | None = None) -> Iterator[T]:
        """Yield the items, counting each as one row, or as its size."""
        drawn = self.rows
        for item in items:
            self.rows += size(item) if size else 1
            if self.rows - drawn >= _EVERY:
                self.advance(self.rows - drawn)
                drawn = self.rows
            yield item


@click.command(
    epilog=examples(
        "pipeline export --output overviews.parquet",
        "pipeline export IBM --since 2026-01-01 --output ibm.csv",
        "pipeline export AAPL MSFT --output companies.xlsx",
        "pipeline export --original --output all.jsonl.gz",
        "pipeline export --partition --output overviews",
        "  (DuckDB reads it as 'overviews/*/*/*.parquet')",
    )
)
@symbols_argument
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="File to write; - is stdout.",
)
@click.option("--format", "form", type=click.Choice(_FORMATS), help="Output format [by the ending of FILE].")
@click.option("--original", is_flag=True, help="Write documents as received, as JSON Lines that import reads.")
@click.option(
    "--partition", is_flag=True, help="Write Parquet into a new folder: FILE/year=2026/month=03/part-0.parquet."
)
@click.option("--excel", is_flag=True, help="Write CSV that Excel opens as UTF-8: with a byte order mark.")
@since_option
@until_option
@json_option
@reading_options
def command(
    options: Options,
    *,
    symbols: tuple[str, ...],
    output: Path,
    form: str | None,
    original: bool,
    partition: bool,
    excel: bool,
    since: datetime | None,
    until: datetime | None,
    as_json: bool,
) -> None:
    """Write all snapshots, or those of the SYMBOLS, that were first observed in an interval, ends included.

    An existing FILE is replaced once the new one is complete. The export is one consistent state of the database, even
    during a run. In CSV an apostrophe is put before text that a spreadsheet would run as a formula; the other formats
    leave every text as it is.
    """
    check_interval(since, until)
    wanted = _form(output, form, original=original, partition=partition, excel=excel)
    if as_json and output == STANDARD:
        raise click.UsageError("--json describes the file: use it with --output FILE, not -", _context())
    if wanted in (_Form.PARQUET, _Form.PARTITIONS):
        parquet()  # fails early if pyarrow is not installed
    if wanted is _Form.XLSX:
        excel_format()
    selection = Selection(parse_symbols(symbols, options), since, until)
    settings = load_silently(options)
    database = settings.database
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: removes the partial file
    with readable(database, options) as read, open_for_reading(read) as db, read_transaction(db):
        with told_what_is_listed(settings.all_symbols):
            check_symbols(db, database, selection.symbols)
            if not selection.symbols:
                check_listed(db)
        total = snapshot_count(db, selection)
        with row_progress(options, "exporting", total, prints_rows=output == STANDARD) as advance:
            counter = _Counter(advance)
            if wanted is _Form.PARTITIONS:
                with filling(output, check=overwriting_check(options)) as folder:
                    parquet().write_partitioned(folder, _groups(db, selection, counter))
            else:
                with open_output(output, options) as target:
                    _write(target, db, selection, wanted, counter)
    if output != STANDARD:
        report_file(output, counter.rows, options, as_json=as_json)


def _context() -> click.Context:
    return click.get_current_context()


def _form(output: Path, form: str | None, *, original: bool, partition: bool, excel: bool) -> _Form:
    """Return what to write: in the named format, else by the file's ending, else as other options imply."""
    named = output.with_suffix("") if is_packed(output) else output
    ending = named.suffix.removeprefix(".").lower()
    implied = "jsonl" if original else "parquet" if partition else None
    chosen = form or (ending if ending in _FORMATS else implied or ("csv" if excel else None))
    if chosen is None and output.is_dir():
        raise click.UsageError(f"{output} is a folder: name a file in it", _context())
    if chosen is None:
        raise click.UsageError(
            "unknown format: use a FILE.parquet, .xlsx, .csv(.gz) or .jsonl(.gz), or --format", _context()
        )
    if original and (chosen != "jsonl" or partition):
        raise click.UsageError("--original writes JSON Lines: drop the other format", _context())
    if partition and (chosen != "parquet" or output == STANDARD):
        raise click.UsageError(
            "--partition writes a folder of Parquet: drop the other format, name a folder", _context()
        )
    if excel and (chosen != "csv" or original):
        raise click.UsageError("--excel is for CSV: drop the other format, or use a FILE.xlsx without it", _context())
    if chosen in _BINARY and is_packed(output):
        raise click.UsageError(f"{_BINARY[chosen]} is already compressed: use a FILE.{chosen}", _context())
    if chosen in _BINARY and output == STANDARD and sys.stdout.isatty():
        text = f"a terminal cannot show {_BINARY[chosen]}: name a file, or pipe it into a program"
        raise click.UsageError(text, _context())
    if original:
        return _Form.ORIGINALS
    if partition:
        return _Form.PARTITIONS
    return _Form.EXCEL_CSV if excel else _Form(chosen)


def _write(file: BinaryIO, db: sqlite3.Connection, selection: Selection, form: _Form, counter: _Counter) -> None:
    match form:
        case _Form.CSV:
            write_rows_csv(file, counter.rows_of(overview_rows(db, selection)))
        case _Form.EXCEL_CSV:
            write_rows_excel_csv(file, counter.rows_of(overview_rows(db, selection)))
        case _Form.XLSX:
            excel_format().write_rows_xlsx(file, counter.rows_of(overview_rows(db, selection)))
        case _Form.JSONL:
            write_rows_jsonl(file, counter.rows_of(overview_rows(db, selection)))
        case _Form.ORIGINALS:
            write_jsonl(file, counter.rows_of(originals(db, selection)))
        case _:
            parquet().write(file, (group.table for group in _groups(db, selection, counter)))


def _groups(db: sqlite3.Connection, selection: Selection, counter: _Counter) -> Iterator[Any]:
    return counter.rows_of(parquet().groups(db, selection), lambda group: int(group.table.num_rows))
