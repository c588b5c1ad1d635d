"""Stored symbols: which symbols have snapshots, and batches of them that are small enough to read at once."""

import difflib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path

from pipeline.errors import Inconsistent
from pipeline.instants import text_for_people
from pipeline.model.invented import is_invented
from pipeline.model.symbols import Symbol, spellings
from pipeline.store.database import DatabaseError, command_to_collect
from pipeline.store.reader import NoData
from pipeline.store.schema import connect_checked
from pipeline.text import cut, encodable, printable, shown

_ROWS_AT_ONCE = 20_000
"""Snapshots of a batch: between two batches no reader holds the file."""
_LONGEST = 40
"""Characters of a symbol in a damaged file."""
_FEW_DAYS = 50
"""In fewer days, the snapshots of each symbol are not counted: under a horizon that takes longer than reading them."""


class SymbolNotFound(DatabaseError):
    """A symbol has no snapshot."""

    def __init__(
        self,
        problem: str,
        *,
        remedy: str | None = None,
        symbol: str = "",
        why: str | None = None,
        near: Sequence[str] = (),
    ) -> None:
        """Take which symbol it is, why it has none, where that is known, and similar ones that have one."""
        super().__init__(problem if why is None else f"{problem}: {why}", remedy=remedy)
        self.lacking = problem
        self.symbol = symbol
        self.why = why
        self.near = near

    def because(self, why: str) -> "SymbolNotFound":
        """Return the same error with a reason."""
        return SymbolNotFound(self.lacking, remedy=self.remedy, symbol=self.symbol, why=why, near=self.near)


_HAS_SNAPSHOT = """
    (last_overview IS NOT NULL OR EXISTS (SELECT 1 FROM snapshots WHERE snapshots.symbol = symbols.symbol))
"""
"""The condition for a symbol that has a snapshot. Under a horizon, to count them would take long."""


UNLISTED = """
    SELECT (SELECT own.symbol FROM main.{table} AS own
             WHERE own.symbol > listed.symbol
               AND own.symbol < coalesce((SELECT later.symbol FROM main.symbols AS later
                                           WHERE later.symbol > listed.symbol ORDER BY later.symbol LIMIT 1), x'')
             LIMIT 1) AS unlisted
      FROM (SELECT '' AS symbol UNION ALL SELECT symbol FROM main.symbols) AS listed
     WHERE unlisted IS NOT NULL
"""
"""The symbols between two rows of `symbols` that a table has rows of: a seek for each row. A blob is after any text."""
UNLISTED_VIEW = "unlisted_symbols"
"""Where the tables are seen up to a horizon, the view of such symbols, whenever they were observed."""


def stored_symbols(db: sqlite3.Connection) -> list[str]:
    """Return the symbols that have a snapshot, in order."""
    return [symbol for (symbol,) in db.execute(f"SELECT symbol FROM symbols WHERE {_HAS_SNAPSHOT} ORDER BY symbol")]


def check_symbols(db: sqlite3.Connection, path: Path, symbols: Iterable[str] = ()) -> list[str]:
    """Return the symbols, in upper case, sorted and without duplicates.

    Raise NoData if the database holds no snapshot at all, SymbolNotFound, with similar symbols that have one, for a
    symbol that has none, and Inconsistent for one that has some and is not listed.
    """
    wanted = sorted({symbol.upper() for symbol in symbols})
    check_any_stored(db, path)
    query = f"SELECT symbol FROM symbols WHERE symbol IN (SELECT value FROM json_each(?)) AND {_HAS_SNAPSHOT}"
    found = {symbol for (symbol,) in db.execute(query, (json.dumps(wanted),))}
    for symbol in wanted:
        if symbol not in found:
            raise not_found(db, symbol, stored_symbols(db))
    return wanted


def check_any_stored(db: sqlite3.Connection, path: Path) -> None:
    """Raise NoData if the database holds no snapshot at all, Inconsistent if it has some and lists no symbol."""
    if not db.execute(f"SELECT EXISTS (SELECT 1 FROM symbols WHERE {_HAS_SNAPSHOT})").fetchone()[0]:
        check_listed(db)
        remedy = f"store some with {command_to_collect(path)} or pipeline import"
        raise NoData(f"{path} holds no snapshot yet", remedy=remedy)


def _refuse_unlisted(row: Sequence[str] | None) -> None:
    """Raise Inconsistent for a symbol that has rows elsewhere, and none in `symbols`: answers would leave it out."""
    if row is not None:
        raise Inconsistent(f"symbols has no row for {cut(printable(row[0]), _LONGEST)}: see pipeline doctor --deep")


