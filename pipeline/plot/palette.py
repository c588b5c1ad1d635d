"""The colours of plots in files, for light and for dark pages, as the configuration of Vega-Lite that sets them.

The specs name styles only (`confirmed`, `gap`, …), so that one spec serves both.
"""

from dataclasses import dataclass
from typing import Any

FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
"""vl-convert carries the first; the others have letters of the same widths, or are what there is."""


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours as `#rrggbb`. No two are alike but for `line` and the first company, so that a page can replace each."""

    paper: str
    ink: str
    faint: str
    grid: str
    axis: str
    line: str
    gap: str
    """Of a line where the value changed between two observations."""
    suspicious: str
    companies: tuple[str, ...]
    """Of the lines of several companies."""


# Of the Okabe-Ito palette, which the colour-blind can tell apart; its yellow and light blue are too pale for paper, and
# are darkened there. `suspicious` is kept apart by its ring.
LIGHT = Palette(
    paper="#ffffff",
    ink="#1a1a1b",
    faint="#5f6368",
    grid="#e4e6e9",
    axis="#b4b8be",
    line="#0072b2",
    gap="#3b8fc4",
    suspicious="#d55e00",
    companies=("#0072b3", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#000000", "#a6761d", "#7b61c4"),
)
DARK = Palette(
    paper="#16181b",
    ink="#eceef0",
    faint="#a3a9b0",
    grid="#2b2f34",
    axis="#565c64",
    line="#56b4e9",
    gap="#4a90bd",
    suspicious="#f08a3c",
    companies=("#56b4ea", "#e69f01", "#2fc79b", "#e39cc4", "#9fd3f2", "#ffffff", "#cf9c45", "#a994ec"),
)


def theme(palette: Palette) -> dict[str, Any]:
    """Return the configuration of Vega-Lite with these colours."""
    return {
        "background": palette.paper,
        "font": FONT,
        "aria": False,  # a title and a description are put into the image instead of a text at each mark
        "view": {"stroke": None},
        "axis": {
            "domainColor": palette.axis,
            "gridColor": palette.grid,
            "tickColor": palette.axis,
            "labelColor": palette.faint,
            "titleColor": palette.faint,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
        },
        "title": {"color": palette.ink, "subtitleColor": palette.faint, "anchor": "start", "frame": "group"},
        "style": {
            "confirmed": {"color": palette.line, "strokeWidth": 2.4, "strokeCap": "round"},
            "gap": {"color": palette.gap, "strokeWidth": 1.2, "strokeDash": [1, 2]},
            "suspicious": {"color": palette.suspicious, "strokeWidth": 1.8},
            "uncovered": {"color": palette.axis, "stroke": palette.axis, "strokeWidth": 2, "opacity": 0.35},
            "hover": {"color": palette.ink},
            "value": {"color": palette.line, "fontSize": 13, "fontWeight": "bold"},
            "dot": {"color": palette.line, "stroke": palette.paper, "strokeWidth": 0.6},
            "median": {"color": palette.ink, "strokeWidth": 2},
            "edge": {"color": palette.grid},
            "symbol": {"color": palette.ink, "fontSize": 10},
            "name": {"color": palette.ink, "fontSize": 13, "fontWeight": "bold"},
            "ink": {"color": palette.ink, "fontSize": 12},
            "faint": {"color": palette.faint, "fontSize": 12},
        },
        "range": {"category": list(palette.companies)},
    }
