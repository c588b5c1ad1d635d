"""Series to be plotted, and plots saved to files."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.model.fields import FIELDS
from pipeline.plot.save import Picture, save
from pipeline.plot.series import Company, Panel, Plot, Point, Series, Spell
from pipeline.plot.spec import plot_spec
from pipeline.plot.table import history_table

needs_pictures = pytest.mark.skipif(find_spec("vl_convert") is None, reason="needs the extra plot")

PE = FIELDS["PERatio"]
CAP = FIELDS["MarketCapitalization"]
FIRST = datetime(2026, 1, 5, 22, tzinfo=UTC)
UNTIL = datetime(2026, 11, 20, 9, tzinfo=UTC)
DAY = timedelta(days=1)
HOSTILE = "株\x1b[2J\u202e</svg><script>alert('1')</script>--> & $x^$ \ud800 ]]> \x00"
"""A company's name that tries to act on whatever shows it."""


def points(*values: float | None, every: timedelta = 7 * DAY, held: timedelta = 3 * DAY) -> tuple[Point, ...]:
    """Return a point for each value: `every` so often, seen again after `held`."""
    return tuple(
        Point(FIRST + number * every, FIRST + number * every + held, value) for number, value in enumerate(values)
    )


ACME = Company("ACME", "Acme")
BETA = Company("BETA-B", "Beta Société")


def pe(*values: float | None, suspicious: Sequence[int] = (), company: Company = ACME) -> Series:
    """Return a series of price-earnings ratios, some of them suspicious."""
    made = points(*values)
    return Series(company, PE, made, frozenset(made[number].observed_at for number in suspicious))


def caps(*values: float | None) -> Series:
    """Return a series of market values."""
    return Series(ACME, CAP, points(*values))


def spell(start: datetime, end: datetime) -> Spell:
    """Return a spell without coverage, a day away from the observations of the company before and after it."""
    return Spell(start, end, start - DAY, end + DAY)


def plot(*series: Series, name: str | None = "Acme") -> Plot:
    """Return a plot of one company, with a panel for each series."""
    return Plot((Company("ACME", name),), tuple(Panel(one.field, (one,)) for one in series), UNTIL)


def compared(*series: Series) -> Plot:
    """Return a plot of several companies' series of one field, in one panel."""
    return Plot(tuple(one.company for one in series), (Panel(series[0].field, series),), UNTIL)


def picture(of: Plot) -> Picture:
    """Return the picture of a plot."""
    return Picture(plot_spec(of), plot_spec(of, interactive=True), history_table(of))


def saved(path: Path, *series: Series, name: str | None = "Acme") -> bytes:
    """Return the bytes of the file that a plot was saved to."""
    save(path, picture(plot(*series, name=name)), check=lambda _: None)
    return path.read_bytes()
