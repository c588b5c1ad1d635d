"""Print a command's data to stdout as JSON, CSV, JSON Lines or a table, with terminal control characters escaped."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import click
import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.text import few, printable, printable_json, write_csv

_MOST_FOR_RICH = 500
"""Rows that rich lays out in half a second; 12,000 symbols would take it 20 s."""


@contextmanager
def tolerate_closed_stdout() -> Iterator[None]:
    """Ignore that stdout has no reader any more: the exit code of what is done must not change."""
    with suppress(BrokenPipeError, SystemExit):  # click and rich turn the one into the other
        yield


def print_json(value: object) -> None:
    """Print one JSON value."""
    click.echo(printable_json(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()))


def print_json_rows(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as one JSON array with an object on each line, as they are read."""
    before = "[\n"
    for row in rows:
        click.echo(
            f"{before}  {printable_json(msgspec.json.encode(dict(zip(names, row, strict=True))).decode())}", nl=False
        )
        before = ",\n"
    click.echo("[]" if before == "[\n" else "\n]")


def print_rows(names: Sequence[str], rows: Iterable[Sequence[object]], form: str) -> None:
    """Print rows in the `form` csv, jsonl or table."""
    match form:
        case "csv":
            write_csv(sys.stdout, names, map(_harmless, rows) if sys.stdout.isatty() else rows)
        case "jsonl":
            for row in rows:
                click.echo(printable_json(msgspec.json.encode(dict(zip(names, row, strict=True))).decode()))
        case _:
            print_table(names, rows)


def _harmless(row: Sequence[object]) -> list[object]:
    """Return the cells with control characters escaped, for a terminal. A file gets them as they are."""
    return [printable(cell) if isinstance(cell, str) else cell for cell in row]


def print_table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table, numbers right-aligned. On a terminal headers are bold, and long texts wrap to fit its width."""
    cells = [list(row) for row in rows]
    texts = [[shown(cell) for cell in row] for row in cells]
    right = [any(_is_figure(row[number]) for row in cells) for number in range(len(names))]
    console = Console(highlight=False)
    headers = [name.replace("_", " ") for name in names]
    widths = (
        [_whole_width(*column) for column in zip(headers, right, zip(*texts, strict=True), strict=True)]
        if texts
        else []
    )
    if not _is_for_rich(texts) or _least(widths) > console.width:
        _print_aligned([list(names), *texts], right)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    whole = [width and max(width, cell_len(header)) for header, width in zip(headers, widths, strict=True)]
    if _least(whole) <= console.width:
        widths = whole
    for header, is_number, width in zip(headers, right, widths, strict=True):
        table.add_column(header, justify="right" if is_number else "left", overflow="fold", width=width)
    for row in texts:
        table.add_row(*map(Text, row))
    console.print(table)


_PERCENT = re.compile(r"(beyond )?[-+][0-9,.]+%")


def _is_figure(cell: object) -> bool:
    return isinstance(cell, (int, float)) or (isinstance(cell, str) and _PERCENT.fullmatch(cell) is not None)


_NARROWEST = 12
"""Characters that a column of text needs at least, if it may wrap."""
_GAP = 2


def _least(widths: Sequence[int | None]) -> int:
    """Return the least width of a table, given its columns' widths (None: may wrap)."""
    return sum((_NARROWEST if width is None else width) + _GAP for width in widths) - _GAP


_WHOLE = re.compile(r"[0-9-]{10} [0-9:]{5,8}|\S{0,12}|.{0,8}")
"""Times and short words: they do not wrap while longer texts can."""


def _whole_width(header: str, is_number: bool, cells: Sequence[str]) -> int | None:  # noqa: FBT001 - columns are zipped to it, in this order
    """Return the width of a column whose cells must not wrap (its header may); None if the cells may wrap too."""
    if is_number or all(map(_WHOLE.fullmatch, cells)):
        return max(cell_len(text) for text in (*header.split(" "), *cells))
    return None


def print_facts(facts: Mapping[str, object]) -> None:
    """Print a name and its value on each line."""
    texts = [[name, shown(value)] for name, value in facts.items()]
    if not _is_for_rich(texts):
        _print_aligned(texts, [False, False])
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in texts:
        table.add_row(Text(name), Text(text))
    Console(highlight=False).print(table)


def _is_for_rich(rows: Sequence[object]) -> bool:
    return sys.stdout.isatty() and len(rows) <= _MOST_FOR_RICH


def _print_aligned(rows: list[list[str]], right: Sequence[bool]) -> None:
    """Print rows in columns, without bold and without wrapping."""
    widths = [max(cell_len(row[number]) for row in rows) for number in range(len(right))]
    for row in rows:
        line = ""
        for text, width, is_number in zip(row, widths, right, strict=True):
            gap = " " * (width - cell_len(text))
            line += f"{gap}{text}  " if is_number else f"{text}{gap}  "
        sys.stdout.write(f"{line.rstrip()}\n")


def shown(value: object) -> str:
    """Return a value as people read it, with control characters escaped."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return few([shown(one) for one in value]) if value else "-"
    return printable(str(value))


def to_second(time: str | None) -> str | None:
    """Return a stored time as a table shows it: `2026-03-14 18:30:00`, in UTC."""
    return time and time[:19].replace("T", " ")


def to_minute(time: str | None) -> str | None:
    """Return a stored time as a narrow table shows it: `2026-03-14 18:30`, in UTC."""
    return time and time[:16].replace("T", " ")