def check_listed(db: sqlite3.Connection) -> None:
    """Raise Inconsistent if a symbol that was observed has no row in `symbols`, by which all are found.

    Of one whose first snapshot is stored meanwhile, a statement sees both rows or none.
    """
    has_view = db.execute("SELECT 1 FROM sqlite_temp_master WHERE name = ?", (UNLISTED_VIEW,)).fetchone() is not None
    plain = (UNLISTED.format(table=table) for table in ("snapshots", "uncovered"))
    for query in [f"SELECT unlisted FROM {UNLISTED_VIEW}"] if has_view else plain:
        _refuse_unlisted(db.execute(f"{query} LIMIT 1").fetchone())


_UNLISTED_ONE = """
    SELECT symbol FROM snapshots
     WHERE symbol = ? AND NOT EXISTS (SELECT 1 FROM symbols WHERE symbols.symbol = snapshots.symbol)
     LIMIT 1
"""


def not_found(db: sqlite3.Connection, symbol: str, known: list[str]) -> SymbolNotFound:
    """Return the error for a symbol without a snapshot, which names similar ones that have some.

    It says so of one that the API does not cover, and of one that is listed or was requested.
    """
    symbol = encodable(symbol)
    _refuse_unlisted(db.execute(_UNLISTED_ONE, (symbol,)).fetchone())
    why = next(filter(None, (_why_not(db, spelled) for spelled in spellings(Symbol(symbol)))), None)
    near = difflib.get_close_matches(symbol, known, n=3, cutoff=0.5)
    near = near or [one for one in known if one.startswith(symbol[:1])][:3]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return SymbolNotFound(
        f"no snapshot of {shown(symbol)}",
        remedy=f"{hint}pipeline symbols --all lists all {len(known):,}",
        symbol=symbol,
        why=why,
        near=near,
    )


def not_observed(*, listed: bool) -> str:
    """Return why a symbol has no snapshot that was listed, or else requested, and of which nothing was observed."""
    return f"it is {'listed' if listed else 'requested'}, and was not observed yet"


def _why_not(db: sqlite3.Connection, symbol: str) -> str | None:
    """Return why a symbol has no snapshot; None if nothing is known of it."""
    row = db.execute("SELECT state, since FROM symbols WHERE symbol = ?", (symbol,)).fetchone()
    listing = "SELECT EXISTS (SELECT 1 FROM universe WHERE symbol = ? AND until IS NULL)"
    (listed,) = db.execute(listing, (symbol,)).fetchone()
    state, since = ("not requested", None) if row is None else row
    if state != "unknown":
        return not_observed(listed=listed) if listed or state is None else None
    since = text_for_people(since or "")
    return f"{'it is listed, but ' if listed else ''}the API has not covered it since {since}"


def symbol_batches(
    db: sqlite3.Connection, symbols: Sequence[str] | None, since: str, until: str
) -> Iterator[list[str]]:
    """Yield the symbols in batches whose snapshots observed in an interval can be read at once.

    `since` and `until` are instants as text; an empty `since` has no beginning. None: all symbols ever requested.
    """
    days = (_day(until) - _day(since)).days + 2
    most = days if days < _FEW_DAYS else "snapshots"
    query = f"SELECT symbol, {most} FROM symbols"
    if symbols is None:
        counts = db.execute(query).fetchall()
    else:
        wanted = "JOIN json_each(?) AS wanted ON wanted.value = symbol ORDER BY symbol"
        counts = db.execute(f"{query} {wanted}", (json.dumps(symbols),)).fetchall()
    batch: list[str] = []
    rows = 0
    for symbol, snapshots in counts:
        rows += min(snapshots, days) + 1  # about one a day at most; where it is more, a batch is larger
        batch.append(symbol)
        if rows >= _ROWS_AT_ONCE:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


def _day(text: str) -> date:
    return date.fromisoformat(text[:10]) if text else date.min


def holds_invented_data(database: Path) -> bool | None:
    """Return whether a database holds companies of the sandbox; None if it holds none at all, or cannot be read.

    The first company tells: those of the sandbox and real ones are kept apart.
    """
    with suppress(DatabaseError), connect_checked(database) as (db, _), suppress(sqlite3.OperationalError):
        return is_first_company_invented(db)
    return None


def is_first_company_invented(db: sqlite3.Connection) -> bool | None:
    """Return whether the sandbox made up the first company; None if there is none."""
    row = db.execute("SELECT description FROM profiles ORDER BY id LIMIT 1").fetchone()
    return None if row is None else is_invented(row[0])
