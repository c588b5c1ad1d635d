"""Draw `pipeline history --plot`: on the terminal, or into a file."""

import os
import shutil
import sys
from pathlib import Path

import click

from pipeline.cli.options import Options
from pipeline.errors import Trouble
from pipeline.model.fields import COLUMNS, FieldNotFound, Kind
from pipeline.model.invented import is_invented
from pipeline.plot.save import save
from pipeline.plot.series import Plot, Point, Series
from pipeline.plot.terminal import terminal
from pipeline.query.history import History
from pipeline.query.results import Answer, Snapshot


def draw(history: History, answer: Answer[Snapshot], target: Path | None, options: Options) -> None:
    """Draw the answer's numeric fields into the target file, or on the terminal if it is None.

    Raise Trouble if there are no snapshots, and FieldNotFound if no field is numeric.
    """
    snapshots = list(answer)
    if not snapshots:
        raise Trouble("nothing was observed in those days: there is nothing to draw")
    symbol = snapshots[0].symbol
    fields = [COLUMNS[column.name] for column in answer.columns if column.kind in (Kind.INTEGER, Kind.REAL)]
    if not fields:
        raise FieldNotFound("only numbers can be drawn: name a field such as pe_ratio")
    suspicious = {(change.field, change.observed_at) for change in history.changes([symbol], suspicious=True)}
    series = tuple(
        Series(
            field,
            tuple(Point(one.observed_at, one.confirmed_at, _number(one.values[field.column])) for one in snapshots),
            frozenset(one.observed_at for one in snapshots if (field.column, one.observed_at) in suspicious),
        )
        for field in fields
    )
    newest = snapshots[-1].observed_at
    (profile,) = history.history(symbol, ["name", "description"], since=newest, until=newest)
    name = profile["name"] if isinstance(profile["name"], str) else None
    plot = Plot(symbol, name, series, until=snapshots[-1].confirmed_at, is_invented=is_invented(profile["description"]))
    if target is None:
        width, height = shutil.get_terminal_size()
        is_terminal = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        click.echo(terminal(plot, width=width, height=height - 2, color=is_terminal))
    else:
        save(target, plot)
        options.say(f"plot saved to {target}")


def _number(value: object) -> float | None:
    return value if isinstance(value, (int, float)) else None
