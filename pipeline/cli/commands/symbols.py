"""`pipeline symbols`: list the configured symbols, whether the API covers them, and what is stored."""

from dataclasses import asdict

import click

from pipeline.cli.configuration import load_settings
from pipeline.cli.options import Options, examples, format_option, global_options, json_option
from pipeline.cli.output import print_json, print_rows, time_text
from pipeline.model.symbols import Symbol
from pipeline.settings.load import Settings
from pipeline.store.reader import NoData, Reader, SymbolState


@click.command(epilog=examples("pipeline symbols", "pipeline symbols --format csv > known.csv"))
@click.option("--all", "stored_too", is_flag=True, help="Also list symbols that are stored but no longer configured.")
@format_option
@json_option
@global_options
def command(options: Options, *, stored_too: bool, form: str, as_json: bool) -> None:
    """List the configured symbols: whether the API covers them, when they were last observed, what is stored."""
    settings = load_settings(options)
    states = _states(settings)
    names = [*settings.all_symbols, *(sorted(states.keys() - set(settings.all_symbols)) if stored_too else [])]
    rows = [states.get(name) or _never_requested(Symbol(name)) for name in names]
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    is_table = form == "table"
    at = time_text if is_table else (lambda text: text)
    observed = "observed" if is_table else "last look"  # a name that programs know
    print_rows(
        ["symbol", "state", "snapshots", observed, "last try", "last outcome", "next try"],
        [
            (r.symbol, r.state, r.snapshots, at(r.last_look), at(r.last_try), r.last_outcome, at(r.next_try))
            for r in rows
        ],
        form,
    )


def _states(settings: Settings) -> dict[str, SymbolState]:
    try:
        with Reader.open(settings.database) as reader:
            return reader.symbol_states()
    except NoData:
        return {}


def _never_requested(symbol: Symbol) -> SymbolState:
    return SymbolState(symbol, None, None, None, None, None, None, 0)
