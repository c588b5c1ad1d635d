"""`pipeline history SYMBOL [FIELD...]`: one company through time."""

from datetime import datetime
from pathlib import Path

import click

from pipeline.cli.options import (
    Options,
    check_interval,
    format_option,
    global_options,
    json_option,
    since_option,
    until_option,
)
from pipeline.cli.params import fields_argument, symbol_argument
from pipeline.cli.results import open_history, print_result, say_nothing_found, suspicious
from pipeline.errors import ExitCode
from pipeline.instants import for_people
from pipeline.model.fields import Kind
from pipeline.query.history import History
from pipeline.query.results import Answer, Column, Snapshot

_TERMINAL = "-"
_PLOTTED = ("market_capitalization", "pe_ratio", "eps")
_PICTURES = (".svg", ".png", ".html")


@click.command(
    epilog="Examples: pipeline history AAPL; pipeline history AAPL pe_ratio EPS --since 2026-01-01 --format csv;"
    " pipeline history AAPL --plot; pipeline history AAPL market_capitalization --plot aapl.svg"
)
@symbol_argument(required=True)
@fields_argument
@since_option
@until_option
@click.option(
    "--plot",
    is_flag=False,
    flag_value=_TERMINAL,
    metavar="[FILE]",
    help="Draw it: here, or into a FILE.svg, .png or .html.",
)
@format_option
@json_option
@global_options
@click.pass_context
def command(
    ctx: click.Context,
    options: Options,
    *,
    symbol: str,
    fields: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    plot: str | None,
    form: str,
    as_json: bool,
) -> None:
    """Show the snapshots of a SYMBOL, the oldest first: when each was first seen, and when last unchanged.

    A FIELD is a column (pe_ratio) or the API's name (PERatio); without, a sensible few are shown.
    """
    if plot is not None and (as_json or form != "table"):
        raise click.UsageError("--plot draws: it goes with no --json or --format", ctx)
    if plot is not None and plot != _TERMINAL and not plot.lower().endswith(_PICTURES):
        if Path(plot).suffix:
            raise click.UsageError(f"--plot {plot}: name a FILE.svg, .png or .html", ctx)
        # `--plot pe_ratio`: click takes the word behind an option for its value.
        fields, plot = (plot, *fields), _TERMINAL
    check_interval(since, until)
    with open_history(options) as record:
        answer = record.history(symbol, fields or (_PLOTTED if plot else None), since=since, until=until)
        if plot is not None:
            from pipeline.cli.history_plot import draw  # noqa: PLC0415 - 40 ms that whoever reads numbers need not wait

            draw(record, answer, None if plot == _TERMINAL else Path(plot), options)
            return
        if as_json:
            answer = _with_suspicions(record, symbol, answer)
        if not print_result(answer, form=form, as_json=as_json, hidden=("symbol",)):
            say_nothing_found(_why_empty(record, symbol))
            ctx.exit(ExitCode.FAILED)


def _why_empty(record: History, symbol: str) -> str:
    began = record.first_observed_at(record.check_symbols([symbol]))
    assert began is not None
    return f"no snapshot of {symbol.upper()} was observed then: its record begins {for_people(began)} UTC"


def _with_suspicions(record: History, symbol: str, answer: Answer[Snapshot]) -> Answer[Snapshot]:
    """Return the answer with what is odd about each snapshot, as `changes --suspicious` has it."""
    odd = suspicious(record, symbol)
    place = answer.names.index("observed_at")
    return Answer(
        (*answer.columns, Column("suspicions", Kind.TEXT)),
        lambda: ((*row, odd.get(row[place], [])) for row in answer.rows()),
        Snapshot,
    )
