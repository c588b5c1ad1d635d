"""`pipeline history SYMBOL [FIELD...]`: show or plot one company over time."""

from datetime import datetime
from pathlib import Path

import click

from pipeline.cli.options import (
    Form,
    Options,
    check_interval,
    examples,
    format_option,
    json_option,
    reading_options,
    since_option,
    until_option,
)
from pipeline.cli.params import fields_argument, symbol_argument
from pipeline.cli.results import open_history, print_result, say_nothing_found
from pipeline.errors import ExitCode
from pipeline.instants import for_people, to_text
from pipeline.model.fields import Kind
from pipeline.query.history import History
from pipeline.query.results import Answer, Column, Snapshot

_TERMINAL = "-"
_PLOTTED = ("market_capitalization", "pe_ratio", "eps")
_PICTURES = (".svg", ".png", ".html")


@click.command(
    epilog=examples(
        "pipeline history AAPL",
        "pipeline history AAPL pe_ratio EPS --since 2026-01-01 --format csv",
        "pipeline history AAPL --plot",
        "pipeline history AAPL market_capitalization --plot aapl.svg",
    )
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
    help="Draw it: here, or into FILE.svg, .png or .html.",
)
@format_option
@json_option
@reading_options
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
    form: Form,
    as_json: bool,
) -> int:
    """Show the snapshots of a SYMBOL, oldest first: when each was first seen, and when last seen unchanged.

    A FIELD is a column (pe_ratio) or the API's name (PERatio). Without FIELDS: a few important ones.
    """
    if plot is not None and (as_json or not form.is_table):
        raise click.UsageError("--plot draws: drop --json and --format", ctx)
    if plot is not None and plot != _TERMINAL and not plot.lower().endswith(_PICTURES):
        if Path(plot).suffix:
            raise click.UsageError(f"--plot {plot}: use a FILE.svg, .png or .html", ctx)
        # `--plot pe_ratio`: click reads a field after --plot as its value.
        fields, plot = (plot, *fields), _TERMINAL
    check_interval(since, until)
    with open_history(options) as history:
        answer = history.history(symbol, fields or (_PLOTTED if plot else None), since=since, until=until)
        if plot is not None:
            from pipeline.cli.history_plot import draw  # noqa: PLC0415 - it takes 40 ms, and few plot

            draw(history, answer, None if plot == _TERMINAL else Path(plot), options)
            return ExitCode.DONE
        if as_json:
            answer = _with_suspicions(history, symbol, answer)
        if not print_result(answer, form=form, as_json=as_json, hidden=("symbol",)):
            say_nothing_found(_why_empty(history, symbol))
            return ExitCode.FAILED
    return ExitCode.DONE


def _why_empty(history: History, symbol: str) -> str:
    began = history.first_observed_at(history.check_symbols([symbol]))
    assert began is not None
    return f"no snapshot of {symbol.upper()} was observed then: its first is of {for_people(began)} UTC"


def _with_suspicions(history: History, symbol: str, answer: Answer[Snapshot]) -> Answer[Snapshot]:
    """Return the answer with a column of each snapshot's suspicious changes, as texts `field: suspicion`."""
    found: dict[str, list[str]] = {}
    for change in history.changes([symbol], suspicious=True):
        found.setdefault(to_text(change.observed_at), []).append(f"{change.field}: {change.suspicion}")
    place = answer.names.index("observed_at")
    return Answer(
        (*answer.columns, Column("suspicions", Kind.TEXT)),
        lambda: ((*row, found.get(row[place], [])) for row in answer.rows()),
        Snapshot,
    )
