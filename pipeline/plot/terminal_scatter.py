"""Cross-sections on a terminal: rows of dots for the values of a text, or dots between two axes of numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from math import ceil, floor, log10
from statistics import median

from rich.cells import cell_len

from pipeline.model.fields import Field
from pipeline.plot.axes import NumberScale, number_scale
from pipeline.plot.cross_section import CrossSection, Dot, has_median, number, rows
from pipeline.plot.labels import fitting, human
from pipeline.plot.terminal_text import BOLD, DIM, NARROWEST, Paint, axis_below, painter
from pipeline.plot.ticks import value_ticks

_ONE, _SEVERAL, _MANY = "•", "●", "█"
_MEDIAN, _MEDIAN_ON_DOT = "│", "┼"
_MANY_FROM = 10
_COLOR = "36"
_FEWEST_ROWS = 8

Cell = tuple[int, int]
"""Row and column."""


def terminal_scatter(section: CrossSection, *, width: int, height: int, color: bool) -> str:
    """Return the cross-section in lines of at most `width` columns; rows of categories may be more than `height`."""
    paint = painter(color=color)
    title = paint(fitting(section.title, width), BOLD)
    if width < NARROWEST:
        return "\n".join([title, *(fitting(line, width) for line in _in_words(section))])
    drawn = _rows(section, width, paint) if section.has_rows else _between_numbers(section, width, height, paint)
    return "\n".join([title, *drawn, *(paint(fitting(line, width), DIM) for line in _notes(section))])


def _in_words(section: CrossSection) -> list[str]:
    if section.has_rows:
        return [f"{row.label}: {len(row.dots):,}, median {human(row.median)}" for row in rows(section)]
    return [f"{dot.company.symbol}: {human(number(dot.x))}, {human(number(dot.y))}" for dot in section.dots]


def _notes(section: CrossSection) -> list[str]:
    marks = f"{_ONE} a company   {_SEVERAL} several   {_MANY} {_MANY_FROM} or more"
    if section.has_rows and any(map(has_median, rows(section))):
        marks = f"{marks}   {_MEDIAN} median, {_MEDIAN_ON_DOT} on a company"
    return [marks, section.summary]


def _rows(section: CrossSection, width: int, paint: Paint) -> list[str]:
    found = rows(section)
    names = [f"{row.label} ({len(row.dots):,})" for row in found]
    margin = min(max(map(cell_len, names)), width * 2 // 5)
    columns = width - margin - 1
    scale = number_scale([number(dot.x) for dot in section.dots])
    cells = {
        dot: (line, _at(scale, dot.x, columns)) for line, row in enumerate(found) for dot in row.dots
    }  # fmt: skip
    medians = [(line, _at(scale, row.median, columns)) for line, row in enumerate(found)]
    far = {dot: abs(cells[dot][1] - medians[cells[dot][0]][1]) for dot in cells}
    several = [place for row, place in zip(found, medians, strict=True) if has_median(row)]
    drawn = _grid(len(found), columns, cells, several, far)
    edges = [f"{' ' * (margin - cell_len(name))}{name}" for name in (fitting(name, margin) for name in names)]
    ticks = _ticks(scale, columns // 10)
    return [
        *(paint(f"{edge}│", DIM) + _line(row, paint) for edge, row in zip(edges, drawn, strict=True)),
        *(paint(line, DIM) for line in axis_below(ticks, margin, columns)),
        fitting(_named(section.x, scale), width).rjust(width),
    ]


def _between_numbers(section: CrossSection, width: int, height: int, paint: Paint) -> list[str]:
    across = number_scale([number(dot.x) for dot in section.dots])
    up = number_scale([number(dot.y) for dot in section.dots])
    high = max(_FEWEST_ROWS, height - 9)
    labels = {high - 1 - round(share * (high - 1)): label for share, label in _ticks(up, high // 2)}
    margin = max(map(len, labels.values()), default=0)
    columns = width - margin - 1
    cells = {dot: (high - 1 - _at(up, dot.y, high), _at(across, dot.x, columns)) for dot in section.dots}
    middle = (median(row for row, _ in cells.values()), median(column for _, column in cells.values()))
    far = {dot: abs(row - middle[0]) / high + abs(x - middle[1]) / columns for dot, (row, x) in cells.items()}
    drawn = _grid(high, columns, cells, [], far)
    edges = [f"{labels.get(row, ''):>{margin}}{'┤' if row in labels else '│'}" for row in range(high)]
    return [
        fitting(_named(section.y, up), width),
        *(paint(edge, DIM) + _line(row, paint) for edge, row in zip(edges, drawn, strict=True)),
        *(paint(line, DIM) for line in axis_below(_ticks(across, columns // 10), margin, columns)),
        fitting(_named(section.x, across), width).rjust(width),
    ]


def _named(field: Field, scale: NumberScale) -> str:
    return f"{field.column}, {field.unit}{', logarithmic' if scale.is_logarithmic else ''}"


def _at(scale: NumberScale, value: object, places: int) -> int:
    assert isinstance(value, (int, float))
    return round(scale.share(value) * (places - 1))


def _ticks(scale: NumberScale, most: int) -> list[tuple[float, str]]:
    """Return the share of the axis and the label of each tick: round numbers, or powers of ten."""
    if not scale.is_logarithmic:
        return [(scale.share(tick.value), tick.label) for tick in value_ticks(scale.low, scale.high, max(2, most))]
    powers = [10.0**power for power in range(ceil(log10(scale.low)), floor(log10(scale.high)) + 1)]
    return [(scale.share(value), human(value)) for value in powers]


def _grid(
    high: int, columns: int, cells: Mapping[Dot, Cell], medians: Sequence[Cell], far: Mapping[Dot, float]
) -> list[list[tuple[str, str]]]:
    """Return the characters and their styles: dots, medians over them, and the symbols that fit beside dots."""
    grid = [[(" ", "")] * columns for _ in range(high)]
    dots = Counter(cells.values())
    for (row, column), companies in dots.items():
        mark = _ONE if companies == 1 else _SEVERAL if companies < _MANY_FROM else _MANY
        grid[row][column] = (mark, _COLOR)
    for row, column in medians:
        grid[row][column] = (_MEDIAN_ON_DOT if (row, column) in dots else _MEDIAN, BOLD)
    for dot in sorted(cells, key=lambda dot: (-far[dot], dot.company.symbol)):
        row, column = cells[dot]
        if dots[row, column] == 1:
            _write(grid[row], column, dot.company.symbol)
    return grid


def _write(row: list[tuple[str, str]], column: int, text: str) -> None:
    """Write a text at the right or the left of a column, if there is room for it and a space."""
    for begin, first, last in ((column + 1, column + 1, column + 2 + len(text)),
                               (column - len(text), column - len(text) - 1, column)):  # fmt: skip
        fits = begin >= 0 and begin + len(text) <= len(row)
        if fits and all(character == " " for character, _ in row[max(first, 0) : last]):
            row[begin : begin + len(text)] = [(letter, DIM) for letter in text]
            return


def _line(row: Sequence[tuple[str, str]], paint: Paint) -> str:
    return "".join(
        paint("".join(character for character, _ in group), style)
        for style, group in groupby(row, key=lambda cell: cell[1])
    ).rstrip()
