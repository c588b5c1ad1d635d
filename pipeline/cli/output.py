"""What verbs print: one JSON value, rows for programs, a table for people; nothing in it acts on a terminal."""

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDE = 10_000
"""Columns of a table that goes to a file or a pipe: nothing is folded there."""


def print_json(value: object) -> None:
    """Print one JSON value."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_rows(names: Sequence[str], rows: Iterable[Sequence[object]], form: str) -> None:
    """Print rows as `csv` or `jsonl`, or as a `table`."""
    match form:
        case "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(names)
            writer.writerows([_harmless(cell) for cell in row] for row in rows)
        case "jsonl":
            for row in rows:
                click.echo(msgspec.json.encode(dict(zip(names, row, strict=True))))
        case _:
            print_table(names, rows)


def print_table(names: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Print a table that fits the terminal: numbers to the right, long texts folded."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    cells = [list(row) for row in rows]
    for number, name in enumerate(names):
        is_number = any(isinstance(row[number], (int, float)) for row in cells)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(shown(cell)) for cell in row))
    console().print(table)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names and values, a line each."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, Text(shown(value)))
    console().print(table)


def console() -> Console:
    """Return the console of stdout. What goes elsewhere is neither coloured nor folded."""
    width = None if sys.stdout.isatty() else WIDE
    return Console(file=sys.stdout, width=width, highlight=False, soft_wrap=False)


def shown(value: object) -> str:
    """Return a value as people read it, harmless to a terminal."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return few([shown(one) for one in value]) if value else "-"
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def few(names: Sequence[str], most: int = 8) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def moment(text: str | None) -> str | None:
    """Return an instant of the file as a table shows it: to the second, UTC."""
    return text and text[:19].replace("T", " ")


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _harmless(cell: object) -> object:
    """Return a cell that a spreadsheet will not run: a text that begins like a formula is quoted, a number is not."""
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    return cell
