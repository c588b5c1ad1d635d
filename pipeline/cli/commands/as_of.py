"""`pipeline as-of INSTANT [SYMBOL...]`: what was known then."""

import json
from datetime import datetime, timedelta

import click

from pipeline.cli.configuration import parse_symbols
from pipeline.cli.options import Instant, Options, format_option, global_options, json_option
from pipeline.cli.params import field_option, symbols_argument
from pipeline.cli.results import ago, open_history, print_result, say_nothing_found
from pipeline.errors import ExitCode
from pipeline.instants import for_people
from pipeline.model.symbols import Symbol
from pipeline.query.history import History
from pipeline.text import inert


class _Hours(click.ParamType[timedelta]):
    """A span, in hours."""

    name = "hours"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        text = str(value)
        try:
            span = timedelta(hours=float(text))
        except (ValueError, OverflowError):
            span = -timedelta.resolution
        if span < timedelta(0):
            self.fail(f"{text[:20]!r} is no number of hours", param, ctx)
        return span


@click.command(
    name="as-of",
    epilog="Examples: pipeline as-of 2026-03-14; pipeline as-of 2026-03-14T18:30+01:00 AAPL --field pe_ratio;"
    " pipeline as-of 7d --max-staleness 48 --format csv; pipeline as-of yesterday AAPL --original",
)
@click.argument("instant", type=Instant(day_ends=True))
@symbols_argument
@field_option("Show")
@click.option(
    "--max-staleness", type=_Hours(), metavar="HOURS", help="Leave out what was last seen so many HOURS before."
)
@click.option("--original", is_flag=True, help="Print the documents exactly as received, one a line.")
@format_option
@json_option
@global_options
@click.pass_context
def command(
    ctx: click.Context,
    options: Options,
    *,
    instant: datetime,
    symbols: tuple[str, ...],
    fields: tuple[str, ...],
    max_staleness: timedelta | None,
    original: bool,
    form: str,
    as_json: bool,
) -> None:
    """Show what was known at an INSTANT: of each symbol the newest snapshot not after it, and how stale that was.

    A date alone means its end, in UTC. Nothing that was seen later has a part in the answer.
    """
    if original and (fields or as_json or form != "table"):
        raise click.UsageError("--original prints whole documents: it goes with no --field, --format or --json", ctx)
    wanted = parse_symbols(symbols, options) or None
    with open_history(options) as record:
        if original:
            documents = list(record.documents_as_of(instant, wanted, max_staleness=max_staleness))
            found = len(documents)
            for document in documents:
                click.echo(inert(json.dumps(document, ensure_ascii=False)))
        else:
            answer = record.as_of(instant, wanted, fields, max_staleness=max_staleness)
            found = print_result(
                answer,
                form=form,
                as_json=as_json,
                hidden=("confirmed_at",),
                shown={"staleness_hours": ago},
                headers={"staleness_hours": "last seen before"},
            )
        tell = _Tell(record, options, instant, wanted)
        if not tell(found, max_staleness):
            ctx.exit(ExitCode.FAILED)


class _Tell:
    """Says what an answer leaves out, and why."""

    def __init__(self, record: History, options: Options, instant: datetime, wanted: tuple[Symbol, ...] | None) -> None:
        self._record = record
        self._options = options
        self._instant = instant
        self._wanted = wanted

    def __call__(self, found: int, longest: timedelta | None) -> bool:
        """Tell, and return whether anything was known then."""
        known = found
        if longest is not None:
            known = sum(1 for _ in self._record.as_of(self._instant, self._wanted, ["pe_ratio"]).rows())
        at = f"{for_people(self._instant)} UTC"
        if longest is not None and known > found:
            hours = longest.total_seconds() / 3600
            self._options.say(f"left out: {known - found:,} symbols last seen more than {hours:g} h before {at}")
        if self._wanted is not None and 0 < known < len(self._wanted):
            self._options.say(f"nothing was known yet of {len(self._wanted) - known:,} of the {len(self._wanted):,}")
        if not known:
            began = self._record.first_observed_at(self._wanted)
            assert began is not None
            of = "of them begins" if self._wanted else "begins"
            say_nothing_found(f"nothing was known at {at}: the record {of} {for_people(began)} UTC")
        return known > 0
