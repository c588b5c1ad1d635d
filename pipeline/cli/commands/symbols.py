"""`pipeline symbols`: list the configured symbols, whether the API covers them, and what is stored."""

from dataclasses import asdict
from typing import Any

import click

from pipeline.cli.configuration import load_settings
from pipeline.cli.options import Form, Options, examples, format_option, global_options, json_option
from pipeline.cli.output import print_json, print_rows, to_minute
from pipeline.model.symbols import Symbol
from pipeline.settings.load import Settings
from pipeline.store.reader import NoData, Reader, SymbolState


@click.command(epilog=examples("pipeline symbols", "pipeline symbols --format csv > known.csv"))
@click.option("--all", "stored_too", is_flag=True, help="Also list symbols that are stored but no longer configured.")
@format_option
@json_option
@global_options
def command(options: Options, *, stored_too: bool, form: Form, as_json: bool) -> None:
    """List the configured symbols: whether the API covers them, when they were last observed, what is stored."""
    settings = load_settings(options)
    states = _states(settings)
    symbols = [*settings.all_symbols, *(sorted(states.keys() - set(settings.all_symbols)) if stored_too else [])]
    rows = [states.get(name) or _never_requested(Symbol(name)) for name in symbols]
    if as_json:
        print_json([asdict(row) for row in rows])
    elif form.is_table:
        _print_table(rows, form)
    else:
        names = ["symbol", "state", "snapshots", "last look", "last try", "last outcome", "next try"]
        print_rows(names, [_cells(row) for row in rows], form)


def _cells(row: SymbolState) -> list[Any]:
    return [row.symbol, row.state, row.snapshots, row.last_look, row.last_try, row.last_outcome, row.next_try]


def _print_table(states: list[SymbolState], form: Form) -> None:
    """Print a table that fits 80 columns, unless a last try found nothing: only then it has a column of its own."""
    names = ["symbol", "state", "snapshots", "observed", "last try", "last outcome", "next try"]
    rows = [[to_minute(cell) if index in _TIMES else cell for index, cell in enumerate(_cells(s))] for s in states]
    if all(state.last_try == state.last_look for state in states):
        del names[_LAST_TRY]
        for row in rows:
            del row[_LAST_TRY]
    print_rows(names, rows, form)


_TIMES, _LAST_TRY = (3, 4, 6), 4


def _states(settings: Settings) -> dict[str, SymbolState]:
    try:
        with Reader.open(settings.database) as reader:
            return reader.symbol_states()
    except NoData:
        return {}


def _never_requested(symbol: Symbol) -> SymbolState:
    return SymbolState(symbol, None, None, None, None, None, None, 0, None)
