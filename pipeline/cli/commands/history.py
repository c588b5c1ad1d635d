"""`pipeline history SYMBOL [FIELD...]`: show or plot one company over time."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from pipeline.cli.options import (
    PICTURES,
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
from pipeline.cli.params import field_option, symbol_argument, symbols_or_fields_argument
from pipeline.cli.results import open_history, print_result, say_nothing_found
from pipeline.errors import ExitCode
from pipeline.instants import for_people
from pipeline.model.fields import ALL, FieldNotFound, find_field
from pipeline.query.history import History
from pipeline.query.suspicions import with_suspicions
from pipeline.store.stored_symbols import SymbolNotFound
from pipeline.text import quoted

_TERMINAL = "-"


@click.command(
    epilog=examples(
        "pipeline history AAPL",
        "pipeline history AAPL pe_ratio EPS --since 2026-01-01 --format csv",
        "pipeline history AAPL --plot",
        "pipeline history AAPL market_capitalization --plot aapl.svg",
        "pipeline history AAPL MSFT pe_ratio --plot --since 2026-01-01",
        "pipeline history AAPL MSFT IBM --plot --indexed",
    )
)
@symbol_argument(required=True)
@symbols_or_fields_argument
@field_option("Show")
@since_option
@until_option
@click.option(
    "--plot",
    is_flag=False,
    flag_value=_TERMINAL,
    metavar="[FILE]",
    help="Draw it: here, or into FILE.svg, .png, .pdf or .html.",
)
@click.option("--indexed", is_flag=True, help="With --plot: draw values in per cent of those when all had begun.")
@format_option
@json_option
@reading_options
@click.pass_context
def command(
    ctx: click.Context,
    options: Options,
    *,
    symbol: str,
    words: tuple[str, ...],
    fields: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    plot: str | None,
    indexed: bool,
    form: Form,
    as_json: bool,
) -> int:
    """Show the snapshots of a SYMBOL, oldest first: when each was first seen, and when last seen unchanged.

    A FIELD is a column (pe_ratio) or the API's name (PERatio). Without FIELDS: a few important ones. With --plot there
    may be more SYMBOLS: a word that names a field is one, any other is a symbol; after --field, all are symbols.
    """
    if plot is not None and (as_json or not form.is_table):
        raise click.UsageError("--plot draws: drop --json and --format", ctx)
    if indexed and plot is None:
        raise click.UsageError("--indexed is for --plot: add it", ctx)
    is_file = plot is not None and plot.lower().endswith(PICTURES)
    if plot is not None and plot != _TERMINAL and not is_file:
        if Path(plot).suffix:
            raise click.UsageError(f"--plot {plot}: use a FILE.svg, .png, .pdf or .html", ctx)
        words = (plot, *words)  # `--plot pe_ratio`: click reads a field after --plot as its value
    check_interval(since, until)
    with open_history(options) as history:
        more, named = (words, fields) if fields else _told_apart(history, words)
        if plot is not None:
            from pipeline.cli.history_plot import draw  # noqa: PLC0415 - it takes 40 ms, and few plot

            target, symbols = Path(plot) if is_file else None, (symbol, *more)
            draw(history, symbols, named, since, until, is_indexed=indexed, target=target, options=options)
            return ExitCode.DONE
        if more:
            raise click.UsageError("history shows one company: add --plot to draw several", ctx)
        answer = history.history(symbol, named or None, since=since, until=until)
        if as_json:
            answer = with_suspicions(history, symbol, answer)
        if not print_result(
            answer, form=form, as_json=as_json, hidden=("symbol",), headers={"observed_symbol": "observed as"}
        ):
            say_nothing_found(_why_empty(history, symbol))
            return ExitCode.FAILED
    return ExitCode.DONE


def _told_apart(history: History, words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return which words are symbols, and which are fields. Raise FieldNotFound for one that is neither."""
    symbols: list[str] = []
    fields: list[str] = []
    for word in words:
        try:
            if word != ALL:
                find_field(word)
            fields.append(word)
        except FieldNotFound as unknown:
            try:
                symbols += history.check_symbols([word])
            except SymbolNotFound as missing:
                hints = [str(error.remedy) for error in (unknown, missing)]
                near = [hint for hint in hints if hint.startswith("did you mean")]
                problem = f"{quoted(word)} is neither a field nor a symbol with snapshots"
                raise FieldNotFound(problem, remedy="; ".join(near or hints)) from None
    return symbols, fields


def _why_empty(history: History, symbol: str) -> str:
    began = history.first_observed_at(history.check_symbols([symbol]))
    assert began is not None
    return f"no snapshot of {symbol.upper()} was observed then: its first is of {for_people(began)} UTC"
