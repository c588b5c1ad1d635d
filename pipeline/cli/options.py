"""The options that several commands share: the global ones, --since, --until, --day, --format, --wide and --json."""

import re
import shlex
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Any

import click

from pipeline import instants
from pipeline.errors import LONGEST_LINE, Trouble
from pipeline.text import printable, quoted, without_middle

_FILE = click.Path(path_type=Path)
_FIRST_YEAR, _LAST_YEAR = 1900, 2199
_LONGEST_WAIT = 1e9
"""Seconds: 31 years. A timedelta could not hold an infinite wait."""
LARGEST_INTEGER = 2**63 - 1
"""Of SQLite's INTEGER."""


_SUGGESTED = re.compile(
    r"\bpipeline (?:as-of|backup|changes|collect|config|correct|datasette-metadata|doctor|export"
    r"|fleet(?: detach| import| init)?|follow|health|history|import|join|mcp|migrate|notify|panel|plan|restore|runs?"
    r"|schedule|serve|status|symbols|vintages)\b"
    r"(?!-)(?![^:;,()]* --database )"
)
"""A command in a message, up to where options can follow."""


@dataclass(frozen=True, slots=True)
class Options:
    """The global options."""

    config: Path | None = None
    database: Path | None = None
    verbose: int = 0
    quiet: bool = False
    migrate_copy: bool = False
    """Whether to answer from a migrated copy of an older database, however large it is."""

    def repeated_in(self, text: str) -> str:
        """Return a message whose suggested commands have these --config and --database, so that they can be pasted.

        Not those that need neither, and none that names a database already.
        """
        given = {"--config": self.config, "--database": self.database}
        more = "".join(f" {name} {shlex.quote(str(file))}" for name, file in given.items() if file is not None)
        return _SUGGESTED.sub(lambda found: found[0] + more, text)

    def command(self, name: str) -> str:
        """Return a command line for the same database, to be shown as the next step."""
        return self.repeated_in(f"pipeline {name}")

    def say(self, text: str) -> None:
        """Print a note to stderr, unless --quiet was given."""
        if not self.quiet:
            self.error(text)

    def error(self, text: str) -> None:
        """Print an error to stderr, with --quiet too."""
        # Not click.echo: it would write past the progress bar, which puts itself in sys.stderr's place.
        with suppress(OSError):  # stderr has no reader any more: no reason to stop
            line = self.repeated_in(without_middle(text, LONGEST_LINE))
            print(f"pipeline: {printable(line)}", file=sys.stderr, flush=True)


def global_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the global options, taken before or after its name, as one `options` argument."""

    @click.option(
        "--config", metavar="FILE", type=_FILE, help="Configuration file [$PIPELINE_CONFIG or config/pipeline.toml]."
    )
    @click.option("--database", metavar="FILE", type=_FILE, help="Database file, instead of the configured one.")
    @click.option("-v", "--verbose", count=True, help="Log more: -v each run, -vv each symbol.")
    @click.option("-q", "--quiet", is_flag=True, help="Print data and errors only: no progress, notes or summary.")
    @wraps(function)
    def with_options(
        *args: Any, config: Path | None, database: Path | None, verbose: int, quiet: bool, **rest: Any
    ) -> Any:
        outer = click.get_current_context().find_object(Options) or Options()
        options = replace(
            outer,
            config=config or outer.config,
            database=database or outer.database,
            verbose=verbose or outer.verbose,
            quiet=quiet or outer.quiet,
        )
        try:
            return function(*args, options=options, **rest)
        except Trouble as trouble:
            trouble.args = (options.repeated_in(str(trouble)),)
            raise

    return with_options


def reading_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that only reads the database the global options, and --migrate-copy, as one `options` argument."""

    @click.option(
        "--migrate-copy", is_flag=True, help="Read an older database from a migrated copy, however large it is."
    )
    @global_options
    @wraps(function)
    def with_migrate_copy(*args: Any, options: Options, migrate_copy: bool, **rest: Any) -> Any:
        return function(*args, options=replace(options, migrate_copy=migrate_copy), **rest)

    return with_migrate_copy


class Whole(click.ParamType[int]):
    """A whole number of at least `least` and at most `most`."""

    name = "integer"

    def __init__(self, least: int, most: int = LARGEST_INTEGER) -> None:
        self._least = least
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        number = int(text) if re.fullmatch(r"[-+]?[0-9]{1,600}", text, re.ASCII) else None
        if number is None or not self._least <= number <= self._most:
            open_ended = self._most == LARGEST_INTEGER and (number is None or number < self._least)
            allowed = f"of {self._least} or more" if open_ended else f"from {self._least} to {self._most}"
            self.fail(f"invalid number {quoted(text)}: use a whole number {allowed}", param, ctx)
        return number


