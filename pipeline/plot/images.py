"""Plots as SVG and PNG, drawn by matplotlib: size, fonts, axes, lines, legend. Needs the extra `plot`.

matplotlib takes half a second to import: only `files.py` imports this module, when a file is to be written.
"""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from pipeline.model.fields import Field
from pipeline.plot import labels
from pipeline.plot.labels import day, human, placeholder, trend
from pipeline.plot.palette import LIGHT as PALETTE
from pipeline.plot.series import Line, Plot, Series, bounds, lines, summary, suspicious_points
from pipeline.plot.ticks import date_ticks, value_ticks
from pipeline.text import cut

# Sizes in inches.
_WIDTH = 9.6
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.86, 0.95, 0.6, 0.56
"""Margins of the image."""
_HEADING, _DATES = 0.44, 0.28
"""Above each panel; below the last one."""
_ONLY_PANEL, _PANEL, _TEXT_PANEL = 3.6, 1.75, 0.3
"""Heights: of a panel alone, of one of several, of one that holds a sentence."""
_DOTS_PER_INCH = 160
_LONGEST_TITLE = 78


def svg(plot: Plot) -> str:
    """Return the plot as SVG: letters as shapes, so that it needs no font; equal plots give equal text."""
    with _style():
        text = io.StringIO()
        figure = _figure(plot)
        FigureCanvasSVG(figure)  # the figure's canvas from now on; pyplot's would be the process's
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _described(text.getvalue(), plot)


def png(plot: Plot) -> bytes:
    """Return the plot as PNG."""
    with _style():
        raw = io.BytesIO()
        figure = _figure(plot)
        FigureCanvasAgg(figure)
        figure.savefig(raw, format="png", metadata={"Software": "overview-pipeline"})
    return raw.getvalue()


_COMMENT = re.compile("<!--[^<>]*-->\n?")
"""matplotlib writes the text that its shapes spell into comments."""
_DOCTYPE = re.compile("<!DOCTYPE[^<>]*>\n?")
_SVG = re.compile("<svg [^<>]*>")


def _described(text: str, plot: Plot) -> str:
    """Return the SVG with a title, and with a description for those who cannot see it; without matplotlib's notes."""
    text = _DOCTYPE.sub("", _COMMENT.sub("", text))
    opening = _SVG.search(text)
    assert opening is not None
    trends = "; ".join(f"{one.field.column}: {placeholder(one) or trend(one.points)}" for one in plot.series)
    words = f"\n <title>{escape(plot.title)}</title>\n <desc>{escape(trends)}</desc>"
    return f'{text[: opening.end() - 1]} role="img">{words}{text[opening.end() :]}'


@contextmanager
def _style() -> Iterator[None]:
    """Draw in our own style until the block ends, whatever the user's matplotlibrc says."""
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # a box is drawn in its place
        mpl.rcdefaults()
        mpl.rcParams.update(
            {
                "axes.unicode_minus": False,
                "figure.dpi": _DOTS_PER_INCH,
                "savefig.dpi": _DOTS_PER_INCH,
                "font.family": ["DejaVu Sans"],  # the one that matplotlib carries
                "font.size": 9,
                "svg.fonttype": "path",
                "svg.hashsalt": "overview-pipeline",
                "text.parse_math": False,  # a name may hold dollar signs
                "lines.solid_capstyle": "round",
            }
        )
        yield


def _figure(plot: Plot) -> Figure:
    plotted = [one for one in plot.series if placeholder(one) is None]
    ordered = [*plotted, *(one for one in plot.series if one not in plotted)]  # the dates stand below the last line
    panel = _ONLY_PANEL if len(ordered) == 1 else _PANEL
    heights = [panel] * len(plotted) + [_TEXT_PANEL] * (len(ordered) - len(plotted))
    dates = _DATES if plotted else 0.0
    height = _TOP + _BOTTOM + dates + sum(heights) + _HEADING * len(ordered)
    figure = Figure(figsize=(_WIDTH, height), facecolor=PALETTE.paper)
    span = _padded(bounds(plotted), plot.until)
    top = height - _TOP
    for number, (one, tall) in enumerate(zip(ordered, heights, strict=True), start=1):
        top -= _HEADING + tall
        width = _WIDTH - _LEFT - _RIGHT
        axes = figure.add_axes((_LEFT / _WIDTH, top / height, width / _WIDTH, tall / height))
        _panel(axes, one, span, dated=number == len(plotted))
        if number == len(plotted):
            top -= dates
    left = _LEFT / _WIDTH
    title = cut(plot.title, _LONGEST_TITLE)
    figure.text(left, 1 - 0.26 / height, title, va="top", size=14, weight="bold", color=PALETTE.ink)
    source = f"{plot.origin}, observed by overview-pipeline until {day(plot.until)}"
    figure.text(left, 0.2 / height, source, va="bottom", size=7.5, color=PALETTE.faint)
    _legend(figure, plotted, height)
    return figure


def _padded(span: tuple[datetime, datetime] | None, until: datetime) -> tuple[datetime, datetime]:
    """Return the interval that the axis of dates shows: never an empty one."""
    start, end = span or (until, until)
    spare = max((end - start) * 0.01, timedelta(hours=1)) if start < end else timedelta(days=1)
    return start - spare, end + spare


