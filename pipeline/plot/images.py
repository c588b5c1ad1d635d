"""The picture of a plot, by matplotlib: an extra, so that only `picture.py` imports this module, and when asked to."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from pipeline.model.fields import Field
from pipeline.plot.series import (
    Line,
    Series,
    bounds,
    date_ticks,
    day,
    heading,
    human,
    journey,
    lines,
    marked,
    spoken,
    summary,
    value_ticks,
)
from pipeline.text import cut


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a picture, as `#rrggbb`; no two alike, so that a page can give each another one."""

    paper: str = "#ffffff"
    ink: str = "#1a1a1b"
    faint: str = "#5f6368"
    grid: str = "#e4e6e9"
    axis: str = "#b4b8be"
    line: str = "#0072b2"
    """Of the Okabe-Ito palette, as `wrong` is: told apart by the colour-blind too."""
    unseen: str = "#3b8fc4"
    wrong: str = "#d55e00"


PALETTE = Palette()
COLORS = asdict(PALETTE)
"""The same, by name."""

_WIDTH = 9.6
_LEFT, _RIGHT = 0.86, 0.95
_TOP, _BOTTOM = 0.6, 0.56
_HEADING, _DATES = 0.44, 0.28
_ALONE, _STACKED, _SAID = 3.6, 1.75, 0.3
"""Inches: of the picture, its margins, what is above and below panels; a panel alone, one of several, mere words."""
_DOTS_PER_INCH = 160
_LONGEST_TITLE = 78


def svg(symbol: str, name: str | None, series: Sequence[Series], *, until: datetime) -> str:
    """Return the picture as SVG: letters as shapes, so that it needs no font; the same text for the same series."""
    with _our_style():
        text = io.StringIO()
        figure = _figure(symbol, name, series, until)
        FigureCanvasSVG(figure)  # the figure's canvas from now on; pyplot's would be the process's
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return text.getvalue()


def png(symbol: str, name: str | None, series: Sequence[Series], *, until: datetime) -> bytes:
    """Return the picture as PNG."""
    with _our_style():
        raw = io.BytesIO()
        figure = _figure(symbol, name, series, until)
        FigureCanvasAgg(figure)
        figure.savefig(raw, format="png", metadata={"Software": "overview-pipeline"})
    return raw.getvalue()


@contextmanager
def _our_style() -> Iterator[None]:
    """Draw as we mean to, whatever the user's matplotlibrc says."""
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


def _figure(symbol: str, name: str | None, series: Sequence[Series], until: datetime) -> Figure:
    plotted = [one for one in series if spoken(one) is None]
    ordered = [*plotted, *(one for one in series if spoken(one) is not None)]  # the dates stand below the last line
    panel = _ALONE if len(series) == 1 else _STACKED
    heights = [panel] * len(plotted) + [_SAID] * (len(series) - len(plotted))
    dates = _DATES if plotted else 0.0
    height = _TOP + _BOTTOM + dates + sum(heights) + _HEADING * len(series)
    figure = Figure(figsize=(_WIDTH, height), facecolor=PALETTE.paper)
    span = _padded(bounds(plotted), until)
    top = height - _TOP
    for number, (one, tall) in enumerate(zip(ordered, heights, strict=True), start=1):
        top -= _HEADING + tall
        width = _WIDTH - _LEFT - _RIGHT
        axes = figure.add_axes((_LEFT / _WIDTH, top / height, width / _WIDTH, tall / height))
        _panel(axes, one, span, dated=number == len(plotted))
        if number == len(plotted):
            top -= dates
    left = _LEFT / _WIDTH
    title = cut(heading(symbol, name), _LONGEST_TITLE)
    figure.text(left, 1 - 0.26 / height, title, va="top", size=14, weight="bold", color=PALETTE.ink)
    source = f"Alpha Vantage OVERVIEW, as observed by overview-pipeline; last look {day(until)}"
    figure.text(left, 0.2 / height, source, va="bottom", size=7.5, color=PALETTE.faint)
    _legend(figure, series, height)
    return figure


