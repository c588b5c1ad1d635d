"""Arguments and options for symbols and fields, with shell completion.

Completion never prints an error: it would appear in the middle of the line that is being typed.
"""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from pipeline.cli.configuration import load_silently
from pipeline.cli.options import Options
from pipeline.errors import Trouble
from pipeline.model.fields import CATALOGUE
from pipeline.store.reader import open_for_reading

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

_OFFERED = 200
"""Symbols offered at most: typing another letter narrows them down."""
_SYMBOLS_WITH_PREFIX = """
    SELECT symbol FROM symbols WHERE symbol >= :prefix AND symbol < :prefix || char(127) ORDER BY symbol LIMIT :offered
"""


def _complete_symbols(ctx: click.Context, _param: click.Parameter, prefix: str) -> list[str]:
    """Return the first symbols in the database that start with the prefix."""
    given = {
        name: level.params[name]
        for level in (ctx.find_root(), ctx)
        for name in ("config", "database")
        if level.params.get(name)
    }
    with suppress(Trouble, OSError, sqlite3.Error):
        database = load_silently(Options(**given, quiet=True)).database
        with open_for_reading(database) as db:
            rows = db.execute(_SYMBOLS_WITH_PREFIX, {"prefix": prefix.upper(), "offered": _OFFERED})
            return [symbol for (symbol,) in rows]
    return []


def _complete_fields(_ctx: click.Context, _param: click.Parameter, prefix: str) -> list[str]:
    """Return the columns that start with the prefix, or the API's field names if no column does."""
    columns = [field.column for field in CATALOGUE if field.column.startswith(prefix)]
    return columns or [field.name for field in CATALOGUE if field.name.startswith(prefix)]


symbols_argument: Decorator = click.argument("symbols", nargs=-1, shell_complete=_complete_symbols)
"""Any number of symbols; none means all."""
fields_argument: Decorator = click.argument("fields", nargs=-1, shell_complete=_complete_fields)
"""Any number of fields, by column or by the API's name; none means the command's default."""


def _complete_symbols_or_fields(ctx: click.Context, param: click.Parameter, prefix: str) -> list[str]:
    """Return the fields and the symbols that start with the prefix."""
    return [*_complete_fields(ctx, param, prefix), *_complete_symbols(ctx, param, prefix)]


symbols_or_fields_argument: Decorator = click.argument(
    "words", nargs=-1, metavar="[FIELD|SYMBOL]...", shell_complete=_complete_symbols_or_fields
)
"""Any number of fields and symbols, which the command tells apart."""


symbol_option: Decorator = click.option(
    "--symbol",
    "symbols",
    multiple=True,
    metavar="SYMBOL",
    shell_complete=_complete_symbols,
    help="Only this symbol. Repeatable.",
)
"""Any number of symbols; none means all."""


def symbol_argument(*, required: bool) -> Decorator:
    """Return the argument for one symbol."""
    return click.argument("symbol", required=required, shell_complete=_complete_symbols)


def field_option(action: str) -> Decorator:
    """Return the repeatable option for fields; its help is `action` and what a field is."""
    return click.option(
        "--field",
        "fields",
        multiple=True,
        metavar="FIELD",
        shell_complete=_complete_fields,
        help=f"{action} this field: a column (pe_ratio) or the API's name (PERatio). Repeatable.",
    )
