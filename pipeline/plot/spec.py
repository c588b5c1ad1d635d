"""A plot as a Vega-Lite spec: values and marks, without colours, which the `palette`'s configuration gives.

Pure: it needs neither vl-convert nor a terminal. Texts of companies stand in data and titles only, never in an
expression, so that no name can act.
"""

from collections.abc import Sequence
from itertools import pairwise, zip_longest
from typing import Any, Final

from pipeline.instants import to_text
from pipeline.plot import labels
from pipeline.plot.axes import date_axis, value_axis, value_bounds
from pipeline.plot.labels import day, exact, fitting, human, placeholder, trend
from pipeline.plot.series import (
    Panel,
    Plot,
    Series,
    Spell,
    lines,
    merged,
    spells_within,
    summary,
    suspicious_points,
    uncovered_since,
)

Spec = dict[str, Any]

SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
"""A name, not an address: nothing is read from there."""
WIDTH: Final = 780
"""Pixels of the panels; labels stand at both sides."""
PADDING: Final = {"left": 20, "top": 20, "right": 20, "bottom": 16}
LONGEST_TITLE: Final = 76
"""Letters, of which Chinese ones count twice: as wide as the panels."""
WIDE_SPACE: Final = "\N{EM SPACE}"
_AFTER_NAME: Final = "\N{LEFT-TO-RIGHT MARK}" + WIDE_SPACE
"""After a name in Arabic or Hebrew, numbers would otherwise be set from right to left."""

_ONLY_PANEL, _PANEL = 340, 165
"""Heights in pixels: of a panel alone, of one of several."""
_LINE: Final = 17
"""Pixels of a line of text."""


def plot_spec(plot: Plot, *, interactive: bool = False) -> Spec:
    """Return the spec: a panel for each field, and sentences where there is too little to draw.

    An interactive one can be zoomed and moved along the dates, and shows the value under the pointer.
    """
    drawn = [panel for panel in plot.panels if any(placeholder(one) is None for one in panel.series)]
    others = [panel for panel in plot.panels if panel not in drawn]  # the dates stand below the last line
    height = _ONLY_PANEL if len(plot.panels) == 1 else _PANEL
    panels = [_panel(panel, height, _right(plot, panel), is_last=panel is drawn[-1]) for panel in drawn]
    names = [f"panel_{number}" for number in range(len(panels))] if interactive else []
    for name, view in zip(names, panels, strict=False):
        view["layer"].append(hover_layer(name, view["layer"][0]["encoding"]))
    for view in panels:
        view["layer"] = [*uncovered_layers(spells_within(plot), view["layer"][0]["encoding"]), *view["layer"]]
    spec: Spec = {
        "$schema": SCHEMA,
        "title": {"text": heading(plot.title), "fontSize": 19, "offset": 16},
        "description": description(plot),
        "padding": PADDING,
        "spacing": 20,
        "vconcat": [*_company_key(plot), *panels, *map(_sentence, others), _footer(plot, drawn)],
        "resolve": {"scale": {"color": "independent"}},
    }
    if names:
        spec["params"] = [ZOOM | {"views": names}, *map(hover_param, names)]
    return spec


ZOOM: Final[Spec] = {"name": "zoom", "select": {"type": "interval", "encodings": ["x"]}, "bind": "scales"}


def hover_param(view: str) -> Spec:
    """Return the parameter that holds the mark of a view which is nearest to the pointer."""
    select = {"type": "point", "nearest": True, "on": "pointerover", "clear": "pointerout"}
    return {"name": f"hover_{view}", "select": select, "views": [view]}


def description(plot: Plot) -> str:
    """Return what the plot shows, for those who cannot see it."""
    several = len(plot.companies) > 1
    return "; ".join(
        f"{f'{one.company.label} ' if several else ''}{one.field.column}: {placeholder(one) or trend(one.points)}"
        for one in plot.series
    )


