"""Indexed series: several companies' values relative to one instant, to compare how they moved."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pipeline.model.fields import Kind
from pipeline.plot.labels import day, human
from pipeline.plot.series import Point, Series, merged


def indexed(series: Sequence[Series]) -> tuple[Series, ...]:
    """Return the series as per cent of their values at the first instant at which each of them had one.

    A value there is the latest one by then. Where it is not above zero, an index would mislead: that series is without
    values, with a note. One without any value stays as it is, and does not count in the choice of the instant.
    """
    firsts = [first for one in series if (first := _first_value_at(one)) is not None]
    if not firsts:
        return tuple(series)
    return tuple(_indexed(one, max(firsts)) for one in series)


def _first_value_at(series: Series) -> datetime | None:
    return next((point.observed_at for point in merged(series.points) if point.value is not None), None)


def _indexed(series: Series, at: datetime) -> Series:
    field = replace(series.field, unit=f"100 = {day(at)}", kind=Kind.REAL)
    known = [point.value for point in merged(series.points) if point.observed_at <= at and point.value is not None]
    if not known:
        return replace(series, field=field)
    base = known[-1]
    if base <= 0:
        note = f"no index: it was {human(base)} on {day(at)}, not above zero"
        without = tuple(replace(point, value=None) for point in series.points)
        return replace(series, field=field, points=without, suspicious=frozenset(), note=note)
    points = (
        Point(point.observed_at, point.confirmed_at, None if point.value is None else _percent(point.value, base))
        for point in merged(series.points)
    )
    return replace(series, field=field, points=tuple(points))


def _percent(value: float, base: float) -> float:
    """Return the value in per cent of the base, without the digits that only the division made."""
    return float(f"{value / base * 100:.8g}")