class Seconds(click.ParamType[timedelta]):
    """A span in seconds, 0 or more."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):  # the default
            return value
        try:
            seconds = float(value)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= _LONGEST_WAIT:  # nor NaN
            self.fail(f"invalid number of seconds {quoted(value)}: use 0, 2.5, 60, …", param, ctx)
        return timedelta(seconds=seconds)


class _Day(click.ParamType[datetime]):
    """A day, some years before and after which dates can be computed with."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            day = datetime.strptime(value, "%Y-%m-%d")  # noqa: DTZ007 - a day has no zone
        except ValueError:
            day = None
        if day is None or not _FIRST_YEAR <= day.year <= _LAST_YEAR:
            text = f"invalid day {quoted(value)}: use one from {_FIRST_YEAR} to {_LAST_YEAR}, such as 2026-03-14"
            self.fail(text, param, ctx)
        return day


def day_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option for the day that the sandbox simulates."""
    return click.option("--day", metavar="DATE", type=_Day(), help=text)


class Instant(click.ParamType[datetime]):
    """A point in time, as `instants.parse` reads it. A date alone means its end (UTC) if `day_ends`, else its start."""

    name = "instant"

    def __init__(self, *, day_ends: bool) -> None:
        self._day_ends = day_ends

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return instants.parse(value, now=instants.utc_now(), day_ends=self._day_ends)
        except ValueError as error:
            self.fail(str(error), param, ctx)


since_option = click.option("--since", type=Instant(day_ends=False), help="From then on; a date means its start (UTC).")
until_option = click.option("--until", type=Instant(day_ends=True), help="Up to then; a date means its end (UTC).")


class DayOrInstant(click.ParamType[date]):
    """A day, or a point in time (a datetime), as `instants.parse_day_or_instant` reads it."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return instants.parse_day_or_instant(value, now=instants.utc_now())
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Hours(click.ParamType[timedelta]):
    """A number of hours."""

    name = "hours"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        text = str(value)
        try:
            span = timedelta(hours=float(text))
        except (ValueError, OverflowError):
            span = -timedelta.resolution
        if span < timedelta(0):
            self.fail(f"invalid number of hours {quoted(text)}: use 48, 0.5, …", param, ctx)
        return span


def max_staleness_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option for how long before an instant a snapshot may have been last seen."""
    return click.option("--max-staleness", type=_Hours(), metavar="HOURS", help=text)


class _Span(click.ParamType[timedelta]):
    """A span, as `instants.parse_span` reads it."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):  # the default
            return value
        try:
            return instants.parse_span(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


lag_option = click.option(
    "--lag",
    type=_Span(),
    default=timedelta(0),
    metavar="SPAN",
    help="An embargo: use what was known that much earlier (90m, 1d, 2w).",
)


def check_interval(since: datetime | None, until: datetime | None) -> None:
    """Raise a usage error if `since` is after `until`."""
    if since is not None and until is not None and since > until:
        text = f"--since {instants.for_people(since)} is later than --until {instants.for_people(until)} (UTC)"
        raise click.UsageError(text, click.get_current_context())


def examples(*lines: str) -> str:
    """Return the end of a help text: examples, each on a line of its own."""
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])


def wait_option(for_what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option for how long to wait until the lock is free."""
    return click.option(
        "--wait",
        "max_wait",
        metavar="SECONDS",
        type=Seconds(),
        default=timedelta(minutes=1),
        help=f"Wait this long for {for_what} to end [60].",
    )


new_record_option = click.option(
    "--new-record", is_flag=True, help="Begin a new record in place of one that is lost: its file is missing."
)
PICTURES = (".svg", ".png", ".pdf", ".html")
"""What the name of a picture's file ends in."""
universe_option = click.option(
    "--universe", is_flag=True, help="Only companies that were configured at that time, as far as runs noted it."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
wide_option = click.option("--wide", is_flag=True, help="Show the table whole, however narrow the terminal is.")


class Form(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    """On a terminal, as much of it as fits."""
    WIDE = "wide"
    """A table with all columns and nothing cut."""
    CSV = "csv"
    EXCEL = "csv for Excel"
    """CSV after a byte order mark."""
    JSONL = "jsonl"

    @property
    def is_table(self) -> bool:
        """Whether it is for people."""
        return self in (Form.TABLE, Form.WIDE)


def format_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --format, --wide and --excel, as one `form` argument."""

    @click.option("--format", "form", type=click.Choice(["table", "csv", "jsonl"]), help="Output format [table].")
    @click.option("--excel", is_flag=True, help="Print CSV that Excel opens as UTF-8: with a byte order mark.")
    @wide_option
    @wraps(function)
    def with_form(*args: Any, form: str | None, excel: bool, wide: bool, **rest: Any) -> Any:
        if wide and (excel or form in (Form.CSV, Form.JSONL)):
            raise click.UsageError("--wide is for tables: drop it, or the other format", click.get_current_context())
        if excel and form not in (None, Form.CSV):
            raise click.UsageError(f"--excel prints CSV: drop --format {form}", click.get_current_context())
        return function(*args, form=Form.WIDE if wide else Form.EXCEL if excel else Form(form or "table"), **rest)

    return with_form
