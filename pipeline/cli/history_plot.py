"""Draw `pipeline history --plot`: on the terminal, or into a file."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pipeline.cli.drawing import show
from pipeline.cli.options import Options
from pipeline.errors import ExitCode, Trouble
from pipeline.model.fields import FieldNotFound, Kind, find_fields
from pipeline.plot.indexed import indexed
from pipeline.plot.reading import company_of, series_of, spells_in, suspicious_in
from pipeline.plot.save import Picture
from pipeline.plot.series import Company, Panel, Plot
from pipeline.plot.spec import plot_spec
from pipeline.plot.table import history_table
from pipeline.plot.terminal import terminal
from pipeline.query.history import History
from pipeline.query.results import Snapshot

ONE_COMPANY = ("market_capitalization", "pe_ratio", "eps")
SEVERAL_COMPANIES = ("market_capitalization",)
"""The fields that are drawn where none is named."""
_MOST_COMPANIES = 8
"""As many colours as most people can tell apart."""


class TooManyCompanies(Trouble):
    """More companies than colours."""

    exit_code = ExitCode.USAGE


def draw(
    history: History,
    symbols: Sequence[str],
    fields: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    *,
    is_indexed: bool,
    target: Path | None,
    options: Options,
) -> None:
    """Draw the numeric fields of the companies into the target file, or on the terminal if it is None.

    Raise Trouble if there are no snapshots or too many companies, and FieldNotFound if no field is numeric.
    """
    plot = _plot(history, symbols, fields, since, until, is_indexed=is_indexed)
    show(
        lambda width, height, color: terminal(plot, width=width, height=height, color=color),
        lambda: Picture(plot_spec(plot), plot_spec(plot, interactive=True), history_table(plot)),
        target,
        options,
    )


def _plot(
    history: History,
    symbols: Sequence[str],
    names: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    *,
    is_indexed: bool,
) -> Plot:
    wanted = list(dict.fromkeys(symbol for given in symbols for symbol in history.check_symbols([given])))
    if len(wanted) > _MOST_COMPANIES:
        raise TooManyCompanies(f"--plot draws up to {_MOST_COMPANIES} companies: these are {len(wanted)}")
    usual = ONE_COMPANY if len(wanted) == 1 and not is_indexed else SEVERAL_COMPANIES
    fields = [field for field in find_fields(names or usual, ()) if field.kind in (Kind.INTEGER, Kind.REAL)]
    if not fields:
        raise FieldNotFound("only numbers can be drawn: name a field such as pe_ratio")
    found = {symbol: list(history.history(symbol, fields, since=since, until=until)) for symbol in wanted}
    if not any(found.values()):
        raise Trouble("nothing was observed in those days: there is nothing to draw")
    companies = {symbol: _company(history, symbol, snapshots) for symbol, snapshots in found.items()}
    suspicious = suspicious_in(history.changes(wanted, suspicious=True))
    spells = {symbol: spells_in(history.changes([symbol])) for symbol in wanted}  # a snapshot is drawn to its end
    panels = []
    for field in fields:
        series = tuple(
            series_of(companies[symbol], field, found[symbol], spells[symbol], suspicious) for symbol in wanted
        )
        series = indexed(series) if is_indexed else series
        panels.append(Panel(series[0].field, series))
    last_seen_at = max(one.confirmed_at for snapshots in found.values() for one in snapshots)
    shaded = spells_in(history.changes(wanted, until=until)) if len(wanted) == 1 else ()
    return Plot(tuple(companies.values()), tuple(panels), last_seen_at, shaded)


def _company(history: History, symbol: str, snapshots: Sequence[Snapshot]) -> Company:
    """Return the company as its newest snapshot has it."""
    newest = snapshots[-1].observed_at if snapshots else None
    profiles = list(history.history(symbol, ["name", "description"], since=newest, until=newest))
    return company_of(profiles[-1])
