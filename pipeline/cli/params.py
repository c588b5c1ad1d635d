"""What verbs are about, symbols and fields: as arguments and options, which a shell completes at the Tab key.

Completing is silent, whatever is wrong: a message would stand in the middle of what is being typed.
"""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from pipeline.cli.configuration import load_settings
from pipeline.cli.options import Options
from pipeline.errors import Trouble
from pipeline.model.fields import CATALOGUE
from pipeline.store.reader import open_for_reading

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

_MOST = 200
"""Symbols offered: more than anybody reads, and a letter more narrows them down."""
_BEGINNING_WITH = """
    SELECT symbol FROM symbols WHERE symbol >= :begun AND symbol < :begun || char(127) ORDER BY symbol LIMIT :most
"""


def _symbols(ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
    """Return the symbols of the record that begin like this, the first of them."""
    given = {name: of.params[name] for of in (ctx.find_root(), ctx) for name in _WHERE if of.params.get(name)}
    with suppress(Trouble, OSError, sqlite3.Error):
        database = load_settings(Options(**given, quiet=True)).database
        with open_for_reading(database) as db:
            rows = db.execute(_BEGINNING_WITH, {"begun": begun.upper(), "most": _MOST})
            return [symbol for (symbol,) in rows]
    return []


_WHERE = ("config", "database")


def _fields(_ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
    """Return the columns that begin like this, and the API's names where none does."""
    columns = [field.column for field in CATALOGUE if field.column.startswith(begun)]
    return columns or [field.name for field in CATALOGUE if field.name.startswith(begun)]


symbols_argument: Decorator = click.argument("symbols", nargs=-1, shell_complete=_symbols)
"""The symbols that a verb is about; none: all."""
fields_argument: Decorator = click.argument("fields", nargs=-1, shell_complete=_fields)


def symbol_argument(*, required: bool) -> Decorator:
    """Return the one symbol that a verb is about."""
    return click.argument("symbol", required=required, shell_complete=_symbols)


def field_option(text: str) -> Decorator:
    """Return the option for fields, each time for one more."""
    return click.option(
        "--field",
        "fields",
        multiple=True,
        shell_complete=_fields,
        help=f"{text} this column, or field as the API spells it; repeatable.",
    )
