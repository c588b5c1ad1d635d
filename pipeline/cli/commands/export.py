"""`pipeline export --output FILE`: the record, for other tools."""

import gzip
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.cli.configuration import load_settings, parse_symbols
from pipeline.cli.options import Options, check_interval, global_options, json_option, since_option, until_option
from pipeline.cli.output import print_json
from pipeline.cli.params import symbols_argument
from pipeline.extras import parquet
from pipeline.files import filling, replacing
from pipeline.store.reader import open_for_reading
from pipeline.store.stored_symbols import check_symbols
from pipeline.transfer.export import (
    Selection,
    expected,
    one_state,
    originals,
    rows,
    write_jsonl,
    write_rows_csv,
    write_rows_jsonl,
)

_FORMATS = ("parquet", "csv", "jsonl")
_STDOUT = Path("-")
_EVERY = 1_000
"""Rows between two looks at the progress bar."""

T = TypeVar("T")


class _Form(StrEnum):
    """What is written."""

    PARQUET = "parquet"
    PARTITIONS = "partitions"
    CSV = "csv"
    JSONL = "jsonl"
    ORIGINALS = "originals"


@dataclass(slots=True)
class _Count:
    """How many rows have been read; drawn where there is a terminal."""

    draw: Callable[[int], object] | None = None
    rows: int = 0

    def rows_of(self, items: Iterable[T], size: Callable[[T], int] | None = None) -> Iterator[T]:
        """Yield the items, counting the rows of each: one, or its size."""
        drawn = 0
        for item in items:
            self.rows += size(item) if size else 1
            if self.draw and self.rows - drawn >= _EVERY:
                self.draw(self.rows)
                drawn = self.rows
            yield item


@click.command(
    epilog="Examples: pipeline export --output overviews.parquet;"
    " pipeline export IBM --since 2026-01-01 --output ibm.csv;"
    " pipeline export --original --output all.jsonl.gz;"
    " pipeline export --partition --output overviews (DuckDB reads 'overviews/*/*/*.parquet')"
)
@symbols_argument
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Where to; - is standard output."
)
@click.option("--format", "form", type=click.Choice(_FORMATS), help="[as the name of FILE ends]")
@click.option("--original", is_flag=True, help="JSON Lines of the documents as received, which import takes back.")
@click.option("--partition", is_flag=True, help="Parquet in a new folder, FILE: year=2026/month=03/part-0.parquet.")
@since_option
@until_option
@json_option
@global_options
def command(
    options: Options,
    *,
    symbols: tuple[str, ...],
    output: Path,
    form: str | None,
    original: bool,
    partition: bool,
    since: datetime | None,
    until: datetime | None,
    as_json: bool,
) -> None:
    """Write every snapshot, or those of the SYMBOLs, that was first observed in an interval, ends included.

    An existing FILE is replaced, once the new one is whole. It is one state of the record, while a run may go on. In
    CSV a text that begins like a formula is quoted with an apostrophe; --original and Parquet have every text as it is.
    """
    check_interval(since, until)
    wanted = _form(output, form, original=original, partition=partition)
    if as_json and output == _STDOUT:
        raise click.UsageError("--json tells of the file, and there is none with --output -", _context())
    if wanted in (_Form.PARQUET, _Form.PARTITIONS):
        parquet()  # before anything else is looked at
    selection = Selection(parse_symbols(symbols, options), since, until)
    database = load_settings(options).database
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: what was half written is removed
    with open_for_reading(database) as db, one_state(db):
        check_symbols(db, database, selection.symbols)
        with _counting(options, expected(db, selection)) as count:
            if wanted is _Form.PARTITIONS:
                with filling(output) as folder:
                    parquet().write_partitioned(folder, _groups(db, selection, count))
            else:
                with (
                    _stdout() if output == _STDOUT else replacing(output, database) as file,
                    _packing(file) if _is_packed(output) else nullcontext(file) as target,
                ):
                    _write(target, db, selection, wanted, count)
    if output != _STDOUT:
        _tell(output, count.rows, options, as_json=as_json)


def _context() -> click.Context:
    return click.get_current_context()


def _form(output: Path, form: str | None, *, original: bool, partition: bool) -> _Form:
    """Return what to write: in the format named, else as the file's name ends, else as the other options imply."""
    named = output.with_suffix("") if _is_packed(output) else output
    ending = named.suffix.removeprefix(".").lower()
    implied = "jsonl" if original else "parquet" if partition else None
    chosen = form or (ending if ending in _FORMATS else implied)
    if chosen is None:
        raise click.UsageError(
            "which format? name a FILE.parquet, .csv(.gz) or .jsonl(.gz), or give --format", _context()
        )
    if original and (chosen != "jsonl" or partition):
        raise click.UsageError("--original writes JSON Lines: it goes with no other format", _context())
    if partition and (chosen != "parquet" or output == _STDOUT):
        raise click.UsageError("--partition writes a folder of Parquet: it goes with no other format", _context())
    if chosen == "parquet" and _is_packed(output):
        raise click.UsageError("Parquet is compressed already: name a FILE.parquet", _context())
    if chosen == "parquet" and output == _STDOUT and sys.stdout.isatty():
        raise click.UsageError("Parquet is no text for a terminal: name a file, or pipe it on", _context())
    return _Form.ORIGINALS if original else _Form.PARTITIONS if partition else _Form(chosen)


def _is_packed(output: Path) -> bool:
    return output.suffix.lower() == ".gz"


def _packing(file: BinaryIO) -> BinaryIO:
    """Return a file that passes on what is written to it, compressed: without a name or a time, so always the same."""
    return cast("BinaryIO", gzip.GzipFile("", "wb", fileobj=file, mtime=0))


def _stdout() -> BinaryIO:
    """Return standard output for bytes: a file of its own, so that it may be closed after its reader has gone."""
    return open(sys.stdout.fileno(), "wb", closefd=False)


def _write(file: BinaryIO, db: sqlite3.Connection, selection: Selection, form: _Form, count: _Count) -> None:
    match form:
        case _Form.CSV:
            write_rows_csv(file, count.rows_of(rows(db, selection)))
        case _Form.JSONL:
            write_rows_jsonl(file, count.rows_of(rows(db, selection)))
        case _Form.ORIGINALS:
            write_jsonl(file, count.rows_of(originals(db, selection)))
        case _:
            parquet().write(file, (group.table for group in _groups(db, selection, count)))


def _groups(db: sqlite3.Connection, selection: Selection, count: _Count) -> Iterator[Any]:
    return count.rows_of(parquet().groups(db, selection), lambda group: int(group.table.num_rows))


@contextmanager
def _counting(options: Options, total: int | None) -> Iterator[_Count]:
    """Yield a count that is drawn until the block ends, if there is a terminal to draw on."""
    if options.quiet or not sys.stderr.isatty():
        yield _Count()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("exporting", total=total)
        yield _Count(lambda rows: bar.update(task, completed=rows))


def _tell(output: Path, rows: int, options: Options, *, as_json: bool) -> None:
    files = [path for path in output.rglob("*") if path.is_file()] if output.is_dir() else [output]
    size = sum(path.stat().st_size for path in files)
    if as_json:
        print_json({"file": str(output), "rows": rows, "bytes": size})
    elif not options.quiet:
        click.echo(f"{output}: {rows:,} rows, {size:,} bytes")
