"""`pipeline symbols`: list the configured symbols, whether the API covers them, and what is stored."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

import click

from pipeline import instants
from pipeline.cli.configuration import load_settings
from pipeline.cli.fleet_list import as_followed
from pipeline.cli.options import Form, Options, examples, format_option, json_option, reading_options
from pipeline.cli.output import print_json, print_rows, to_minute
from pipeline.cli.readable import readable
from pipeline.model.companies import Companies
from pipeline.model.renames import spans
from pipeline.model.symbols import Symbol
from pipeline.monitoring.staleness import configured_since, standing
from pipeline.settings.load import Settings
from pipeline.store.reader import Listed, NoData, Reader, SymbolState


@click.command(epilog=examples("pipeline symbols", "pipeline symbols --format csv > known.csv"))
@click.option("--all", "stored_too", is_flag=True, help="Also list symbols that are stored but no longer configured.")
@format_option
@json_option
@reading_options
def command(options: Options, *, stored_too: bool, form: Form, as_json: bool) -> None:
    """List the configured symbols: whether the API covers them, when they were last observed, what is stored."""
    settings = as_followed(load_settings(options))
    states, universe = _read(settings, options)
    configured = set(settings.all_symbols)
    symbols = [*settings.all_symbols, *(sorted(states.keys() - configured) if stored_too else [])]
    rows = [_row(states.get(name), Symbol(name), is_configured=name in configured) for name in symbols]
    if as_json:
        now, gap = instants.utc_now(), settings.stale_after
        companies = Companies(spans(settings.renames))
        print_json(
            [
                asdict(row)
                | _standing(row, universe, configured, now=now, stale_after=gap)
                | {"renamed_to": _renamed_to(row.symbol, companies)}
                for row in rows
            ]
        )
    elif form.is_table:
        _print_table(rows, form)
    else:
        names = ["symbol", "state", "snapshots", "last look", "last try", "last outcome", "next try"]
        print_rows(names, [_cells(row) for row in rows], form)


def _renamed_to(symbol: str, companies: Companies) -> str | None:
    """Return the newest symbol of the company, unless this one is."""
    newest = companies.named(symbol)
    return None if newest == symbol else newest


def _cells(row: SymbolState) -> list[Any]:
    return [row.symbol, row.state, row.snapshots, row.last_look, row.last_try, row.last_outcome, row.next_try]


def _print_table(states: list[SymbolState], form: Form) -> None:
    """Print a table that fits 80 columns, unless a last try found nothing: only then it has a column of its own."""
    names = ["symbol", "state", "snapshots", "observed", "last try", "last outcome", "next try"]
    states = [
        replace(state, state="uncovered", last_look=state.last_overview) if state.is_uncovered else state
        for state in states
    ]
    rows = [[to_minute(cell) if index in _TIMES else cell for index, cell in enumerate(_cells(s))] for s in states]
    if all(state.last_try == state.last_look for state in states):
        del names[_LAST_TRY]
        for row in rows:
            del row[_LAST_TRY]
    print_rows(names, rows, form)


_TIMES, _LAST_TRY = (3, 4, 6), 4


def _read(settings: Settings, options: Options) -> tuple[dict[str, SymbolState], dict[str, list[Listed]]]:
    """Return what is stored of each symbol, and when it was configured."""
    try:
        with readable(settings.database, options) as database, Reader.open(database) as reader:
            return reader.symbol_states(), reader.universe()
    except NoData:
        return {}, {}


def _row(state: SymbolState | None, symbol: Symbol, *, is_configured: bool) -> SymbolState:
    """Return the symbol's state: `pending` for one that is configured and was never observed."""
    state = state or SymbolState(symbol, None, None, None, None, None, None, 0, None)
    return replace(state, state="pending") if is_configured and state.state is None else state


def _standing(
    row: SymbolState,
    universe: Mapping[str, Sequence[Listed]],
    configured: Container[str],
    *,
    now: datetime,
    stale_after: timedelta,
) -> dict[str, str | None]:
    """Return how a configured symbol stands, and since when it has been configured as far as runs have seen it."""
    if row.symbol not in configured:
        return {"standing": None, "configured_since": None}
    listed = universe.get(row.symbol, ())
    since = configured_since(listed, now=now, longest_gap=stale_after)
    return {
        "standing": standing(row, listed, now=now, stale_after=stale_after),
        "configured_since": None if since is None else instants.to_text(since),
    }