def _panel(panel: Panel, height: int, right: str, *, is_last: bool) -> Spec:
    several = len(panel.series) > 1
    values = [found for found in map(summary, (one.points for one in panel.series)) if found]
    low, high = min(one.low for one in values), max(one.high for one in values)
    axes = {"x": date_axis("at", is_labelled=is_last), "y": value_axis("y", low, high)}
    color = {"color": _company_color(panel.series)} if several else {}
    return {
        "data": version_data(panel.series),
        "width": WIDTH,
        "height": height,
        "layer": [
            *line_layers({**axes, **color}),
            *suspicious_layers(panel.series, axes),
            *_last_values(panel.series, value_bounds(low, high), height, color),
            *_heading(panel, right),
        ],
    }


def line_layers(encoding: Spec) -> list[Spec]:
    """Return the layers that draw versions: what lies between them, and on it the time in which each held."""
    path = {**encoding, "detail": {"field": "symbol"}, "order": None}
    return [
        {
            "mark": {"type": "line", "style": "gap", "clip": True},
            "transform": _through("from", "until", "next", ends_each=False),
            "encoding": path,
        },
        {
            "mark": {"type": "line", "style": "confirmed", "clip": True},
            "transform": _through("from", "until", ends_each=True),
            "encoding": path,
        },
    ]


def _heading(panel: Panel, right: str) -> list[Spec]:
    return [
        text_mark(panel.field.column, "name", x=0, y=-27),
        text_mark(panel.field.unit, "faint", x=0, y=-11),
        text_mark(right, "faint", x=WIDTH, y=-11, align="right"),
    ]


def _right(plot: Plot, panel: Panel) -> str:
    """Return the text above a panel's right end: the trend, or which companies have no line and why."""
    if len(plot.companies) == 1:
        return trend(panel.series[0].points)
    if len(plot.panels) == 1:
        return ""  # the key says it
    return "; ".join(f"{one.company.label}: {text}" for one in panel.series if (text := placeholder(one)))


def _data(rows: Sequence[Spec]) -> Spec:
    return {"values": list(rows), "format": {"parse": dict.fromkeys(("from", "until", "next", "at"), "date")}}


def version_data(many: Sequence[Series]) -> Spec:
    """Return the data of a panel: the versions of its series."""
    return _data([row for one in many for row in _version_rows(one)])


def _version_rows(series: Series) -> list[Spec]:
    """Return the versions of a field: from when until when it was seen, and when another was next seen."""
    versions = merged(series.points)
    return [
        {
            "symbol": series.company.symbol,
            "company": series.company.title,
            "from": to_text(version.observed_at),
            "until": to_text(version.confirmed_at),
            "next": None if later is None else to_text(later.observed_at),
            "value": version.value,
            "exact": exact(version.value, series.field.kind),
        }
        for version, later in zip_longest(versions, versions[1:])
    ]


def suspicious_layers(series: Sequence[Series], axes: Spec) -> list[Spec]:
    """Return the layer of the rings around suspicious values; none without any."""
    rows = [{"at": to_text(at), "y": value} for one in series for at, value in suspicious_points(one)]
    if not rows:
        return []
    mark = {"type": "point", "style": "suspicious", "size": 90, "opacity": 1, "clip": True}
    return [{"data": _data(rows), "mark": mark, "encoding": axes}]


def _through(*instants: str, ends_each: bool) -> list[Spec]:
    """Return the transforms that make a point of each of these instants of a version.

    Where a value is null, Vega lifts its pen: so between versions, if each ends its line.
    """
    at = [f"datum.{instant}" for instant in instants]
    y = ["datum.value"] * len(at)
    if ends_each:
        at, y = [*at, at[-1]], [*y, "null"]
    return [
        {"calculate": f"[{', '.join(at)}]", "as": "at"},
        {"calculate": f"[{', '.join(y)}]", "as": "y"},
        {"flatten": ["at", "y"]},
    ]


def _company_color(series: Sequence[Series]) -> Spec:
    domain = [one.company.symbol for one in series]
    return {"field": "symbol", "type": "nominal", "scale": {"domain": domain}, "legend": None}


