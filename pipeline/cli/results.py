"""What the verbs that ask have in common: the record they ask, and how they print an answer."""

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from pipeline.cli.configuration import load_settings
from pipeline.cli.options import Options
from pipeline.cli.output import print_json_rows, print_rows
from pipeline.query.history import History
from pipeline.query.results import Answer

Show = Callable[[Any], object]


@contextmanager
def open_history(options: Options) -> Iterator[History]:
    """Open the configured database for queries. Raise NoData where it holds no snapshot yet."""
    with History.open(load_settings(options).database) as record:
        record.check_symbols([])
        yield record


def print_result(
    answer: Answer[Any],
    *,
    form: str,
    as_json: bool,
    hidden: Iterable[str] = (),
    shown: Mapping[str, Show] | None = None,
    headers: Mapping[str, str] | None = None,
) -> int:
    """Print an answer as programs or people read it, and return how many rows it has.

    A table leaves out the `hidden` columns, shows others as `shown` says, and instants to the minute.
    """
    rows = _Counted(answer.rows())
    if as_json:
        print_json_rows(answer.names, rows)
    elif form == "jsonl":
        print_rows(answer.names, rows, form)
    elif form == "csv":
        print_rows(answer.names, _spelled(answer, rows), form)
    else:
        _print_table(answer, _spelled(answer, rows), frozenset(hidden), shown or {}, headers or {})
    return rows.count


class _Counted:
    """Counts rows as they pass."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for row in self._rows:
            self.count += 1
            yield row


def _spelled(answer: Answer[Any], rows: Iterable[tuple[Any, ...]]) -> Iterable[Sequence[Any]]:
    """Return rows for cells: a value that was received as no text and no number is the JSON it was."""
    varied = [column.kind == "json" for column in answer.columns]
    if not any(varied):
        return rows
    return (
        [
            json.dumps(value, ensure_ascii=False) if varies and type(value) in _NESTED else value
            for value, varies in zip(row, varied, strict=True)
        ]
        for row in rows
    )


_NESTED = frozenset({bool, dict, list})


def _print_table(
    answer: Answer[Any],
    rows: Iterable[Sequence[Any]],
    hidden: frozenset[str],
    shown: Mapping[str, Show],
    headers: Mapping[str, str],
) -> None:
    kept: list[tuple[int, Show]] = [
        (number, shown.get(column.name, _minute if column.kind == "instant" else _same))
        for number, column in enumerate(answer.columns)
        if column.name not in hidden
    ]
    names = [headers.get(name := answer.columns[number].name, name.removesuffix("_at")) for number, _ in kept]
    cells = [[show(row[number]) for number, show in kept] for row in rows]
    if cells:
        print_rows(names, cells, "table")


def _minute(text: str | None) -> str | None:
    """Return an instant as a table has room for it: to the minute, UTC."""
    return text and text[:16].replace("T", " ")


def _same(value: object) -> object:
    return value


def percent(fraction: float | None) -> str | None:
    """Return a relative change as people read it. Percent however large: "times" would mislead from below zero."""
    if fraction is None:
        return None
    if abs(fraction) < _BEYOND_ALL:
        return f"{fraction:+.1%}" if abs(fraction) < _WHOLE_PERCENT else f"{fraction:+,.0%}"
    return f"beyond {math.copysign(_BEYOND_ALL, fraction):+,.0%}"


_WHOLE_PERCENT, _BEYOND_ALL = 10, 10_000


def ago(hours: float | None) -> str | None:
    """Return a span as people read it."""
    if hours is None:
        return None
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.0f} d"


def say_nothing_found(text: str) -> None:
    """Say that an answer is empty, and why; the verb ends with 1."""
    click.echo(f"pipeline: {text}", err=True)
    sys.stdout.flush()


def suspicious(record: History, symbol: str) -> dict[str, list[str]]:
    """Return what is odd about a symbol's snapshots, by when they were observed."""
    odd: dict[str, list[str]] = {}
    answer = record.changes([symbol], suspicious=True)
    for row in answer.rows():
        change = dict(zip(answer.names, row, strict=True))
        odd.setdefault(change["observed_at"], []).append(f"{change['field']}: {change['suspicion']}")
    return odd
