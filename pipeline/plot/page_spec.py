"""One field of a company as a Vega-Lite spec for a page: as wide as its place there, to be zoomed and pointed at.

The page has the heading, the unit and the words; `spec` has the marks.
"""

from collections.abc import Mapping

from pipeline.plot.axes import date_axis, value_axis
from pipeline.plot.labels import placeholder
from pipeline.plot.line_chart import DOWN
from pipeline.plot.series import Plot, spells_within, summary
from pipeline.plot.spec import (
    SCHEMA,
    ZOOM,
    Spec,
    description,
    hover_layer,
    hover_param,
    line_layers,
    suspicious_layers,
    uncovered_layers,
    version_data,
)

_VIEW = "values"
_WHEEL = "wheel![event.ctrlKey || event.metaKey || event.shiftKey]"
"""The wheel alone scrolls the page."""
_PERCENT: Mapping[str, Spec] = {
    "fraction": {"format": ".3~%"},
    "percent points": {"labelExpr": "datum.label + '%'"},
}
"""How the axis of values is labelled, by the unit of a field that is read in per cent."""


def page_spec(plot: Plot) -> Spec | None:
    """Return the spec of a plot's first panel, of one company; None where there is too little to draw."""
    series = plot.panels[0].series
    found = summary(series[0].points)
    if found is None or placeholder(series[0]) is not None:
        return None
    dates, values = date_axis("at", is_labelled=True), value_axis("y", found.low, found.high)
    percent = _PERCENT.get(plot.panels[0].field.unit, {})
    axes = {
        "x": {**dates, "axis": {**dates["axis"], "grid": False}},
        "y": {**values, "axis": {**values["axis"], **percent}},
    }
    hover = hover_layer(_VIEW, axes)
    shown = [one for one in hover["encoding"]["tooltip"] if one["field"] != "company"]  # the page is about one
    zoom = {**ZOOM, "select": {**ZOOM["select"], "zoom": _WHEEL}, "views": [_VIEW]}
    return {
        "$schema": SCHEMA,
        "description": description(plot),
        "width": "container",
        "height": DOWN,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": version_data(series),
        "layer": [
            *uncovered_layers(spells_within(plot), axes),
            *line_layers(axes),
            *suspicious_layers(series, axes),
            {**hover, "encoding": {**hover["encoding"], "tooltip": shown}},
        ],
        "params": [zoom, hover_param(_VIEW)],
    }