def _last_values(series: Sequence[Series], ends: tuple[float, float], height: int, color: Spec) -> list[Spec]:
    """Return the texts at the right: the latest value of each line that ends with one."""
    low, high = ends
    last = [(one, found.last) for one in series if (found := summary(one.points)) and not found.ends_without_value]
    scale = {"domain": [low, high], "nice": False, "zero": False}
    several = len(series) > 1
    rows = [
        {"symbol": one.company.symbol, "place": place,
         "label": f"{one.company.symbol} {human(value)}" if several else human(value)}
        for (one, value), place in zip(last, _apart([value for _, value in last], ends, height), strict=True)
    ]  # fmt: skip
    if not rows:
        return []
    return [
        {
            "data": {"values": rows},
            "mark": {"type": "text", "style": "value", "align": "left", "baseline": "middle", "dx": 8, "clip": False},
            "encoding": {
                "x": {"value": WIDTH},
                "y": {"field": "place", "type": "quantitative", "scale": scale},
                "text": {"field": "label"},
                **color,
            },
        }
    ]


def _apart(values: Sequence[float], ends: tuple[float, float], height: int) -> list[float]:
    """Return where to write the values so that no two texts overlap: as near to each as there is room."""
    least = _LINE * (ends[1] - ends[0]) / height
    order = sorted(range(len(values)), key=lambda number: values[number])
    places = list(values)
    for before, number in pairwise(order):
        places[number] = max(places[number], places[before] + least)
    if order and (over := places[order[-1]] - ends[1]) > 0:  # push down what was pushed out at the top
        places[order[-1]] -= over
        for after, number in pairwise(reversed(order)):
            places[number] = min(places[number], places[after] - least)
    return places


def hover_layer(name: str, axes: Spec) -> Spec:
    """Return the layer that marks the version nearest to the pointer and shows it."""
    instant = "%Y-%m-%d %H:%M:%S"
    shown = [
        {"calculate": f"utcFormat(datum.from, '{instant}')", "as": "observed"},
        {"calculate": f"utcFormat(datum.until, '{instant}')", "as": "confirmed"},
        {"filter": "isValid(datum.value)"},
    ]
    return {
        "name": name,
        "mark": {"type": "point", "style": "hover", "filled": True, "size": 70, "clip": True},
        "transform": [*shown, *_through("from", "until", ends_each=False)],
        "encoding": {
            "x": axes["x"],
            "y": axes["y"],
            "opacity": {"condition": {"param": f"hover_{name}", "empty": False, "value": 1}, "value": 0},
            "tooltip": [
                {"field": "company", "type": "nominal", "title": "company"},
                {"field": "exact", "type": "nominal", "title": "value"},
                {"field": "observed", "type": "nominal", "title": "first seen (UTC)"},
                {"field": "confirmed", "type": "nominal", "title": "last seen (UTC)"},
            ],
        },
    }


def heading(title: str) -> str:
    """Return a title that fits above a picture, its double space as a wide one, which SVG does not collapse."""
    return fitting(title, LONGEST_TITLE).replace("  ", WIDE_SPACE)


def text_mark(text: str, style: str, *, x: float, y: float, align: str = "left") -> Spec:
    """Return a layer that writes a text at a place in pixels."""
    return {
        "data": {"values": [{}]},
        "mark": {"type": "text", "style": style, "align": align, "text": text, "clip": False},
        "encoding": {"x": {"value": x}, "y": {"value": y}},
    }


def _company_key(plot: Plot) -> list[Spec]:
    """Return, for several companies, the view that says which line is whose: a line of text for each."""
    if len(plot.companies) == 1:
        return []
    alone = len(plot.panels) == 1
    rows = [
        {"symbol": company.symbol, "line": number * _LINE + 6, "label": _key_text(plot, number, with_trend=alone)}
        for number, company in enumerate(plot.companies)
    ]
    place = {"y": {"field": "line", "type": "quantitative", "scale": None}}
    return [
        {
            "data": {"values": rows},
            "width": WIDTH,
            "height": len(rows) * _LINE - 4,
            "layer": [
                {
                    "mark": {"type": "square", "filled": True, "opacity": 1, "size": 100},
                    "encoding": {"x": {"value": 5}, **place, "color": _company_color(plot.panels[0].series)},
                },
                {
                    "mark": {"type": "text", "style": "ink", "align": "left", "baseline": "middle"},
                    "encoding": {"x": {"value": 18}, **place, "text": {"field": "label"}},
                },
            ],
        }
    ]


