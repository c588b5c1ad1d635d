"""`pipeline as-of INSTANT [SYMBOL...]`: show what was known at a point in time."""

from datetime import datetime, timedelta
from pathlib import Path

import click

from pipeline.cli.configuration import parse_companies
from pipeline.cli.options import (
    PICTURES,
    Form,
    Instant,
    Options,
    examples,
    format_option,
    json_option,
    max_staleness_option,
    reading_options,
    universe_option,
)
from pipeline.cli.output import print_json_line
from pipeline.cli.params import field_option, symbols_argument
from pipeline.cli.results import ago, open_history, print_result, say_nothing_found
from pipeline.cli.universe import configured_of
from pipeline.errors import ExitCode, Trouble
from pipeline.instants import for_people
from pipeline.json_text import spaced_json
from pipeline.query.history import History
from pipeline.text import count


def _two_fields(ctx: click.Context, _param: click.Parameter, names: tuple[str, str] | None) -> tuple[str, str] | None:
    """Return the fields of --plot. Raise UsageError where the second is the next option."""
    if names and names[1].startswith("-"):
        raise click.UsageError("--plot takes two fields, as in --plot sector pe_ratio", ctx)
    return names


@click.command(
    name="as-of",
    epilog=examples(
        "pipeline as-of 2026-03-14",
        "pipeline as-of 2026-03-14T18:30+01:00 AAPL --field pe_ratio",
        "pipeline as-of 7d --max-staleness 48 --format csv",
        "pipeline as-of yesterday AAPL --original",
        "pipeline as-of 2026-03-14 --universe",
        "pipeline as-of now --plot sector pe_ratio",
        "pipeline as-of 2026-03-14 --plot market_capitalization pe_ratio --output section.html",
    ),
)
@click.argument("instant", type=Instant(day_ends=True))
@symbols_argument
@field_option("Show")
@max_staleness_option("Omit symbols last seen more than HOURS before.")
@universe_option
@click.option("--original", is_flag=True, help="Print each document exactly as received, as JSON Lines.")
@click.option(
    "--plot",
    nargs=2,
    metavar="FIELD FIELD",
    callback=_two_fields,
    help="Draw two fields against each other: a dot for each company.",
)
@click.option("--output", metavar="FILE", type=Path, help="With --plot: draw into FILE.svg, .png, .pdf or .html.")
@format_option
@json_option
@reading_options
@click.pass_context
def command(
    ctx: click.Context,
    options: Options,
    *,
    instant: datetime,
    symbols: tuple[str, ...],
    fields: tuple[str, ...],
    max_staleness: timedelta | None,
    universe: bool,
    original: bool,
    plot: tuple[str, str] | None,
    output: Path | None,
    form: Form,
    as_json: bool,
) -> int:
    """Show what was known at an INSTANT: the newest snapshot of each symbol by then, and how stale it was.

    A date alone means its end (UTC). Data received later never affects the answer.
    """
    _check_forms(ctx, original=original, is_plot=plot is not None, is_usual=form.is_table and not (fields or as_json))
    _check_output(ctx, output, is_plot=plot is not None)
    named = parse_companies(symbols, options)
    with open_history(options) as history:
        wanted = history.check_symbols(named) if named else None
        if universe:
            wanted = configured_of(history, instant, wanted)
        if original:
            documents = list(history.documents_as_of(instant, wanted, max_staleness=max_staleness))
            found = len(documents)
            for document in documents:
                print_json_line(spaced_json(document))
        elif plot:
            from pipeline.cli.section_plot import draw  # noqa: PLC0415 - it takes 40 ms, and few plot

            found = draw(history, instant, wanted, plot, max_staleness=max_staleness, target=output, options=options)
        else:
            answer = history.as_of(instant, wanted, fields, max_staleness=max_staleness)
            found = print_result(
                answer,
                form=form,
                as_json=as_json,
                hidden=("confirmed_at",),
                shown={"staleness_hours": ago},
                headers={"staleness_hours": "staleness", "observed_symbol": "observed as"},
                spare=("observed_symbol",) if "observed_symbol" in answer.names else (),
            )
        is_known = _say_what_is_missing(history, options, found, instant=instant, wanted=wanted, longest=max_staleness)
    if plot and is_known and not found:
        raise Trouble("no company is left: there is nothing to draw")
    return ExitCode.DONE if is_known else ExitCode.FAILED


def _check_forms(ctx: click.Context, *, original: bool, is_plot: bool, is_usual: bool) -> None:
    """Raise UsageError for an answer in two forms. `is_usual`: no option of tables was given."""
    if original and not is_usual:
        raise click.UsageError("--original prints whole documents: drop --field, --format and --json", ctx)
    if is_plot and (original or not is_usual):
        raise click.UsageError("--plot draws: drop --original, --field, --format and --json", ctx)


def _check_output(ctx: click.Context, output: Path | None, *, is_plot: bool) -> None:
    """Raise UsageError for a file that no plot can be drawn into."""
    if output is None:
        return
    if not is_plot:
        raise click.UsageError("--output is for --plot: use > FILE for a table", ctx)
    if output.suffix.lower() not in PICTURES:
        raise click.UsageError(f"--output {output}: use a FILE.svg, .png, .pdf or .html", ctx)


def _say_what_is_missing(
    history: History,
    options: Options,
    found: int,
    *,
    instant: datetime,
    wanted: list[str] | None,
    longest: timedelta | None,
) -> bool:
    """Print what an answer of `found` symbols omits, and why. Return whether anything was known then."""
    known = found
    if longest is not None:
        known = sum(1 for _ in history.as_of(instant, wanted, ["pe_ratio"]).rows())
    at = f"{for_people(instant)} UTC"
    if longest is not None and known > found:
        hours = longest.total_seconds() / 3600
        options.say(f"omitted: {count(known - found, 'symbol')} last seen more than {hours:g} h before {at}")
    if wanted is not None and 0 < known < len(wanted):
        options.say(f"nothing was known yet of {len(wanted) - known:,} of the {count(len(wanted), 'symbol')}")
    if not known:
        first = history.first_observed_at(wanted)
        if first is None:  # in a damaged file
            raise Trouble("no snapshot can be found of the symbols that the database lists", remedy="pipeline doctor")
        whose = ("its" if len(wanted) == 1 else "their") if wanted else "the"
        say_nothing_found(f"nothing was known at {at}: {whose} first snapshot is of {for_people(first)} UTC")
    return known > 0
