"""`pipeline panel FIELD...`: what was known of each company at each instant of a grid."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import click

from pipeline.cli.configuration import parse_companies
from pipeline.cli.options import (
    DayOrInstant,
    Form,
    Options,
    examples,
    json_option,
    lag_option,
    max_staleness_option,
    reading_options,
    universe_option,
    until_option,
)
from pipeline.cli.params import fields_argument, symbol_option
from pipeline.cli.progress import row_progress
from pipeline.cli.results import ago, open_history, print_result
from pipeline.cli.table_files import FORMATS, STANDARD, TableFormat, check_terminal, format_of, open_output, report_file
from pipeline.cli.universe import say_since_when
from pipeline.errors import Trouble, file_reason
from pipeline.extras import arrow, table_parquet
from pipeline.files import LARGEST_CONTENT, read_text
from pipeline.instants import for_people, parse, utc_now
from pipeline.model.fields import find_fields
from pipeline.query.history import History
from pipeline.query.known import earlier, milliseconds
from pipeline.query.panel import AT, PanelRow, grid_of, in_order
from pipeline.query.results import Answer, Column
from pipeline.query.snapshots import DEFAULT_FIELDS
from pipeline.transfer.formats import write_named_csv, write_named_jsonl

_INSTANTS_AT_ONCE = 1_000
"""Rows of a wide table that are converted at once."""
_LARGEST_TABLE = 100_000
"""Rows of a table for people, which is laid out whole."""
_EVERY = 1_000
"""Rows between two updates of the progress bar."""


@dataclass(slots=True)
class _Tally:
    """Counts the cells that are read through it, and those in which something was known."""

    advance: Callable[[float], object]
    place: int
    """Of `observed_at` in a row."""
    cells: int = 0
    known: int = 0

    def counted(self, answer: Answer[PanelRow]) -> Answer[PanelRow]:
        """Return the same answer, counted as it is read."""
        return Answer(answer.columns, lambda: self._rows(answer), PanelRow, tables=lambda: self._tables(answer))

    def _rows(self, answer: Answer[PanelRow]) -> Iterator[tuple[Any, ...]]:
        for row in answer.rows():
            self.cells += 1
            self.known += row[self.place] is not None
            if self.cells % _EVERY == 0:
                self.advance(_EVERY)
            yield row

    def _tables(self, answer: Answer[PanelRow]) -> Iterator[Any]:
        for table in answer.tables():
            self.cells += table.num_rows
            self.known += table.num_rows - table.column(self.place).null_count
            self.advance(table.num_rows)
            yield table


@click.command(
    epilog=examples(
        "pipeline panel pe_ratio --since 2026-01-01 --until 2026-03-31 --output panel.parquet",
        "pipeline panel pe_ratio eps --every 1mo --lag 1d --symbol AAPL --symbol PEP",
        "pipeline panel market_capitalization --calendar XNYS --since 30d --wide --format csv",
        "pipeline panel pe_ratio --at instants.txt --max-staleness 48 --output -",
    )
)
@fields_argument
@click.option(
    "--every", type=click.Choice(["1d", "1w", "1mo", "1q"]), help="Step of the grid: day, week, month, quarter [1d]."
)
@click.option("--calendar", metavar="NAME", help="Closes of an exchange, such as XNYS, instead of the ends of days.")
@click.option("--at", "at_file", metavar="FILE", type=click.Path(path_type=Path), help="The instants: one a line.")
@click.option(
    "--since", type=DayOrInstant(), help="Start of the grid: a day, or an instant [the first snapshot's day]."
)
@until_option
@symbol_option
@max_staleness_option("Leave values empty that were last seen more than HOURS before.")
@lag_option
@universe_option
@click.option("--wide", is_flag=True, help="One field: a row for each instant, a column for each symbol.")
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write a .parquet, .csv(.gz) or .jsonl(.gz) file."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", *FORMATS]),
    help="Output format [table, or by the ending of FILE].",
)
@json_option
@reading_options
def command(
    options: Options,
    *,
    fields: tuple[str, ...],
    every: str | None,
    calendar: str | None,
    at_file: Path | None,
    since: date | None,
    until: datetime | None,
    symbols: tuple[str, ...],
    max_staleness: timedelta | None,
    lag: timedelta,
    universe: bool,
    wide: bool,
    output: Path | None,
    form: str | None,
    as_json: bool,
) -> None:
    """Show what was known of each symbol at each instant of a grid, as as-of does, in one pass.

    From a day on, the grid has the ends of days (UTC), months or quarters up to --until [now]; from an instant on, that
    instant and the same time of later days. Where nothing was known yet, or it was too stale, the values are empty.
    """
    if at_file is not None and (every or calendar or since or until):
        raise _usage_error("--at names the instants: drop --every, --calendar, --since and --until")
    columns = find_fields(fields, DEFAULT_FIELDS)
    if wide and len(columns) != 1:
        raise _usage_error("--wide shows one field: name one")
    if output is None and form == TableFormat.PARQUET:
        raise _usage_error("Parquet goes into a file: name one with --output")
    wanted = parse_companies(symbols, options) or None
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: removes the partial file
    with open_history(options) as history:
        names = history.symbols() if wanted is None else history.check_symbols(wanted)
        if at_file is None:
            instants = _of_grid(every, calendar, since or _first_day(history, names), until or utc_now())
        else:
            instants = _of_file(at_file)
        if universe:
            say_since_when(history, earlier(instants[0], milliseconds(lag)), options)
        answer = history.panel(
            columns, at=instants, symbols=names, max_staleness=max_staleness, lag=lag, universe=universe
        )
        cells, prints_rows = len(instants) * len(names), output in (None, STANDARD)
        rows = 0
        with row_progress(options, "panel", cells, prints_rows=prints_rows) as advance:
            tally = _Tally(advance, answer.names.index("observed_at"))
            shown: Answer[Any] = _pivoted(tally.counted(answer), names) if wide else tally.counted(answer)
            if output is not None:
                rows = _write(shown, output, form, options, as_json=as_json)
            else:
                _print(shown, form, len(instants) * (1 if wide else len(names)), as_json=as_json)
        if output not in (None, STANDARD):
            report_file(output, rows, options, as_json=as_json)
        if not tally.known:
            _say_nothing_was_known(history, options, names, instants, universe=universe)


def _usage_error(text: str) -> click.UsageError:
    return click.UsageError(text, click.get_current_context())


def _first_day(history: History, names: Sequence[str]) -> date:
    first = history.first_observed_at(names)
    assert first is not None
    return first.date()


def _of_grid(every: str | None, calendar: str | None, since: date | datetime, until: datetime) -> list[datetime]:
    """Return the instants of a grid. Raise a usage error if there are none."""
    instants = in_order(grid_of(every or "1d", calendar, since, until))
    if not instants:
        raise _usage_error("the grid has no instant: --until is before the end of the first day or period")
    return instants


def _of_file(path: Path) -> list[datetime]:
    """Return the instants of a file. Raise a usage error if there are none."""
    instants = in_order(_read_instants(path))
    if not instants:
        raise _usage_error(f"the grid has no instant: {path} names none")
    return instants


def _read_instants(path: Path) -> Iterator[datetime]:
    """Yield the instants of a file, or of standard input, one a line; a date means its end. Raise Trouble."""
    now = utc_now()
    try:
        text = sys.stdin.read(LARGEST_CONTENT + 1) if path == STANDARD else read_text(path)
    except (OSError, ValueError) as error:
        raise Trouble(f"{path} cannot be read: {file_reason(error)}") from None
    if len(text) > LARGEST_CONTENT:
        raise Trouble(f"standard input has more than {LARGEST_CONTENT:,} characters")
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                yield parse(line, now=now, day_ends=True)
            except ValueError as error:
                raise Trouble(f"{path}: line {number}: {error}") from None


def _pivoted(answer: Answer[Any], names: Sequence[str]) -> Answer[Any]:
    """Return the one field of a panel as a row for each instant and a column for each symbol."""
    field = answer.columns[2]
    columns = (AT, *(Column(name, field.kind) for name in names))

    def rows() -> Iterator[tuple[Any, ...]]:
        for at, of_instant in groupby(answer.rows(), key=itemgetter(0)):
            values = {row[1]: row[2] for row in of_instant}
            yield (at, *map(values.get, names))

    def tables() -> Iterator[Any]:
        of_file = rows()
        yield arrow().table(columns, list(islice(of_file, _INSTANTS_AT_ONCE)))
        while some := list(islice(of_file, _INSTANTS_AT_ONCE)):
            yield arrow().table(columns, some)

    return Answer(columns, rows, tuple, tables=tables)


def _print(answer: Answer[Any], form: str | None, rows: int, *, as_json: bool) -> None:
    chosen = Form(form or Form.TABLE)
    if chosen.is_table and not as_json and rows > _LARGEST_TABLE:
        raise _usage_error(f"{rows:,} rows are too many for a table: use --output FILE, or --format csv")
    shown = {"staleness_hours": ago} if "staleness_hours" in answer.names else {}
    print_result(
        answer,
        form=chosen,
        as_json=as_json,
        shown=shown,
        headers={"staleness_hours": "staleness", "observed_symbol": "observed as"},
        whole="--format csv or --output FILE has all",
    )


def _write(answer: Answer[Any], output: Path, form: str | None, options: Options, *, as_json: bool) -> int:
    """Write the answer to a file, or to stdout, and return the number of rows."""
    if form == "table" or (as_json and output == STANDARD):
        raise _usage_error("--output writes .parquet, .csv or .jsonl: drop the other format")
    chosen = format_of(output, form, option="--format") or TableFormat.CSV
    check_terminal(output, chosen)
    with open_output(output, options) as file:
        match chosen:
            case TableFormat.PARQUET:
                return int(table_parquet().write_tables(file, answer.tables()))
            case TableFormat.CSV:
                return write_named_csv(file, answer.names, answer.rows())
            case TableFormat.JSONL:
                return write_named_jsonl(file, answer.names, answer.rows())


def _say_nothing_was_known(
    history: History, options: Options, names: Sequence[str], instants: Sequence[datetime], *, universe: bool
) -> None:
    began_at = history.universe_began_at()
    if universe and (began_at is None or began_at > instants[-1]):
        return  # `say_since_when` said why
    first = for_people(datetime.combine(_first_day(history, names), time(), UTC))[:10]
    between = f"from {for_people(instants[0])} to {for_people(instants[-1])} UTC"
    options.say(f"nothing was known, or all was too stale, {between}: the first snapshot is of {first}")
