"""The colours of plots in files, for light and for dark pages."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours as `#rrggbb`. No two are alike, so that a page can replace each by a variable."""

    paper: str
    ink: str
    faint: str
    grid: str
    axis: str
    line: str
    gap: str
    """Of a line where the value changed between two observations."""
    suspicious: str


# `line` and `suspicious` are of the Okabe-Ito palette, which the colour-blind can tell apart.
LIGHT = Palette(
    paper="#ffffff",
    ink="#1a1a1b",
    faint="#5f6368",
    grid="#e4e6e9",
    axis="#b4b8be",
    line="#0072b2",
    gap="#3b8fc4",
    suspicious="#d55e00",
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
)
