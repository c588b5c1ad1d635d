"""The axes of Vega-Lite specs: their range, where their ticks are and how these are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

from pipeline.plot.labels import SCIENTIFIC

LEFT = 64
"""Pixels for the labels at the left of a panel, so that panels stand below one another."""

_DATE_FORMATS = {
    "year": "%Y", "quarter": "%Y-%m", "month": "%Y-%m", "week": "%Y-%m-%d", "date": "%Y-%m-%d",
    "hours": "%m-%d %H:%M", "minutes": "%H:%M", "seconds": "%H:%M:%S", "milliseconds": "%H:%M:%S.%L",
}  # fmt: skip


def date_axis(field: str, *, is_labelled: bool) -> dict[str, Any]:
    """Return the encoding of the axis of dates: in UTC, with labels as precise as its ticks.

    Its range is that of the data: Vega-Lite would lose one that is given when the reader zooms.
    """
    axis = {
        "title": None,
        "format": _DATE_FORMATS,
        "labels": is_labelled,
        "ticks": is_labelled,
        "labelOverlap": True,
        "labelSeparation": 16,
        "tickCount": 8,
    }
    scale = {"type": "utc", "nice": False, "padding": 8}
    return {"field": field, "type": "temporal", "axis": axis, "scale": scale}


def value_axis(field: str, low: float, high: float) -> dict[str, Any]:
    """Return the encoding of the axis of values: a little wider than they are."""
    axis = {"title": None, "domain": False, "ticks": False, "labelPadding": 8, "minExtent": LEFT, "tickCount": 5}
    scale = {"domain": list(value_bounds(low, high)), "nice": False, "zero": False}
    return {"field": field, "type": "quantitative", "axis": axis | number_format(low, high), "scale": scale}


def value_bounds(low: float, high: float) -> tuple[float, float]:
    """Return the ends of an axis that shows these values."""
    spare = (high - low) * 0.07 or abs(low) * 0.05 or 1.0
    return low - spare, high + spare


_THOUSANDS = {"format": "~s", "labelExpr": "replace(datum.label, 'G', 'B')"}
"""450k, 3M, 20B, 1T."""


def number_format(low: float, high: float) -> dict[str, Any]:
    """Return how the ticks of an axis are written: 2.4T, 450B, 12.3, 0.2741, 1e-9."""
    size = max(abs(low), abs(high))
    if size >= SCIENTIFIC[0] or 0 < size < SCIENTIFIC[1]:
        return {"format": "e"}
    if size >= 1e6:
        return {"format": "s", "labelExpr": "replace(datum.label, 'G', 'B')"}
    return {}


@dataclass(frozen=True, slots=True)
class NumberScale:
    """A linear or logarithmic axis that shows some values."""

    low: float
    high: float
    is_logarithmic: bool

    def share(self, value: float) -> float:
        """Return where on the axis a value is: from 0 at its low end to 1."""
        if self.is_logarithmic:
            return (log(value) - log(self.low)) / (log(self.high) - log(self.low))
        return (value - self.low) / (self.high - self.low)


_SMALLEST = 5e-324
"""The smallest number above zero that a float can be."""
_LOGARITHMIC_FROM = 100.0
"""Times the smallest value: with a larger span, and no value at or below zero, an axis is logarithmic."""


def number_scale(values: Sequence[float]) -> NumberScale:
    """Return a scale that is a little wider than the values."""
    low, high = min(values), max(values)
    if low > 0 and high >= low * _LOGARITHMIC_FROM:
        spare = exp((log(high) - log(low)) * 0.04)
        return NumberScale(max(low / spare, _SMALLEST), high * spare, is_logarithmic=True)
    spare = (high - low) * 0.04 or abs(low) * 0.05 or 1.0
    return NumberScale(low - spare, high + spare, is_logarithmic=False)


def number_axis(field: str, scale: NumberScale, title: str) -> dict[str, Any]:
    """Return the encoding of an axis of numbers between which dots stand."""
    axis = {"title": title, "ticks": False, "labelPadding": 8, "titlePadding": 10, "tickCount": 6, "labelOverlap": True}
    form = number_format(scale.low, scale.high)
    kind: dict[str, Any] = {"type": "linear", "zero": False}
    if scale.is_logarithmic:
        form = _THOUSANDS if scale.high >= 1000 else {"format": "~g"}
        kind = {"type": "log"}
    ends = {"domain": [scale.low, scale.high], "nice": False}
    return {"field": field, "type": "quantitative", "axis": axis | form, "scale": kind | ends}
