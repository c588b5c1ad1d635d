"""`pipeline join FILE FIELD... --output FILE`: add what was known then to the rows of a table."""

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from shutil import copyfileobj
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

import click

from pipeline.cli.configuration import load_silently
from pipeline.cli.options import Options, examples, json_option, lag_option, max_staleness_option, reading_options
from pipeline.cli.params import fields_argument
from pipeline.cli.progress import byte_progress, row_progress
from pipeline.cli.readable import readable
from pipeline.cli.table_files import FORMATS, STANDARD, TableFormat, check_terminal, format_of, open_output, report_file
from pipeline.errors import Trouble, file_reason
from pipeline.extras import joined_parquet
from pipeline.files import is_readable_kind
from pipeline.model.fields import find_fields
from pipeline.query.join import JoinError, Joining
from pipeline.query.known import Known, longest
from pipeline.query.snapshots import DEFAULT_FIELDS
from pipeline.schedule.zones import find_zone, fixed_offset_problem
from pipeline.store.reader import open_for_reading
from pipeline.store.stored_symbols import check_any_stored
from pipeline.text import count, few
from pipeline.transfer.export import read_transaction
from pipeline.transfer.joining import join_csv, join_jsonl
from pipeline.transfer.streams import open_stream, source_name


class _Zone(click.ParamType[ZoneInfo]):
    """A time zone of the IANA database."""

    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ZoneInfo:
        try:
            return find_zone(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(
    epilog=examples(
        "pipeline join trades.csv pe_ratio eps --output trades-known.csv",
        "pipeline join trades.parquet pe_ratio --time-column filled_at --lag 1d --output known.parquet",
        "pipeline join trades.csv sector --timezone America/New_York --prefix known_ --output known.csv",
        "zcat trades.jsonl.gz | pipeline join - pe_ratio --format jsonl --output - | head",
    )
)
@click.argument("file", type=click.Path(path_type=Path))
@fields_argument
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, metavar="FILE", help="File to write; - is stdout."
)
@click.option("--symbol-column", metavar="NAME", default="symbol", help="Column of the symbols [symbol].")
@click.option("--time-column", metavar="NAME", default="time", help="Column of the instants [time].")
@click.option("--timezone", type=_Zone(), metavar="ZONE", help="Zone of times without an offset, as America/New_York.")
@lag_option
@max_staleness_option("Leave values empty that were last seen more than HOURS before.")
@click.option("--prefix", metavar="TEXT", default="", help="Put this before the names of the added columns.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="Format of FILE and output [by the ending of FILE].")
@json_option
@reading_options
def command(
    options: Options,
    *,
    file: Path,
    fields: tuple[str, ...],
    output: Path,
    symbol_column: str,
    time_column: str,
    timezone: ZoneInfo | None,
    lag: timedelta,
    max_staleness: timedelta | None,
    prefix: str,
    form: str | None,
    as_json: bool,
) -> None:
    """Add to each row of FILE what was known of its symbol at its instant, as as-of says, and how stale it was.

    FILE is CSV, JSON Lines or Parquet, or - for stdin. All rows and columns stay as they are, in order. A date alone
    means its end (UTC). Where nothing was known yet, or it was too stale, the added values are empty.
    """
    chosen = _format(file, output, form)
    if as_json and output == STANDARD:
        raise click.UsageError(
            "--json describes the file: use it with --output FILE, not -", click.get_current_context()
        )
    columns = find_fields(fields, DEFAULT_FIELDS)
    database = load_silently(options).database
    _check_readable(file)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: removes the partial file
    with readable(database, options) as read, open_for_reading(read) as db, read_transaction(db):
        check_any_stored(db, database)
        known = Known(db, columns)
        joining = Joining(known, symbol_column, time_column, prefix, timezone, lag, longest(max_staleness))
        with open_output(output, options) as target:
            try:
                rows = _joined(file, target, chosen, joining, options, prints_rows=output == STANDARD)
            except JoinError as error:
                raise JoinError(f"{source_name(_source(file))}: {error.problem}", remedy=error.remedy) from None
    _say_what_is_unknown(known, options)
    if timezone is not None and (fixed := fixed_offset_problem(timezone.key)):
        options.say(": ".join(fixed))
    if output != STANDARD:
        report_file(output, rows, options, as_json=as_json)


def _say_what_is_unknown(known: Known, options: Options) -> None:
    if known.unknown:
        which = f"{count(len(known.unknown), 'symbol')} without a snapshot, whose rows have no values"
        options.say(f"{which}: {few(sorted(known.unknown))}")


def _format(file: Path, output: Path, named: str | None) -> TableFormat:
    """Return the format of both files, which is the same. Raise a usage error."""
    form = format_of(file, named, option="--format") or format_of(output, named, option="--format") or TableFormat.CSV
    written = format_of(output, named, option="--format") or form
    if written is not form:
        ours, theirs = form.upper(), written.upper()
        text = f"FILE is {ours} and {output} would be {theirs}: name a .{form.value} file to write"
        raise click.UsageError(text, click.get_current_context())
    if form is TableFormat.PARQUET:
        joined_parquet()  # fails early if pyarrow is not installed
    check_terminal(output, form)
    return form


def _source(file: Path) -> Path | None:
    return None if file == STANDARD else file


def _check_readable(file: Path) -> None:
    if file != STANDARD and not file.is_fifo():  # a pipe can be opened once
        try:
            if not is_readable_kind(file):
                raise Trouble(f"{file} is neither a file nor a pipe", remedy="name one")
            with file.open("rb"):
                pass
        except OSError as error:
            raise Trouble(f"{file} cannot be read: {file_reason(error)}") from None


def _joined(
    file: Path, target: BinaryIO, form: TableFormat, joining: Joining, options: Options, *, prints_rows: bool
) -> int:
    """Write the joined rows, with a progress bar, and return how many there are. Raise JoinError."""
    if form is TableFormat.PARQUET:
        parquet = joined_parquet()
        with (
            _seekable(file) as source,
            parquet.open_parquet(source) as opened,
            row_progress(options, "joining", opened.metadata.num_rows, prints_rows=prints_rows) as advance,
        ):
            return int(parquet.join_parquet(opened, target, joining, advance))
    join = join_csv if form is TableFormat.CSV else join_jsonl
    size = None if file == STANDARD else file.stat().st_size
    with (
        byte_progress(options, prints_rows=prints_rows) as step,
        open_stream(_source(file), step("joining", lambda: size)) as stream,
    ):
        return join(stream, target, joining)


@contextmanager
def _seekable(file: Path) -> Iterator[BinaryIO]:
    """Yield a file that can be read from any place: of a pipe, a temporary copy."""
    with nullcontext(sys.stdin.buffer) if file == STANDARD else file.open("rb") as opened:
        if opened is not sys.stdin.buffer and opened.seekable():
            yield opened
            return
        with tempfile.TemporaryFile() as copy:
            copyfileobj(opened, copy)
            copy.seek(0)
            yield copy
