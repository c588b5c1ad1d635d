"""Table files: where the rows of `panel`, `join` and `export` go; of the first two, in which format."""

import gzip
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, cast

import click

from pipeline.cli.options import Options
from pipeline.cli.output import print_json, print_line
from pipeline.cli.overwriting import overwriting_check
from pipeline.cli.terminal import TerminalFile
from pipeline.files import replacing
from pipeline.text import count

STANDARD = Path("-")
"""Standard input, or standard output."""


class TableFormat(StrEnum):
    """The format of a table in a file."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


FORMATS = [form.value for form in TableFormat]


def format_of(path: Path, named: str | None, *, option: str) -> TableFormat | None:
    """Return the format that was named, or that a file's ending says; None if neither says it.

    Raise a usage error for an ending that is of no format, and for Parquet that is packed once more.
    """
    packed = is_packed(path)
    ending = (path.with_suffix("") if packed else path).suffix.removeprefix(".").lower()
    if named is None and path != STANDARD and ending not in FORMATS:
        raise _usage_error(f"{path}: unknown format: use .csv(.gz), .jsonl(.gz) or .parquet, or {option}")
    if named is None and path == STANDARD:
        return None
    chosen = TableFormat(named or ending)
    if chosen is TableFormat.PARQUET and packed:
        raise _usage_error(f"{path}: Parquet is compressed already: use a .parquet file")
    return chosen


def is_packed(path: Path) -> bool:
    """Return whether a file's ending says that it is gzipped."""
    return path.suffix.lower() == ".gz"


def check_terminal(output: Path, form: TableFormat) -> None:
    """Raise a usage error if Parquet would be written to a terminal."""
    if form is TableFormat.PARQUET and output == STANDARD and sys.stdout.isatty():
        raise _usage_error("a terminal cannot show Parquet: name a file, or pipe it into a program")


@contextmanager
def open_output(output: Path, options: Options) -> Iterator[BinaryIO]:
    """Yield what to write to: stdout, or a new file that takes the old one's place once it is whole; gzipped for `.gz`.

    Raise Trouble if it cannot be written, or is a database or part of the configuration.
    """
    with (
        _stdout() if output == STANDARD else replacing(output, check=overwriting_check(options)) as file,
        _packing(file) if is_packed(output) else nullcontext(file) as target,
    ):
        yield target


def report_file(output: Path, rows: int, options: Options, *, as_json: bool) -> None:
    """Print which file was written, or folder of files, and how much of it."""
    written = output.resolve()  # as it was written: `absent/../out.csv` is none to the system
    files = [path for path in written.rglob("*") if path.is_file()] if written.is_dir() else [written]
    size = sum(path.stat().st_size for path in files)
    if as_json:
        print_json({"file": str(output), "rows": rows, "bytes": size})
    elif not options.quiet:
        print_line(f"{output}: {count(rows, 'row')}, {count(size, 'byte')}")


def _stdout() -> BinaryIO:
    """Return standard output for bytes, as a file object that may be closed after the reader has gone.

    A pipe or a file gets every byte; a terminal gets control characters as their escapes.
    """
    out = open(sys.stdout.fileno(), "wb", closefd=False)  # noqa: SIM115 - the caller closes it
    return cast("BinaryIO", io.BufferedWriter(TerminalFile(out))) if sys.stdout.isatty() else out


def _packing(file: BinaryIO) -> BinaryIO:
    """Return a file that compresses into `file`: without name and time, so that the same rows give the same bytes."""
    return cast("BinaryIO", gzip.GzipFile("", "wb", fileobj=file, mtime=0))


def _usage_error(text: str) -> click.UsageError:
    return click.UsageError(text, click.get_current_context())
