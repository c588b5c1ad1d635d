"""A cross-section as a Vega-Lite spec: one dot for each company. The rules are those of `spec`."""

from collections.abc import Sequence
from statistics import median
from zlib import crc32

from pipeline.instants import for_people
from pipeline.model.fields import Field
from pipeline.plot.axes import NumberScale, number_axis, number_scale
from pipeline.plot.cross_section import CrossSection, Dot, Row, category, has_median, number, rows
from pipeline.plot.dot_labels import Place, labelled
from pipeline.plot.labels import before, exact, fitting
from pipeline.plot.series import origin
from pipeline.plot.spec import PADDING, SCHEMA, WIDTH, Spec, heading, hover_param, text_mark
from pipeline.text import count

_HEIGHT = 460
_TALL_ROW, _ROW = 36, 20
"""Heights of a row: of few rows, of many."""
_FEW_ROWS = 16
_LONGEST_CATEGORY = 64
_VIEW = "dots"


def scatter_spec(section: CrossSection, *, interactive: bool = False) -> Spec:
    """Return the spec: a row of dots for each value of a text, or dots between two axes of numbers.

    An interactive one can be zoomed and moved, and shows the company under the pointer.
    """
    view = _in_rows(section) if section.has_rows else _between_numbers(section)
    spec: Spec = {
        "$schema": SCHEMA,
        "title": {"text": heading(section.title), "fontSize": 19, "offset": 16},
        "description": f"{section.title}: {count(len(section.dots), 'company', 'companies')}",
        "padding": PADDING,
        "spacing": 14,
        "vconcat": [view, {"width": WIDTH, "height": 14, "layer": [text_mark(_source(section), "faint", x=0, y=12)]}],
    }
    if interactive:
        view["layer"].append(_hover(view["layer"][0], section))
        select = {"type": "interval", "encodings": ["x"] if section.has_rows else ["x", "y"]}
        spec["params"] = [{"name": "zoom", "select": select, "bind": "scales", "views": [_VIEW]}, hover_param(_VIEW)]
    return spec


def _source(section: CrossSection) -> str:
    medians = "; lines are medians" if section.has_rows and any(map(has_median, rows(section))) else ""
    source = origin(dot.company for dot in section.dots)
    return f"{source}, observed by overview-pipeline: {section.summary}{medians}"


def _dots(dots: int, place: Spec) -> Spec:
    """Return the layer of the dots, which are the view's data: the more there are, the smaller and paler."""
    size, opacity = (70, 0.85) if dots <= 100 else (45, 0.65) if dots <= 1000 else (20, 0.45)
    mark = {"type": "point", "filled": True, "style": "dot", "size": size, "opacity": opacity, "clip": True}
    return {"mark": mark, "encoding": place}


def _data(dot: Dot, section: CrossSection, y: float) -> Spec:
    """Return a dot's place, and what it shows under the pointer."""
    return {
        "x": number(dot.x),
        "y": y,
        "symbol": dot.company.symbol,
        "company": dot.company.title,
        "exact_x": exact(number(dot.x), section.x.kind),
        "exact_y": category(dot) if section.has_rows else exact(number(dot.y), section.y.kind),
        "seen": f"{for_people(dot.confirmed_at)}, {before(dot.staleness)}",
    }


def _hover(dots: Spec, section: CrossSection) -> Spec:
    """Return the layer that marks the dot nearest to the pointer and shows it."""
    shown = {"company": "company", "exact_y": section.y.column, "exact_x": section.x.column, "seen": "last seen (UTC)"}
    return {
        **dots,
        "name": _VIEW,
        "mark": {"type": "point", "filled": True, "style": "hover", "size": 90, "clip": True},
        "encoding": {
            **dots["encoding"],
            "opacity": {"condition": {"param": f"hover_{_VIEW}", "empty": False, "value": 1}, "value": 0},
            "tooltip": [{"field": name, "type": "nominal", "title": title} for name, title in shown.items()],
        },
    }


def _named(field: Field, scale: NumberScale) -> str:
    """Return the title of an axis."""
    scaled = ", logarithmic" if scale.is_logarithmic else ""
    return f"{field.column}, {field.unit}{scaled}"


