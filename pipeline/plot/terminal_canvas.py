"""A panel of a terminal plot: lines drawn in Braille dots, two by four to a character."""

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from pipeline.plot.series import Line
from pipeline.plot.terminal_text import DIM, Paint
from pipeline.plot.ticks import value_ticks

SUSPICIOUS = "1;31"
COLORS = ("36", "33", "32", "35", "34", "96", "93", "92")
"""Of the lines of companies."""
SHADE = "░"
LETTERS = "ABCDEFGH"
"""They stand on the lines of several companies, for those who see no colours."""
MARKER = "×"  # noqa: RUF001 - a cross, to be seen among dots

_ACROSS, _DOWN = 2, 4
"""Dots of one character."""
_BLANK = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bits of Braille, by row and column."""
_SPACING = 2
"""Distance of the dots in a dotted segment."""
_LETTERS_APART = 24
"""Columns from one letter on a line to the next."""
_SHORTEST_DOTTED = 4
"""Dots: a shorter segment is drawn solid, as nobody could see that it is dotted."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The values at a panel's lowest and highest dot, and the labels beside its rows."""

    low: float
    high: float
    dots: int
    labels: dict[int, str]

    def dot(self, value: float) -> int:
        """Return the dot of a value, counted from the top."""
        return _nearest_dot(value, self.low, self.high, self.dots)


def panel_scale(low: float, high: float, rows: int) -> Scale:
    """Return the scale of a panel of `rows` rows that shows these values."""
    dots = rows * _DOWN
    ticks = value_ticks(low, high, max(3, rows // 2))
    return Scale(low, high, dots, {_nearest_dot(tick.value, low, high, dots) // _DOWN: tick.label for tick in ticks})


def _nearest_dot(value: float, low: float, high: float, dots: int) -> int:
    """Return which of the dots from `high` down to `low` is nearest."""
    return round((high - value) / (high - low) * (dots - 1)) if high > low else dots // 2


class Canvas:
    """The dots of one panel."""

    def __init__(self, columns: int, rows: int, span: tuple[datetime, datetime], scale: Scale) -> None:
        self.has_dotted = False
        """Whether some segment is dotted."""
        self._scale = scale
        self._columns = columns
        self._start, self._length = span[0], span[1] - span[0]
        self._bits = [[0] * columns for _ in range(rows)]
        self._styles = [[DIM] * columns for _ in range(rows)]
        self._marks: dict[tuple[int, int], tuple[str, str]] = {}
        self._shaded: set[int] = set()

    def draw(self, line: Line, color: str) -> None:
        """Draw a line in steps: a value holds until another was seen."""
        before = self._scale.dot(line[0].value)
        for segment in line:
            left, right, y = self._across(segment.start), self._across(segment.end), self._scale.dot(segment.value)
            for between in range(min(before, y), max(before, y) + 1):
                self._set(left, between, color)
            is_dotted = not segment.confirmed and right - left >= _SHORTEST_DOTTED
            self.has_dotted |= is_dotted
            for x in range(left, right + 1):
                if not is_dotted:
                    self._set(x, y, color)
                elif x % _SPACING == 0:
                    self._set(x, y, f"2;{color}")
            before = y

    def letter(self, line: Line, letter: str, color: str, first: int) -> None:
        """Put a letter on a line at its end, and every few columns from the `first`."""
        self._marks[self._cell(line[-1].end, line[-1].value)] = (letter, color)
        for segment in line:
            left, right = (self._across(instant) // _ACROSS for instant in (segment.start, segment.end))
            for column in range(left, right + 1):
                if column % _LETTERS_APART == first % _LETTERS_APART:
                    self._marks[self._scale.dot(segment.value) // _DOWN, column] = (letter, color)

    def mark(self, instant: datetime, value: float) -> None:
        """Mark a suspicious point."""
        self._marks[self._cell(instant, value)] = (MARKER, SUSPICIOUS)

    def shade(self, start: datetime, end: datetime) -> None:
        """Shade what is empty between two instants."""
        self._shaded |= set(range(self._across(start) // _ACROSS, self._across(end) // _ACROSS + 1))

    def _cell(self, instant: datetime, value: float) -> tuple[int, int]:
        return self._scale.dot(value) // _DOWN, self._across(instant) // _ACROSS

    def rows(self, margin: int, paint: Paint) -> list[str]:
        """Return the rows as text, each with the scale in the `margin` columns to its left."""
        return [self._edge(row, margin, paint) + self._row(row, paint) for row in range(len(self._bits))]

    def _edge(self, row: int, margin: int, paint: Paint) -> str:
        label = self._scale.labels.get(row, "")
        return paint(f"{label:>{margin}}{'┤' if label else '│'}", DIM)

    def _row(self, row: int, paint: Paint) -> str:
        cells: list[tuple[str, str]] = []
        style = ""
        for column, bits in enumerate(self._bits[row]):
            if (row, column) in self._marks:
                character, style = self._marks[row, column]
                cells.append((style, character))
            elif bits:
                style = self._styles[row][column]
                cells.append((style, chr(_BLANK + bits)))
            elif column in self._shaded:
                style = DIM
                cells.append((style, SHADE))
            else:
                cells.append((style, " "))  # in the colour before it, for fewer escape sequences
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
        if not style.startswith(f"{DIM};") or self._styles[row][column] == DIM:
            self._styles[row][column] = style
