"""Series to be plotted, and plots saved to files."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.model.fields import FIELDS
from pipeline.plot.save import save
from pipeline.plot.series import Plot, Point, Series

needs_matplotlib = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs the extra plot")

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


def pe(*values: float | None, suspicious: Sequence[int] = ()) -> Series:
    """Return a series of price-earnings ratios, some of them suspicious."""
    made = points(*values)
    return Series(PE, made, frozenset(made[number].observed_at for number in suspicious))


def saved(path: Path, *series: Series, name: str | None = "Acme") -> bytes:
    """Return the bytes of the file that a plot was saved to."""
    save(path, Plot("ACME", name, series, UNTIL))
    return path.read_bytes()
