"""`pipeline symbols`: the configured list, with what is known of each."""

from dataclasses import asdict

import click

from pipeline.cli.configuration import load_settings
from pipeline.cli.options import Options, format_option, global_options, json_option
from pipeline.cli.output import moment, print_json, print_rows
from pipeline.model.symbols import Symbol
from pipeline.settings.load import Settings
from pipeline.store.reader import NoData, Reader, SymbolState


@click.command(epilog="Examples: pipeline symbols; pipeline symbols --format csv > known.csv")
@click.option("--all", "kept_too", is_flag=True, help="Also those that are kept and no longer configured.")
@format_option
@json_option
@global_options
def command(options: Options, *, kept_too: bool, form: str, as_json: bool) -> None:
    """List the configured symbols: whether the API covers them, when they were last looked at, what is kept."""
    settings = load_settings(options)
    states = _states(settings)
    names = [*settings.all_symbols, *(sorted(states.keys() - set(settings.all_symbols)) if kept_too else [])]
    rows = [states.get(name) or _never_asked(Symbol(name)) for name in names]
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    at = moment if form == "table" else (lambda text: text)
    print_rows(
        ["symbol", "state", "snapshots", "last look", "last try", "last outcome", "next try"],
        [
            (r.symbol, r.state, r.snapshots, at(r.last_look), at(r.last_try), r.last_outcome, at(r.next_try))
            for r in rows
        ],
        form,
    )


def _states(settings: Settings) -> dict[str, SymbolState]:
    try:
        with Reader.open(settings.database) as record:
            return record.symbol_states()
    except NoData:
        return {}


def _never_asked(symbol: Symbol) -> SymbolState:
    return SymbolState(symbol, None, None, None, None, None, None, 0)