def _padded(span: tuple[datetime, datetime] | None, until: datetime) -> tuple[datetime, datetime]:
    """Return what the axis of dates reaches over: never nothing."""
    start, end = span or (until, until)
    spare = max((end - start) * 0.01, timedelta(hours=1)) if start < end else timedelta(days=1)
    return start - spare, end + spare


def _panel(axes: Axes, series: Series, span: tuple[datetime, datetime], *, dated: bool) -> None:
    words, said = spoken(series), summary(series.points)
    axes.set_xlim(_x(span[0]), _x(span[1]))
    _name(axes, series.field)
    if words is not None or said is None:
        axes.set_axis_off()
        axes.text(0, 1, words or "", transform=axes.transAxes, va="top", color=PALETTE.faint)
        return
    _above(axes, journey(series.points), 1, ha="right", size=8.5, color=PALETTE.faint)
    _dates(axes, span, dated=dated)
    _values(axes, said.low, said.high)
    for line in lines(series.points):
        _draw(axes, line)
    _mark(axes, series)
    if not said.gone:
        axes.annotate(
            human(said.last),
            (1, said.last),
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
    """Set the axis of values: a little wider than they are, with round values on it."""
    spare = (high - low) * 0.07 or abs(low) * 0.05 or 1.0
    axes.set_ylim(low - spare, high + spare)
    ticks = value_ticks(low - spare, high + spare, 6) if low < high else value_ticks(low, high, 1)
    axes.set_yticks([tick.value for tick in ticks], [tick.label for tick in ticks])


_NOWHERE = float("nan")
"""Where the pen is lifted."""


def _draw(axes: Axes, line: Line) -> None:
    """Draw one line: thick where its value was known to hold, dots where it was seen once, thin in between."""
    steps_x = [_x(instant) for stretch in line for instant in (stretch.start, stretch.end)]
    steps_y = [stretch.value for stretch in line for _ in range(2)]
    axes.plot(steps_x, steps_y, color=PALETTE.unseen, linewidth=1, linestyle=(0, (1, 1.4)), zorder=2)
    known = [stretch for stretch in line if stretch.known]
    axes.plot(
        [x for stretch in known for x in (_x(stretch.start), _x(stretch.end), _NOWHERE)],
        [y for stretch in known for y in (stretch.value, stretch.value, _NOWHERE)],
        color=PALETTE.line,
        linewidth=2,
        zorder=3,
    )
    axes.plot(
        [_x(stretch.start) for stretch in known if stretch.start == stretch.end],
        [stretch.value for stretch in known if stretch.start == stretch.end],
        linestyle="none",
        marker="o",
        markersize=2.2,
        markeredgewidth=0,
        color=PALETTE.line,
        zorder=3,
    )


def _mark(axes: Axes, series: Series) -> None:
    places = marked(series)
    axes.plot([_x(instant) for instant, _ in places], [value for _, value in places], zorder=4, **_WRONG)


_WRONG: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 7,
    "markerfacecolor": "none",
    "markeredgecolor": PALETTE.wrong,
    "markeredgewidth": 1.4,
}


def _legend(figure: Figure, series: Sequence[Series], height: float) -> None:
    """Explain what the picture shows, and nothing else, at the lower right."""
    every = [line for one in series if spoken(one) is None for line in lines(one.points)]
    handles = []
    if any(len(line) > 1 for line in every):
        handles = [
            Line2D([], [], color=PALETTE.line, linewidth=2, label="known to hold"),
            Line2D(
                [], [], color=PALETTE.unseen, linewidth=1, linestyle=(0, (1, 1.4)), label="changed unseen in between"
            ),
        ]
    if any(spoken(one) is None and marked(one) for one in series):
        handles.append(Line2D([], [], label="looks wrong", **_WRONG))
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
