"""A line chart of one field for a page: paths and labels that fit any width, without a renderer. A template draws them.

Across, places are thousandths of the width; down, they are pixels. So a browser can stretch the lines and leave the
texts, the strokes and the height as they are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import TypeVar

from pipeline.model.fields import Field
from pipeline.plot.axes import value_bounds
from pipeline.plot.series import Point, Series, Spell, Summary, drawable, merged, summary, suspicious_points
from pipeline.plot.ticks import date_ticks, value_ticks

T = TypeVar("T")
ACROSS = 1000
"""The width of a chart, in units of its own."""
DOWN = 160
"""The height of a chart, in pixels."""
_MOST_STEPS = 180
"""Of a chart with more versions, the steps would be narrower than the dots that end them: it is one line instead."""
_COLUMNS = 400
"""The columns of such a line: what lies within one is drawn as its first, extreme and last values."""
_TICKS, _DATES, _FEW_DATES = 4, 6, 3


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across or down the chart, and its label."""

    place: float
    label: str
    is_spare: bool = False
    """Whether it can be left out where there is little room."""


@dataclass(frozen=True, slots=True)
class LineChart:
    """One field of a company through time, ready to be drawn."""

    summary: Summary
    """The first, the last, the least and the greatest value."""
    since: datetime
    until: datetime
    line: str
    """A path through all versions, where there are too many to tell apart; else empty."""
    confirmed: str
    """The path of the time in which each version is known to have held."""
    between: str
    """The path from version to version: the value changed somewhere along it."""
    uncovered: tuple[tuple[float, float], ...]
    """Where the API did not cover the company: from, and how wide."""
    suspicious: tuple[tuple[float, float], ...]
    """Where the suspicious values are: across and down."""
    values: tuple[Tick, ...]
    dates: tuple[Tick, ...]
    across: int = ACROSS
    down: int = DOWN


