"""The axes of Vega-Lite specs: their range, where their ticks are and how these are written."""

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


def number_format(low: float, high: float) -> dict[str, Any]:
    """Return how the ticks of an axis are written: 2.4T, 450B, 12.3, 0.2741, 1e-9."""
    size = max(abs(low), abs(high))
    if size >= SCIENTIFIC[0] or 0 < size < SCIENTIFIC[1]:
        return {"format": "e"}
    if size >= 1e6:
        return {"format": "s", "labelExpr": "replace(datum.label, 'G', 'B')"}
    return {}
