"""Table layout: the lines of a table that fits a terminal's width. Words, numbers and times are never broken."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size

_GAP = 2
_SHORTEST_CUT = 8
"""Characters that are left of a text that is cut."""
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}(:[0-9]{2})?)?")
_PIECE = re.compile(r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{5,8}|[^ _/]+)?[_/]* *")
"""What is not broken: a time, a word, or a part of a name or path with the sign that ends it."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of texts."""

    header: str
    cells: tuple[str, ...]
    is_right: bool
    """Whether it is right-aligned, as numbers are."""
    is_spare: bool = False
    """Whether it is omitted where the table does not fit otherwise."""

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.header, *self.cells)

    def width(self) -> int:
        """Return the width in which nothing is folded."""
        return max(map(cell_len, self.texts))

    def least_width(self) -> int:
        """Return the width in which no piece is cut."""
        return max(cell_len(piece) for text in self.texts for piece in (_pieces(text) or [""]))

    def cut_width(self) -> int:
        """Return the width of a column whose texts may be cut. Numbers and times may not."""
        is_text = not self.is_right and not any(map(_TIME.match, self.cells))
        return min(self.least_width(), _SHORTEST_CUT) if is_text else self.least_width()

    def with_shorter_times(self) -> "Column":
        """Return the column; if it holds times, without their seconds or, where they have none, as dates."""
        times = [text for text in self.cells if text != "-"]
        if not times or not all(map(_TIME.fullmatch, times)):
            return self
        return replace(self, cells=tuple(_shorter(text) for text in self.cells))


def _shorter(time: str) -> str:
    return time[:16] if len(time) > len("2026-03-14 18:30") else time[:10]


def aligned(columns: Sequence[Column]) -> list[list[str]]:
    """Return the lines of each row, the header first, as wide as they are."""
    return _rows(columns, [column.width() for column in columns])


def fitted(columns: Sequence[Column], room: int) -> list[list[str]]:
    """Return the lines of each row, the header first, in `room` characters if that is possible at all.

    Where they do not fit, times are shortened, then texts folded between words, then the spare columns omitted, the
    last one first, and at last long words cut.
    """
    if _total([column.width() for column in columns]) <= room:
        return aligned(columns)
    chosen = [column.with_shorter_times() for column in columns]
    for spare in reversed([column for column in chosen if column.is_spare]):
        if _total([column.least_width() for column in chosen]) <= room:
            break
        chosen = [column for column in chosen if column is not spare]
    widths = [column.width() for column in chosen]
    for least in ([column.least_width() for column in chosen], [column.cut_width() for column in chosen]):
        widths = _shrunk(widths, least, room)
    return _rows(chosen, widths) if _total(widths) <= room else aligned(columns)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _shrunk(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Return widths that fit, none below the least, the widest reduced first; too much, if these do not fit."""
    found = list(widths)
    while _total(found) > room:
        wide = [number for number, width in enumerate(found) if width > least[number]]
        if not wide:
            break
        found[max(wide, key=found.__getitem__)] -= 1
    return found


def _rows(columns: Sequence[Column], widths: Sequence[int]) -> list[list[str]]:
    return [_row(texts, columns, widths) for texts in zip(*(column.texts for column in columns), strict=True)]


def _row(texts: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> list[str]:
    """Return the lines of one row."""
    folded = [_folded(text, width) for text, width in zip(texts, widths, strict=True)]
    lines = []
    for number in range(max(map(len, folded))):
        line = ""
        for column, width, parts in zip(columns, widths, folded, strict=True):
            part = parts[number] if number < len(parts) else ""
            space = " " * (width - cell_len(part))
            line += (f"{space}{part}" if column.is_right else f"{part}{space}") + " " * _GAP
        lines.append(line.rstrip())
    return lines


def _pieces(text: str) -> list[str]:
    return [piece for match in _PIECE.finditer(text) if (piece := match[0].rstrip(" "))]


def _folded(text: str, width: int) -> list[str]:
    """Return the text in lines of at most `width` characters, broken between its pieces; a longer piece is cut."""
    if cell_len(text) <= width:
        return [text]
    lines = [""]
    for match in _PIECE.finditer(text):
        if match[0] and lines[-1] and cell_len(lines[-1] + match[0].rstrip(" ")) > width:
            lines.append("")
        lines[-1] += match[0]
    return [_cut(line.rstrip(" "), width) for line in lines]


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1).rstrip()}…"
