"""The text of plots on a terminal: styles, and the axis below a panel."""

from collections.abc import Callable, Sequence

Paint = Callable[[str, str], str]
"""Returns a text in a style, given as the parameters of an ANSI escape sequence."""

BOLD, DIM = "1", "2"
NARROWEST = 32
"""Columns that a scale and a line need. In a narrower terminal the values are written, not drawn."""


def painter(*, color: bool) -> Paint:
    """Return what paints, or leaves every text as it is."""
    return _painted if color else _plain


def _plain(text: str, _style: str) -> str:
    return text


def _painted(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if text and style else text


def axis_below(ticks: Sequence[tuple[float, str]], margin: int, columns: int) -> list[str]:
    """Return the axis below a panel, the line and the labels; ticks have their share of it, from 0 to 1."""
    line = ["─"] * columns
    below = [" "] * (margin + 1 + columns)
    free = 0
    for share, label in ticks:
        column = round(share * (columns - 1))
        begin = min(max(margin + 1 + column - len(label) // 2, 0), len(below) - len(label))
        if begin >= free:
            line[column] = "┬"
            below[begin : begin + len(label)] = label
            free = begin + len(label) + 2
    return [" " * margin + "└" + "".join(line), "".join(below).rstrip()]