def _panel(axes: Axes, series: Series, span: tuple[datetime, datetime], *, dated: bool) -> None:
    text, values = placeholder(series), summary(series.points)
    axes.set_xlim(_x(span[0]), _x(span[1]))
    _name(axes, series.field)
    if text is not None or values is None:
        axes.set_axis_off()
        axes.text(0, 1, text or "", transform=axes.transAxes, va="top", color=PALETTE.faint)
        return
    _above(axes, trend(series.points), 1, ha="right", size=8.5, color=PALETTE.faint)
    _dates(axes, span, dated=dated)
    _values(axes, values.low, values.high)
    for line in lines(series.points):
        _draw(axes, line)
    _mark(axes, series)
    if not values.ends_without_value:
        axes.annotate(
            human(values.last),
            (1, values.last),
            (6, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            weight="bold",
            size=9.5,
            color=PALETTE.line,
        )


def _name(axes: Axes, field: Field) -> None:
    column = _above(axes, field.column, 0, weight="bold", size=9.5, color=PALETTE.ink)
    axes.annotate(
        field.unit,
        (1, 0),
        (7, 0),
        xycoords=column,
        textcoords="offset points",
        va="bottom",
        size=8.5,
        color=PALETTE.faint,
    )


def _above(axes: Axes, text: str, across: float, **style: Any) -> Annotation:
    """Write above a panel, at a share of its width."""
    return axes.annotate(
        text, (across, 1), (0, 8), xycoords="axes fraction", textcoords="offset points", va="bottom", **style
    )


def _dates(axes: Axes, span: tuple[datetime, datetime], *, dated: bool) -> None:
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(PALETTE.axis)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=PALETTE.faint)
    axes.tick_params("x", length=3.5 if dated else 0, color=PALETTE.axis)
    ticks = date_ticks(*span, most=10)
    axes.set_xticks([_x(instant) for instant, _ in ticks], [label if dated else "" for _, label in ticks])
    axes.set_axisbelow(True)
    axes.grid(visible=True, color=PALETTE.grid, linewidth=0.8)


def _x(instant: datetime) -> float:
    return instant.timestamp()


def _values(axes: Axes, low: float, high: float) -> None:
    """Set the axis of values: a little wider than they are, with ticks at round values."""
    spare = (high - low) * 0.07 or abs(low) * 0.05 or 1.0
    axes.set_ylim(low - spare, high + spare)
    ticks = value_ticks(low - spare, high + spare, 6) if low < high else value_ticks(low, high, 1)
    axes.set_yticks([tick.value for tick in ticks], [tick.label for tick in ticks])


_DOTTED = (0, (1, 1.4))
_NOWHERE = float("nan")
"""matplotlib lifts its pen here."""


def _draw(axes: Axes, line: Line) -> None:
    """Draw one line: thick where its value is confirmed, a dot where it was seen once, thin dots in between."""
    steps_x = [_x(instant) for segment in line for instant in (segment.start, segment.end)]
    steps_y = [segment.value for segment in line for _ in range(2)]
    axes.plot(steps_x, steps_y, color=PALETTE.gap, linewidth=1, linestyle=_DOTTED, zorder=2)
    confirmed = [segment for segment in line if segment.confirmed]
    axes.plot(
        [x for segment in confirmed for x in (_x(segment.start), _x(segment.end), _NOWHERE)],
        [y for segment in confirmed for y in (segment.value, segment.value, _NOWHERE)],
        color=PALETTE.line,
        linewidth=2,
        zorder=3,
    )
    axes.plot(
        [_x(segment.start) for segment in confirmed if segment.start == segment.end],
        [segment.value for segment in confirmed if segment.start == segment.end],
        linestyle="none",
        marker="o",
        markersize=2.2,
        markeredgewidth=0,
        color=PALETTE.line,
        zorder=3,
    )


def _mark(axes: Axes, series: Series) -> None:
    places = suspicious_points(series)
    axes.plot([_x(instant) for instant, _ in places], [value for _, value in places], zorder=4, **_SUSPICIOUS_MARK)


_SUSPICIOUS_MARK: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 7,
    "markerfacecolor": "none",
    "markeredgecolor": PALETTE.suspicious,
    "markeredgewidth": 1.4,
}


def _legend(figure: Figure, plotted: Sequence[Series], height: float) -> None:
    """Explain, at the lower right, the marks that the image shows."""
    handles = []
    if any(len(line) > 1 for one in plotted for line in lines(one.points)):
        handles = [
            Line2D([], [], color=PALETTE.line, linewidth=2, label=labels.CONFIRMED),
            Line2D([], [], color=PALETTE.gap, linewidth=1, linestyle=_DOTTED, label=labels.UNCONFIRMED),
        ]
    if any(map(suspicious_points, plotted)):
        handles.append(Line2D([], [], label=labels.SUSPICIOUS, **_SUSPICIOUS_MARK))
    if handles:
        figure.legend(
            handles=handles,
            loc="lower right",
            bbox_to_anchor=(1 - 0.15 / _WIDTH, 0.1 / height),
            ncols=3,
            frameon=False,
            fontsize=7.5,
            labelcolor=PALETTE.faint,
            handlelength=1.8,
            columnspacing=1.6,
        )
