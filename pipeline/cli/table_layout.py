"""Table layout: which columns fit a terminal, and how wide they are; numbers and times whole. `output` prints it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size

_GAP = 2
_COMFORTABLE = 24
"""Characters that a text keeps as long as a spare column can be omitted instead."""
_SHORTEST = 8
"""Characters that a text keeps as long as any other column can be omitted instead."""
_COMFORTABLE_HEADER, _SHORTEST_HEADER = 14, 6
"""The same of a header that is longer than its numbers or times."""
_LONGEST_LABEL = 20
"""Characters that the first column, which names the row, always keeps."""
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}(:[0-9]{2})?)?")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of texts."""

    header: str
    cells: tuple[str, ...]
    is_right: bool
    """Whether it is right-aligned, as numbers are."""
    spare: int = 0
    """Where the table does not fit, columns are omitted first that have more than 0 here, the highest first."""

    def width(self) -> int:
        """Return the width in which nothing is cut."""
        return max(map(cell_len, (self.header, *self.cells)))

    def comfortable_width(self) -> int:
        """Return the width below which a spare column is rather omitted."""
        return self._cut_width(_COMFORTABLE, _COMFORTABLE_HEADER)

    def least_width(self) -> int:
        """Return the width below which the column itself is rather omitted."""
        return self._cut_width(_SHORTEST, _SHORTEST_HEADER)

    def _cut_width(self, text: int, header: int) -> int:
        """Return the width with texts cut to `text` characters; numbers and times whole, their header cut."""
        if self.is_right or any(map(_TIME.match, self.cells)):
            return max([min(cell_len(self.header), header), *map(cell_len, self.cells)])
        return min(self.width(), text)

    def with_shorter_times(self) -> "Column":
        """Return the column; if it holds times, without their seconds or, where they have none, as dates."""
        times = [text for text in self.cells if text != "-"]
        if not times or not all(map(_TIME.fullmatch, times)):
            return self
        return replace(self, cells=tuple(_shorter(text) for text in self.cells))


def _shorter(time: str) -> str:
    return time[:16] if len(time) > len("2026-03-14 18:30") else time[:10]


@dataclass(frozen=True, slots=True)
class Layout:
    """The lines of a table, the header first, and the headers of the columns that did not fit."""

    lines: tuple[str, ...]
    omitted: tuple[str, ...] = ()


def aligned(columns: Sequence[Column]) -> Layout:
    """Return the table as wide as it is."""
    return Layout(_lines(columns, [column.width() for column in columns]))


def fitted(columns: Sequence[Column], room: int) -> Layout:
    """Return the table in `room` characters, if even its first column fits.

    Where it is too wide, times are shortened and texts cut; then the spare columns are omitted, and
    then the others.
    """
    if _total([column.width() for column in columns]) <= room:
        return aligned(columns)
    chosen = [column.with_shorter_times() for column in columns]
    chosen = _without_spare(chosen, room)
    chosen = _without_last(chosen, room)
    least = [_label_width(chosen[0]), *(column.least_width() for column in chosen[1:])]
    comfortable = [_label_width(chosen[0]), *(column.comfortable_width() for column in chosen[1:])]
    widths = _shrunk([column.width() for column in chosen], comfortable, room)
    widths = _shrunk(widths, least, room)
    if _total(widths) > room:
        return aligned(columns)
    kept = {column.header for column in chosen}
    return Layout(_lines(chosen, widths), tuple(column.header for column in columns if column.header not in kept))


def _without_spare(columns: list[Column], room: int) -> list[Column]:
    """Return the columns without as many spare ones as need be for the others to have a comfortable width."""
    chosen = columns
    for spare in sorted((column for column in columns if column.spare), key=lambda one: one.spare, reverse=True):
        if _total([column.comfortable_width() for column in chosen]) <= room:
            break
        chosen = [column for column in chosen if column is not spare]
    return chosen


def _without_last(columns: list[Column], room: int) -> list[Column]:
    """Return the columns without as many of the last ones as need be for the others to fit at all."""
    chosen = columns
    while len(chosen) > 1 and _total([_label_width(chosen[0]), *(c.least_width() for c in chosen[1:])]) > room:
        chosen = chosen[:-1]
    return chosen


def _label_width(column: Column) -> int:
    return max(column.least_width(), min(column.width(), _LONGEST_LABEL))


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


def _lines(columns: Sequence[Column], widths: Sequence[int]) -> tuple[str, ...]:
    rows = zip(*((column.header, *column.cells) for column in columns), strict=True)
    return tuple(_line(texts, columns, widths) for texts in rows)


def _line(texts: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    cells = []
    for text, column, width in zip(texts, columns, widths, strict=True):
        part = _cut(text, width)
        space = " " * (width - cell_len(part))
        cells.append(f"{space}{part}" if column.is_right else f"{part}{space}")
    return (" " * _GAP).join(cells).rstrip()


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1).rstrip()}…"