def _key_text(plot: Plot, number: int, *, with_trend: bool) -> str:
    company, title = plot.companies[number], heading(plot.companies[number].title)
    if not with_trend:
        return title
    series = plot.panels[0].series[number]
    assert series.company == company
    return f"{title}{_AFTER_NAME}{placeholder(series) or trend(series.points)}"


def _sentence(panel: Panel) -> Spec:
    """Return the view of a field of which there is too little to draw."""
    several = len(panel.series) > 1
    texts = [f"{f'{one.company.label}: ' if several else ''}{placeholder(one)}" for one in panel.series]
    return {
        "width": WIDTH,
        "height": len(texts) * _LINE,
        "layer": [
            *_heading(panel, ""),
            *(text_mark(text, "faint", x=0, y=8 + number * _LINE) for number, text in enumerate(texts)),
        ],
    }


def uncovered_layers(spells: Sequence[Spell], encoding: Spec) -> list[Spec]:
    """Return the layer of the bands that show when the API did not cover the company; none without any."""
    rows = [{"at": to_text(spell.start), "end": to_text(spell.end)} for spell in spells]
    if not rows:
        return []
    return [
        {
            "data": {"values": rows, "format": {"parse": {"at": "date", "end": "date"}}},
            "mark": {"type": "rect", "style": "uncovered", "clip": True},
            "encoding": {"x": encoding["x"], "x2": {"field": "end"}},
        }
    ]


def _footer(plot: Plot, drawn: Sequence[Panel]) -> Spec:
    """Return the last lines: what the marks mean that the plot shows, and where the values come from."""
    source = f"{plot.origin}, observed by overview-pipeline until {day(plot.until)}"
    since, spells = uncovered_since(plot), spells_within(plot)
    if since is not None:
        source = f"{source}; {labels.UNCOVERED} since {day(since)}"
    is_long = bool(since or spells)
    layers = [text_mark(source, "faint", x=0, y=30 if is_long else 12)]
    right = WIDTH
    if any(suspicious_points(one) for panel in drawn for one in panel.series):
        layers += [
            text_mark(labels.SUSPICIOUS, "faint", x=right, y=12, align="right"),
            _sample("suspicious", right - 70),
        ]
        right -= 100
    if spells and drawn:
        layers += [text_mark(labels.UNCOVERED, "faint", x=right, y=12, align="right"), _sample("uncovered", right - 96)]
        right -= 112
    if any(len(line) > 1 for panel in drawn for one in panel.series for line in lines(one.points)):
        layers += [
            text_mark(labels.UNCONFIRMED, "faint", x=right, y=12, align="right"), _sample("gap", right - 148),
            text_mark(labels.CONFIRMED, "faint", x=right - 168, y=12, align="right"), _sample("confirmed", right - 264),
        ]  # fmt: skip
    return {"width": WIDTH, "height": 32 if is_long else 14, "layer": layers}


def _sample(style: str, x: float) -> Spec:
    """Return a layer with the mark that the text beside it explains."""
    place = {"x": {"value": x}, "y": {"value": 8}}
    mark: Spec = {"type": "rule", "style": style}
    if style == "suspicious":
        mark = {"type": "point", "style": style, "size": 70, "opacity": 1}
    elif style == "uncovered":
        mark = {"type": "rect", "style": style}
        place |= {"x2": {"value": x + 20}, "y": {"value": 2}, "y2": {"value": 14}}
    else:
        place["x2"] = {"value": x + 28}
    return {"data": {"values": [{}]}, "mark": mark, "encoding": place}
