"""Plots for a terminal: a panel a field, one above the other, drawn in dots of Braille; plain text but for colours.

Drawn here, not by a library: the usual one takes longer to import than the whole command may, and cannot tell a value
that was known to hold from one that merely lies between two looks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from rich.cells import cell_len, set_cell_size

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

_NARROWEST = 32
"""Columns that leave room for a scale and some of the line. With fewer, the values are only said."""
_FEWEST_ROWS = 4
"""Rows of a panel, however low the terminal: it scrolls."""
_AIRY = 7
"""Rows from which a panel spares one for the air above it."""
_ACROSS, _DOWN = 2, 4
"""Dots of one character."""
_BLANK = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bits of Braille, by row and column."""
_SPACING = 2
"""Every so many dots one is set, where a value was not known to hold."""
_VISIBLE = 4
"""A stretch of fewer dots cannot be told to be dotted: it is drawn through."""
_MARKER = "×"  # noqa: RUF001 - a cross, to be seen among dots
_KNOWN, _UNKNOWN, _WRONG, _BOLD, _DIM = "36", "2;36", "1;31", "1", "2"

Paint = Callable[[str, str], str]


def terminal(symbol: str, name: str | None, series: Sequence[Series], *, width: int, height: int, color: bool) -> str:
    """Return the plot in lines no wider than `width`; no more than `height - 1` of them, but for many panels."""
    paint = _painted if color else _plain
    title = paint(_cut(heading(symbol, name), width), _BOLD)
    drawn = [one for one in series if spoken(one) is None]
    span = bounds(drawn)
    if span is None or span[0] == span[1] or width < _NARROWEST:
        return "\n".join([title, *(line for one in series for line in _said(one, width))])

    said = [line for one in series if one not in drawn for line in _said(one, width)]
    around = 1 + 2 + len(said) + 1 + 1  # title, dates, words, legend, and the prompt that follows
    rows = max(_FEWEST_ROWS, (height - around) // len(drawn) - 1)
    airy = rows >= _AIRY
    rows -= airy
    scales = [_scale(one, rows) for one in drawn]
    margin = max(len(label) for scale in scales for label in scale.labels.values())
    columns = width - margin - 1
    canvases = [_drawn(one, _Canvas(columns, rows, span, scale)) for one, scale in zip(drawn, scales, strict=True)]
    out = [title]
    for one, canvas in zip(drawn, canvases, strict=True):
        out += [""] * airy
        out.append(_panel_heading(one, width, paint))
        out += canvas.rows(margin, paint)
    out += [paint(line, _DIM) for line in _dates(span, margin, columns)]
    out += said
    legend = _legend(dotted=any(canvas.dotted for canvas in canvases), wrong=any(map(marked, drawn)))
    if legend:
        out.append(paint(_cut(legend, width), _DIM))
    return "\n".join(out)


# Words


def _plain(text: str, _style: str) -> str:
    return text


def _painted(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if text and style else text


def _cut(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return text
    return f"{set_cell_size(text, width - 1).rstrip()}…" if width > 0 else ""


def _said(series: Series, width: int) -> list[str]:
    """Return a series in words, for want of a line."""
    said = spoken(series) or journey(series.points)
    line = f"{_named(series)}: {said}"
    return [line] if cell_len(line) <= width else [_cut(_named(series), width), _cut(f"  {said}", width)]


def _named(series: Series) -> str:
    return f"{series.field.column}, {series.field.unit}" if series.field.unit else series.field.column


def _panel_heading(series: Series, width: int, paint: Paint) -> str:
    """Return the field and its unit at the left, what became of it at the right; less of it where there is no room."""
    column, named, right = series.field.column, _named(series), journey(series.points)
    said = summary(series.points)
    if said is not None and said.low != said.high:
        longer = f"{right}   low {human(said.low)}, high {human(said.high)}"
        if len(named) + 3 + len(longer) <= width:
            right = longer
    left = named if len(named) + 3 + len(right) <= width else column
    if len(left) + 3 + len(right) > width:
        return paint(_cut(f"{left}: {right}", width), _BOLD)
    gap = " " * (width - len(left) - len(right))
    return f"{paint(column, _BOLD)}{paint(left.removeprefix(column), _DIM)}{gap}{right}"


def _legend(*, dotted: bool, wrong: bool) -> str:
    parts = ["⠒⠒⠒ known to hold", "⠂⠂⠂ changed unseen somewhere here"] if dotted else []
    return "   ".join([*parts, f"{_MARKER} looks wrong"] if wrong else parts)


# Axes


@dataclass(frozen=True, slots=True)
class _Scale:
    """The values of a panel's lowest and highest dot, and what stands beside its rows."""

    low: float
    high: float
    dots: int
    labels: dict[int, str]

    def dot(self, value: float) -> int:
        """Return the dot of a value, from the top."""
        return _dot(value, self.low, self.high, self.dots)


def _dot(value: float, low: float, high: float, dots: int) -> int:
    """Return which of the dots from `high` down to `low` is nearest."""
    return round((high - value) / (high - low) * (dots - 1)) if high > low else dots // 2


def _scale(series: Series, rows: int) -> _Scale:
    said = summary(series.points)
    low, high = (said.low, said.high) if said else (0.0, 0.0)
    dots = rows * _DOWN
    labels = {
        _dot(tick.value, low, high, dots) // _DOWN: tick.label for tick in value_ticks(low, high, max(3, rows // 2))
    }
    return _Scale(low, high, dots, labels)


def _dates(span: tuple[datetime, datetime], margin: int, columns: int) -> list[str]:
    """Return the axis of dates: the line, and the labels below it."""
    start, end = span
    ticks = date_ticks(start, end, most=columns // 14)
    if len(ticks) < 2:
        ticks = [(start, day(start)), (end, day(end))] if day(start) != day(end) else [(start, day(start))]
    line = ["─"] * columns
    labels = [" "] * (margin + 1 + columns)
    free = 0
    for instant, label in ticks:
        column = round((instant - start) / (end - start) * (columns - 1))
        begin = min(max(margin + 1 + column - len(label) // 2, 0), len(labels) - len(label))
        if begin >= free:
            line[column] = "┬"
            labels[begin : begin + len(label)] = label
            free = begin + len(label) + 2
    return [" " * margin + "└" + "".join(line), "".join(labels).rstrip()]


# Dots


def _drawn(series: Series, canvas: "_Canvas") -> "_Canvas":
    for line in lines(series.points):
        canvas.draw(line)
    for instant, value in marked(series):
        canvas.mark(instant, value)
    return canvas


class _Canvas:
    """The dots of one panel."""

    def __init__(self, columns: int, rows: int, span: tuple[datetime, datetime], scale: _Scale) -> None:
        self._scale = scale
        self.dotted = False
        self._columns = columns
        self._start, self._length = span[0], span[1] - span[0]
        self._bits = [[0] * columns for _ in range(rows)]
        self._styles = [[_UNKNOWN] * columns for _ in range(rows)]
        self._marks: set[tuple[int, int]] = set()

    def draw(self, line: Line) -> None:
        """Draw a line in steps: a value holds until another was seen."""
        before = self._scale.dot(line[0].value)
        for stretch in line:
            left, right, y = self._across(stretch.start), self._across(stretch.end), self._scale.dot(stretch.value)
            for between in range(min(before, y), max(before, y) + 1):
                self._set(left, between, _KNOWN)
            unseen = not stretch.known and right - left >= _VISIBLE
            self.dotted |= unseen
            for x in range(left, right + 1):
                if not unseen:
                    self._set(x, y, _KNOWN)
                elif x % _SPACING == 0:
                    self._set(x, y, _UNKNOWN)
            before = y

    def mark(self, instant: datetime, value: float) -> None:
        """Mark a point that looks wrong."""
        self._marks.add((self._scale.dot(value) // _DOWN, self._across(instant) // _ACROSS))

    def rows(self, margin: int, paint: Paint) -> list[str]:
        """Return the rows of characters, their scale beside them."""
        return [self._edge(row, margin, paint) + self._row(row, paint) for row in range(len(self._bits))]

    def _edge(self, row: int, margin: int, paint: Paint) -> str:
        label = self._scale.labels.get(row, "")
        return paint(f"{label:>{margin}}{'┤' if label else '│'}", _DIM)

    def _row(self, row: int, paint: Paint) -> str:
        cells: list[tuple[str, str]] = []
        style = ""
        for column, bits in enumerate(self._bits[row]):
            if (row, column) in self._marks:
                style = _WRONG
                cells.append((style, _MARKER))
            elif bits:
                style = self._styles[row][column]
                cells.append((style, chr(_BLANK + bits)))
            else:
                cells.append((style, " "))  # of the colour before it, for fewer changes of colour
        while cells and cells[-1][1] == " ":
            cells.pop()
        return "".join(
            paint("".join(character for _, character in group), style)
            for style, group in groupby(cells, key=lambda cell: cell[0])
        )

    def _across(self, instant: datetime) -> int:
        return round((instant - self._start) / self._length * (self._columns * _ACROSS - 1))

    def _set(self, x: int, y: int, style: str) -> None:
        row, column = y // _DOWN, x // _ACROSS
        self._bits[row][column] |= _DOTS[y % _DOWN][x % _ACROSS]
        if style == _KNOWN:
            self._styles[row][column] = _KNOWN
