"""Run queries for commands and print their results: a table for people; CSV, JSON or JSON Lines for programs."""

import math
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.cli.configuration import load_silently
from pipeline.cli.options import Form, Options
from pipeline.cli.output import print_json_rows, print_rows, print_table, to_minute, to_second
from pipeline.cli.readable import readable
from pipeline.model.fields import Kind
from pipeline.model.renames import Rename
from pipeline.model.symbols import Symbol, spellings
from pipeline.query.columnar import as_cells
from pipeline.query.companies import unwritten_renames
from pipeline.query.history import History
from pipeline.query.results import Answer, Counted
from pipeline.store.reader import open_for_reading
from pipeline.store.stored_symbols import SymbolNotFound, not_observed
from pipeline.text import cut, few

Show = Callable[[Any], object]


@contextmanager
def open_history(options: Options) -> Iterator[History]:
    """Open the configured database for queries. Raise NoData if it holds no snapshot yet."""
    settings = load_silently(options)
    with readable(settings.database, options) as database, History.open(database) as history:
        history.check_symbols([])
        if settings.renames:
            _say_unwritten(database, settings.renames, options)
        with told_what_is_listed(settings.all_symbols):
            yield history


@contextmanager
def told_what_is_listed(configured: Collection[Symbol]) -> Iterator[None]:
    """Say of a symbol without a snapshot that it is listed, where the record has not heard of it yet."""
    try:
        yield
    except SymbolNotFound as error:
        if error.why is not None or not set(spellings(Symbol(error.symbol))) & set(configured):
            raise
        raise error.because(not_observed(listed=True)) from None


def _say_unwritten(database: Path, renames: Iterable[Rename], options: Options) -> None:
    """Print which configured renames the database does not have: its answers do not follow them."""
    with open_for_reading(database) as db:
        unwritten = unwritten_renames(db, renames)
    if unwritten:
        options.say(f"renames of {few(unwritten)} are not in the database yet: collect, import or run writes them")


def print_result(
    answer: Answer[Any],
    *,
    form: Form,
    as_json: bool,
    hidden: Collection[str] = (),
    shown: Mapping[str, Show] | None = None,
    shortened: Collection[str] = (),
    headers: Mapping[str, str] | None = None,
    spare: Sequence[str] = (),
    whole: str = "--wide shows all",
) -> int:
    """Print an answer in a form or as one JSON value, and return the number of rows.

    A table formats the columns in `shown` and renames those in `headers`. Unless it is wide, it omits the `hidden`
    columns, cuts times to minutes and the `shortened` columns to a few words, and on a terminal that is too narrow
    omits the `spare` columns, too, and says what shows the `whole` table.
    """
    rows = Counted(answer.rows())
    if as_json:
        print_json_rows(answer.names, rows)
    elif form is Form.JSONL:
        print_rows(answer.names, rows, form)
    elif not form.is_table:
        print_rows(answer.names, as_cells(answer.columns, rows), form)
    else:
        _print_table(
            answer,
            as_cells(answer.columns, rows),
            hidden=() if form is Form.WIDE else hidden,
            shown=_shown(answer, form, shown or {}, shortened),
            headers=headers or {},
            spare=spare,
            form=form,
            whole=whole,
        )
    return rows.count


def _print_table(
    answer: Answer[Any],
    rows: Iterable[Sequence[Any]],
    *,
    hidden: Collection[str],
    shown: Mapping[str, Show],
    headers: Mapping[str, str],
    spare: Sequence[str],
    form: Form,
    whole: str,
) -> None:
    kept = [(number, shown[column.name]) for number, column in enumerate(answer.columns) if column.name not in hidden]
    header = {column.name: headers.get(column.name, column.name.removesuffix("_at")) for column in answer.columns}
    cells = [[show(row[number]) for number, show in kept] for row in rows]
    if cells:
        print_table(
            [header[answer.columns[number].name] for number, _ in kept],
            cells,
            numeric=[header[column.name] for column in answer.columns if column.kind in (Kind.INTEGER, Kind.REAL)],
            spare=[header[name] for name in spare],
            wide=form is Form.WIDE,
            whole=whole,
        )


def _shown(answer: Answer[Any], form: Form, shown: Mapping[str, Show], shortened: Collection[str]) -> dict[str, Show]:
    """Return how a table formats each column."""
    is_wide = form is Form.WIDE
    at = to_second if is_wide else to_minute
    formats: dict[str, Show] = {column.name: at if column.kind == Kind.INSTANT else _same for column in answer.columns}
    return {**formats, **shown, **({} if is_wide else dict.fromkeys(shortened, _short))}


_LONGEST_SHORTENED = 40


def _short(value: object) -> object:
    """Return a text cut for a table: descriptions reach 2,000 characters."""
    return cut(value, _LONGEST_SHORTENED) if isinstance(value, str) else value


def _same(value: object) -> object:
    return value


def percent(fraction: float | None) -> str | None:
    """Return a relative change in percent: `+5.1%`, `+2,000%`. ("20 times" misleads if the old value was below 0.)"""
    if fraction is None:
        return None
    if abs(fraction) < _BEYOND_ALL:
        return f"{fraction:+.1%}" if abs(fraction) < _WHOLE_PERCENT else f"{fraction:+,.0%}"
    return f"beyond {math.copysign(_BEYOND_ALL, fraction):+,.0%}"


_WHOLE_PERCENT, _BEYOND_ALL = 10, 10_000


def ago(hours: float | None) -> str | None:
    """Return a span in its largest sensible unit: `12 min`, `27 h`, `5 d`."""
    if hours is None:
        return None
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.0f} d"


def say_nothing_found(text: str) -> None:
    """Print why an answer is empty to stderr; the command then ends with 1."""
    Options().error(text)
    sys.stdout.flush()
