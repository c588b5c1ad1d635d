"""Print a command's data to stdout as JSON, CSV, JSON Lines or a table, with terminal control characters escaped."""

import os
import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli.options import Form
from pipeline.cli.table_layout import Column, aligned, fitted
from pipeline.json_text import encode_json, spaced_json
from pipeline.text import encodable, few, printable, printable_json, write_csv


def shows_colors() -> bool:
    """Return whether stdout is a terminal that shows colours, and whose user wants them."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def print_line(text: str = "") -> None:
    """Print one line for people."""
    click.echo(printable(text))


def print_json(value: object) -> None:
    """Print one JSON value. The name of a file that is not UTF-8 is in it as people see it."""
    try:
        text = spaced_json(value, indent=2)
    except UnicodeEncodeError:
        text = spaced_json(_with_encodable(value), indent=2)
    print_json_line(text)


def _with_encodable(value: object) -> object:
    match value:
        case str():
            return encodable(value)
        case Mapping():
            return {_with_encodable(name): _with_encodable(one) for name, one in value.items()}
        case list() | tuple():
            return [_with_encodable(one) for one in value]
    return value


def print_json_line(json_text: str) -> None:
    """Print a JSON value, given as text."""
    click.echo(printable_json(json_text))


def print_json_rows(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as one JSON array with an object on each line, as they are read."""
    before = "[\n"
    for row in rows:
        click.echo(f"{before}  {printable_json(encode_json(dict(zip(names, row, strict=True))).decode())}", nl=False)
        before = ",\n"
    click.echo("[]" if before == "[\n" else "\n]")


def print_rows(
    names: Sequence[str], rows: Iterable[Sequence[object]], form: Form, *, spare: Sequence[str] = ()
) -> None:
    """Print rows in a form; `spare` columns are omitted first from a table that does not fit."""
    match form:
        case Form.CSV | Form.EXCEL:
            if form is Form.EXCEL and not sys.stdout.isatty():
                sys.stdout.write("\N{ZERO WIDTH NO-BREAK SPACE}")  # U+FEFF: in UTF-8, the byte order mark
            if sys.stdout.isatty():
                write_csv(sys.stdout, [printable(name) for name in names], map(_harmless, rows))
            else:
                write_csv(sys.stdout, names, rows)
        case Form.JSONL:
            for row in rows:
                print_json_line(encode_json(dict(zip(names, row, strict=True))).decode())
        case _:
            print_table(names, rows, spare=spare, wide=form is Form.WIDE)


def _harmless(row: Sequence[object]) -> list[object]:
    """Return the cells with control characters escaped, for a terminal. A file gets them as they are."""
    return [printable(cell) if isinstance(cell, str) else cell for cell in row]


def print_table(
    names: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numeric: Collection[str] = (),
    spare: Sequence[str] = (),
    wide: bool = False,
    whole: str = "--wide shows all",
) -> None:
    """Print a table, numbers right-aligned, and so the columns named as `numeric`.

    On a terminal the header is bold, and unless `wide`, the table is made to fit: texts are cut, then columns omitted,
    the `spare` ones first, and the last of these before the others. A line below names some of the omitted ones, and
    what shows the `whole` table.
    """
    cells = [list(row) for row in rows]
    columns = [
        Column(
            shown(name),
            tuple(shown(row[number]) for row in cells),
            is_right=name in numeric or any(_is_figure(row[number]) for row in cells),
            spare=spare.index(name) + 1 if name in spare else 0,
        )
        for number, name in enumerate(names)
    ]
    if not sys.stdout.isatty():
        _write_lines(aligned(columns).lines)
        return
    console = Console(highlight=False)
    layout = aligned(columns) if wide else fitted(columns, console.width)
    console.print(Text(layout.lines[0], "bold"), soft_wrap=True)
    _write_lines(layout.lines[1:])
    if layout.omitted:
        console.print(Text(f"omitted to fit: {few(layout.omitted)} ({whole})", "dim"), soft_wrap=True)


def _write_lines(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")


_PERCENT = re.compile(r"(beyond )?[-+][0-9,.]+%")


def _is_figure(cell: object) -> bool:
    return isinstance(cell, (int, float)) or (isinstance(cell, str) and _PERCENT.fullmatch(cell) is not None)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print a name and its value on each line."""
    texts = {shown(name): shown(value) for name, value in facts.items()}
    if not sys.stdout.isatty():
        width = max(map(len, texts))
        _write_lines(f"{name:{width}}  {text}".rstrip() for name, text in texts.items())
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in texts.items():
        table.add_row(Text(name), Text(text))
    Console(highlight=False).print(table)


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