def line_chart(series: Series, spells: Iterable[Spell] = ()) -> LineChart:
    """Return the chart of a series. Where there is too little to draw, `placeholder` says so: there is no chart."""
    versions = merged(series.points)
    found = summary(versions)
    assert found is not None
    start, end = versions[0].observed_at, versions[-1].confirmed_at
    scale = _Scale(start, end, *value_bounds(found.low, found.high))
    is_dense = len(versions) > _MOST_STEPS
    return LineChart(
        found,
        start,
        end,
        line=_thinned(versions, scale) if is_dense else "",
        confirmed="" if is_dense else _confirmed(versions, scale),
        between="" if is_dense else _between(versions, scale),
        uncovered=tuple(
            (scale.across(spell.start), max(2.0, scale.across(spell.end) - scale.across(spell.start)))
            for spell in spells
            if start < spell.start and spell.end < end
        ),
        suspicious=tuple((scale.across(at), scale.down(value)) for at, value in suspicious_points(series)),
        values=_values(series.field, scale),
        dates=_dates(start, end, scale),
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    start: datetime
    end: datetime
    low: float
    high: float

    def across(self, at: datetime) -> float:
        span = (self.end - self.start) or timedelta(seconds=1)
        return round((at - self.start) / span * ACROSS, 1)

    def down(self, value: float) -> float:
        return round((self.high - value) / (self.high - self.low) * DOWN, 1)


def _confirmed(versions: Sequence[Point], scale: _Scale) -> str:
    """Return the level pieces; of a version seen once, a piece without length, which a round cap makes a dot."""
    return "".join(
        f"M{scale.across(one.observed_at):g} {scale.down(one.value):g}H{scale.across(one.confirmed_at):g}"
        for one in versions
        if one.value is not None
    )


def _between(versions: Sequence[Point], scale: _Scale) -> str:
    """Return the steps from version to version. Where there was no value, there is no step."""
    path: list[str] = []
    is_down = False
    for one, later in zip_longest(versions, versions[1:]):
        if one.value is None:
            is_down = False
            continue
        at, y = scale.across(one.observed_at), scale.down(one.value)
        path.append(f"V{y:g}" if is_down else f"M{at:g} {y:g}")
        path.append(f"H{scale.across(one.confirmed_at if later is None else later.observed_at):g}")
        is_down = True
    return "".join(path)


def _thinned(versions: Sequence[Point], scale: _Scale) -> str:
    """Return a line through the first, the least, the greatest and the last value of each column."""
    path: list[str] = []
    is_down = False
    start, span = scale.start.timestamp(), (scale.end - scale.start).total_seconds() or 1.0
    top, unit = scale.high, DOWN / (scale.high - scale.low)
    column: int | None = None
    heights: list[float] = []

    def draw() -> None:
        nonlocal is_down
        if column is None or not heights:
            return
        kept = sorted({0, heights.index(min(heights)), heights.index(max(heights)), len(heights) - 1})
        for place in kept:
            path.append(f"{'L' if is_down else 'M'}{column * ACROSS / _COLUMNS:g} {heights[place]:.1f}")
            is_down = True

    for one in versions:
        this = int((one.observed_at.timestamp() - start) / span * _COLUMNS)
        if this != column or one.value is None:
            draw()
            column, heights = this, []
        if one.value is None:
            is_down = False
        else:
            heights.append((top - one.value) * unit)
    draw()
    last = versions[-1]
    if is_down and last.value is not None:
        path.append(f"L{ACROSS} {(top - last.value) * unit:.1f}")
    return "".join(path)


_PERCENT = {"fraction": 100.0, "percent points": 1.0}
"""What to multiply values by that are read in per cent, by their unit."""


def _values(field: Field, scale: _Scale) -> tuple[Tick, ...]:
    """Return round values, in per cent where the field is a fraction."""
    factor = _PERCENT.get(field.unit, 1.0)
    sign = " %" if field.unit in _PERCENT else ""
    ticks = value_ticks(scale.low * factor, scale.high * factor, _TICKS)
    return tuple(Tick(scale.down(tick.value / factor), f"{tick.label}{sign}") for tick in ticks)


def _dates(start: datetime, end: datetime, scale: _Scale) -> tuple[Tick, ...]:
    """Return the dates, but those whose labels would reach beyond the edges. Every other one is spare."""
    places = [(scale.across(at), label) for at, label in date_ticks(start, end, _DATES)]
    kept = [(place, label) for place, label in places if ACROSS * 0.04 <= place <= ACROSS * 0.96]
    has_spare = len(kept) > _FEW_DATES
    return tuple(Tick(place, label, has_spare and number % 2 == 1) for number, (place, label) in enumerate(kept))


SPARK_ACROSS, SPARK_DOWN = 100, 24
"""The size of a small line, in units of its own."""
_SPARK_POINTS = 50
_SPARE = 2.0
"""Above the greatest and below the least value, so that the stroke is whole."""


def thinned(values: Sequence[T]) -> Sequence[T]:
    """Return as many of the values as a small line can show, the last among them: it shows the shape."""
    step = -(-len(values) // _SPARK_POINTS)
    return values if step < 2 else values[(len(values) - 1) % step :: step]


def spark_path(times: Sequence[float], values: Sequence[float | None]) -> str:
    """Return the path of a small line through values in the order of their times; empty where there is none to draw."""
    drawn = [drawable(value) for value in values]
    known = [value for value in drawn if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    across = SPARK_ACROSS / ((times[-1] - times[0]) or 1.0)
    down = (SPARK_DOWN - 2 * _SPARE) / (high - low) if high > low else 0.0
    top = _SPARE if down else SPARK_DOWN / 2
    path: list[str] = []
    command = "M"
    for time, value in zip(times, drawn, strict=True):
        if value is None:
            command = "M"
        else:
            path.append(f"{command}{(time - times[0]) * across:.1f} {top + (high - value) * down:.1f}")
            command = "L"
    return "".join(path)