def _between_numbers(section: CrossSection) -> Spec:
    across = number_scale([number(dot.x) for dot in section.dots])
    up = number_scale([number(dot.y) for dot in section.dots])
    place = {"x": number_axis("x", across, _named(section.x, across)), "y": number_axis("y", up, _named(section.y, up))}
    data = [_data(dot, section, number(dot.y)) for dot in section.dots]
    places = [
        Place(across.share(number(dot.x)) * WIDTH, (1 - up.share(number(dot.y))) * _HEIGHT, dot.company.symbol)
        for dot in section.dots
    ]
    middle_x, middle_y = median(one.x for one in places), median(one.y for one in places)
    far = [abs(one.x - middle_x) / WIDTH + abs(one.y - middle_y) / _HEIGHT for one in places]
    return {
        "data": {"values": data},
        "width": WIDTH,
        "height": _HEIGHT,
        "layer": [_dots(len(data), place), *_symbols(data, places, far, place)],
    }


def _in_rows(section: CrossSection) -> Spec:
    found = rows(section)
    step = _TALL_ROW if len(found) <= _FEW_ROWS else _ROW
    scale = number_scale([number(dot.x) for dot in section.dots])
    y: Spec = {"field": "y", "type": "quantitative", "axis": None,
               "scale": {"domain": [0, len(found)], "reverse": True, "nice": False, "zero": False}}  # fmt: skip
    place = {"x": number_axis("x", scale, _named(section.x, scale)), "y": y}
    data, places, far = [], [], []
    medians = [
        (scale.share(row.median) * WIDTH, (line + part) * step)
        for line, row in enumerate(found)
        for part in (0.25, 0.5, 0.75)
    ]
    for line, row in enumerate(found):
        for dot in row.dots:
            one = _data(dot, section, line + 0.2 + 0.6 * _spread(dot))
            data.append(one)
            places.append(Place(scale.share(number(dot.x)) * WIDTH, one["y"] * step, dot.company.symbol))
            far.append(abs(scale.share(number(dot.x)) - scale.share(row.median)))
    return {
        "data": {"values": data},
        "width": WIDTH,
        "height": len(found) * step,
        "layer": [_dots(len(data), place), *_row_marks(found, place), *_symbols(data, places, far, place, medians)],
    }


def _spread(dot: Dot) -> float:
    """Return a share that differs from company to company and stays the same: equal values are seen side by side."""
    return crc32(dot.company.symbol.encode()) % 1000 / 1000


def _row_marks(found: Sequence[Row], place: Spec) -> list[Spec]:
    """Return the layers with a row's name, its median, and the line below it."""
    data = [
        {
            "x": row.median,
            "y": line + 0.5,
            "top": line + 0.1,
            "bottom": line + 0.9,
            "edge": line + 1,
            "label": f"{fitting(row.label, _LONGEST_CATEGORY)} ({len(row.dots):,})",
        }
        for line, row in enumerate(found)
    ]
    y = place["y"]
    return [
        {
            "data": {"values": [one for one, row in zip(data, found, strict=True) if has_median(row)]},
            "mark": {"type": "rule", "style": "median", "clip": True},
            "encoding": {"x": place["x"], "y": {**y, "field": "top"}, "y2": {"field": "bottom"}},
        },
        {
            "data": {"values": data},
            "mark": {"type": "text", "style": "faint", "align": "right", "baseline": "middle", "clip": False},
            "encoding": {"x": {"value": -10}, "y": y, "text": {"field": "label"}},
        },
        {
            "data": {"values": data},
            "mark": {"type": "rule", "style": "edge"},
            "encoding": {"x": {"value": 0}, "x2": {"value": WIDTH}, "y": {**y, "field": "edge"}},
        },
    ]


def _symbols(
    data: Sequence[Spec],
    places: Sequence[Place],
    far: Sequence[float],
    place: Spec,
    medians: Sequence[tuple[float, float]] = (),
) -> list[Spec]:
    """Return the layers with the symbols that fit beside their dots, those far from the middle first."""
    order = sorted(range(len(places)), key=lambda one: -far[one])
    sides = labelled(places, order, WIDTH, medians)
    return [
        {
            "data": {"values": [{name: data[one][name] for name in ("x", "y", "symbol")} for one in chosen]},
            "mark": {"type": "text", "style": "symbol", "align": align, "dx": dx, "baseline": "middle", "clip": True},
            "encoding": {**place, "text": {"field": "symbol"}},
        }
        for side, align, dx in (("right", "left", 6), ("left", "right", -6))
        if (chosen := [one for one, chosen_side in sides.items() if chosen_side == side])
    ]
