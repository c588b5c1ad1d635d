"""Plots for a terminal: one panel per field, with titles, axes and a legend; plain text but for colours.

Drawn here rather than by a library: the usual one takes longer to import than the whole command may, and cannot draw a
confirmed value differently from the gap between two observations.
"""

from collections.abc import Iterable
from datetime import datetime

from rich.cells import cell_len

from pipeline.model.fields import Field
from pipeline.plot import labels
from pipeline.plot.labels import day, fitting, human, placeholder, trend
from pipeline.plot.series import (
    Panel,
    Plot,
    Series,
    Spell,
    bounds,
    lines,
    spells_within,
    summary,
    suspicious_points,
    uncovered_since,
)
from pipeline.plot.terminal_canvas import COLORS, LETTERS, MARKER, SHADE, Canvas, panel_scale
from pipeline.plot.terminal_text import BOLD, DIM, NARROWEST, Paint, axis_below, painter
from pipeline.plot.ticks import date_ticks

_FEWEST_ROWS = 4
"""Rows of a panel, however low the terminal: it scrolls."""
_AIRY = 7
"""Rows from which a panel has an empty one above it."""


def terminal(plot: Plot, *, width: int, height: int, color: bool) -> str:
    """Return the plot in lines of at most `width` columns: up to `height - 1` of them, or more for many panels."""
    paint = painter(color=color)
    several = len(plot.companies) > 1
    title = paint(fitting(plot.title, width), BOLD)
    drawn = [panel for panel in plot.panels if any(placeholder(one) is None for one in panel.series)]
    span = bounds(one for panel in drawn for one in panel.series)
    if span is None or span[0] == span[1] or width < NARROWEST:
        words = [line for one in plot.series for line in _in_words(one, width, several=several)]
        return "\n".join([title, *words, *_lost_coverage(plot, width)])

    above = [title, *(_key(plot, number, width, paint) for number in range(len(plot.companies)) if several)]
    others = [
        line for one in plot.series if placeholder(one) and len(plot.panels) > 1
        for line in _in_words(one, width, several=several)
    ]  # fmt: skip
    others += _lost_coverage(plot, width)
    around = len(above) + 2 + len(others) + 1 + 1  # dates, other series, legend, and the prompt that follows
    rows = max(_FEWEST_ROWS, (height - around) // len(drawn) - 1)
    airy = rows >= _AIRY
    rows -= airy
    scales = [panel_scale(*_range(panel), rows) for panel in drawn]
    margin = max(len(label) for scale in scales for label in scale.labels.values())
    columns = width - margin - 1
    shaded = spells_within(plot)
    canvases = [
        _drawn(panel, Canvas(columns, rows, span, scale), shaded) for panel, scale in zip(drawn, scales, strict=True)
    ]
    out = above
    for panel, canvas in zip(drawn, canvases, strict=True):
        out += [""] * airy
        out.append(_panel_heading(panel, width, paint))
        out += canvas.rows(margin, paint)
    out += [paint(line, DIM) for line in axis_below(_date_ticks(span, columns), margin, columns)]
    out += others
    legend = _legend(
        dotted=any(canvas.has_dotted for canvas in canvases),
        suspicious=any(suspicious_points(one) for panel in drawn for one in panel.series),
        shaded=bool(shaded),
    )
    if legend:
        out.append(paint(fitting(legend, width), DIM))
    return "\n".join(out)


def _drawn(panel: Panel, canvas: Canvas, shaded: Iterable[Spell]) -> Canvas:
    """Return the canvas with all that a panel shows."""
    for spell in shaded:
        canvas.shade(spell.start, spell.end)
    for number, series in enumerate(panel.series):
        for line in lines(series.points):
            canvas.draw(line, COLORS[number])
    for number, series in enumerate(panel.series if len(panel.series) > 1 else ()):
        for line in lines(series.points):
            canvas.letter(line, LETTERS[number], COLORS[number], first=5 + number * 3)
    for series in panel.series:
        for instant, value in suspicious_points(series):
            canvas.mark(instant, value)
    return canvas


def _range(panel: Panel) -> tuple[float, float]:
    """Return the lowest and the highest value of a panel that has some."""
    found = [values for one in panel.series if (values := summary(one.points)) is not None]
    return min(values.low for values in found), max(values.high for values in found)


def _key(plot: Plot, number: int, width: int, paint: Paint) -> str:
    """Return the line that says which letter and colour are a company's, and how it moved if there is one panel."""
    company, ending = plot.companies[number], ""
    if len(plot.panels) == 1:
        series = plot.panels[0].series[number]
        ending = f"  {placeholder(series) or trend(series.points)}"
    title = fitting(company.title, max(len(company.label), width - 2 - len(ending)))
    return paint(LETTERS[number], COLORS[number]) + fitting(f" {title}{ending}", width - 1)


def _in_words(series: Series, width: int, *, several: bool) -> list[str]:
    """Return the lines that stand for a series that is not drawn."""
    name, text = _name_and_unit(series.field), placeholder(series) or trend(series.points)
    name = f"{series.company.label}, {name}" if several else name
    line = f"{name}: {text}"
    return [line] if cell_len(line) <= width else [fitting(name, width), fitting(f"  {text}", width)]


def _name_and_unit(field: Field) -> str:
    return f"{field.column}, {field.unit}" if field.unit else field.column


def _panel_heading(panel: Panel, width: int, paint: Paint) -> str:
    """Return field and unit at the left, trend and range at the right; less of it where there is no room."""
    column, left = panel.field.column, _name_and_unit(panel.field)
    low, high = _range(panel)
    extent = f"low {human(low)}, high {human(high)}"
    if len(panel.series) > 1:
        right = extent
    else:
        right = trend(panel.series[0].points)
        longer = f"{right}   {extent}"
        if low != high and len(left) + 3 + len(longer) <= width:
            right = longer
    if len(left) + 3 + len(right) > width:
        left = column
    if len(left) + 3 + len(right) > width:
        return paint(fitting(f"{left}: {right}", width), BOLD)
    gap = " " * (width - len(left) - len(right))
    return f"{paint(column, BOLD)}{paint(left.removeprefix(column), DIM)}{gap}{right}"


def _legend(*, dotted: bool, suspicious: bool, shaded: bool) -> str:
    parts = [f"⠒⠒⠒ {labels.CONFIRMED}", f"⠂⠂⠂ {labels.UNCONFIRMED}"] if dotted else []
    parts += [f"{MARKER} {labels.SUSPICIOUS}"] if suspicious else []
    parts += [f"{SHADE} {labels.UNCOVERED}"] if shaded else []
    return "   ".join(parts)


def _lost_coverage(plot: Plot, width: int) -> list[str]:
    """Return the line that says since when the company is not covered, if it is not."""
    since = uncovered_since(plot)
    return [] if since is None else [fitting(f"{labels.UNCOVERED} since {day(since)}", width)]


def _date_ticks(span: tuple[datetime, datetime], columns: int) -> list[tuple[float, str]]:
    """Return the share of the axis and the label of each date."""
    start, end = span
    ticks = date_ticks(start, end, most=columns // 14)
    if len(ticks) < 2:
        ticks = [(start, day(start)), (end, day(end))] if day(start) != day(end) else [(start, day(start))]
    return [((instant - start) / (end - start), label) for instant, label in ticks]
