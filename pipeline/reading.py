"""Reading: the file opened for questions, once it is known to be a record of ours, and of this version."""

import difflib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from pipeline.database import DatabaseError, opened
from pipeline.migrate import check, shipped

_ROWS_AT_ONCE = 20_000
"""Rows of a long question read at a time: between two such, the file is not held."""


class NoRecord(DatabaseError):
    """There is nothing to read yet."""


class NotKept(DatabaseError):
    """There is no snapshot of a symbol."""


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file read-only. Raise DatabaseError where it is absent, empty, not ours, or of another version."""
    if not path.exists():
        sandbox = path.with_name("sandbox.db")
        beside = f" (the sandbox's lies beside it: --database {sandbox})" if sandbox.exists() else ""
        raise NoRecord(f"there is no record yet at {path}: pipeline collect begins one{beside}")
    with opened(path, "ro") as db:
        migrations = shipped()
        version = check(db, path, migrations)
        if version == 0:
            raise NoRecord(f"{path} is empty: pipeline collect begins the record")
        if version < len(migrations):
            raise DatabaseError(f"{path} is of an older version: the next pipeline collect brings it up to date")
        yield db


def kept_symbols(db: sqlite3.Connection) -> list[str]:
    """Return the symbols of which a snapshot is kept, in order."""
    return [symbol for (symbol,) in db.execute("SELECT symbol FROM symbols WHERE snapshots > 0")]


def check_kept(db: sqlite3.Connection, path: Path, symbols: Iterable[str] = ()) -> list[str]:
    """Return the symbols, in order and upper case.

    Raise NoRecord if no snapshot is kept at all; NotKept, naming the nearest that are, for a symbol of which none is.
    """
    wanted = sorted({symbol.upper() for symbol in symbols})
    if not db.execute("SELECT EXISTS (SELECT 1 FROM symbols WHERE snapshots > 0)").fetchone()[0]:
        raise NoRecord(f"{path} holds no snapshot yet: pipeline collect makes the first, pipeline import takes some in")
    query = "SELECT symbol FROM symbols WHERE snapshots > 0 AND symbol IN (SELECT value FROM json_each(?))"
    found = {symbol for (symbol,) in db.execute(query, (json.dumps(wanted),))}
    for symbol in wanted:
        if symbol not in found:
            raise NotKept(_why_not_kept(symbol, kept_symbols(db)))
    return wanted


def _why_not_kept(symbol: str, known: list[str]) -> str:
    near = difflib.get_close_matches(symbol, known, n=3, cutoff=0.5)
    near = near or [one for one in known if one.startswith(symbol[:1])][:3]
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"there is no snapshot of {symbol[:40]}{hint} ({len(known):,} symbols are kept: pipeline symbols)"


def in_portions(db: sqlite3.Connection, symbols: Sequence[str] | None, since: str, until: str) -> Iterator[list[str]]:
    """Yield the symbols so many at a time as a portion of rows is kept of in those days. None: all ever asked."""
    query = "SELECT symbol, snapshots FROM symbols"
    if symbols is None:
        kept = db.execute(query).fetchall()
    else:
        wanted = "JOIN json_each(?) AS wanted ON wanted.value = symbol ORDER BY symbol"
        kept = db.execute(f"{query} {wanted}", (json.dumps(symbols),)).fetchall()
    days = (_day(until) - _day(since)).days + 2
    some: list[str] = []
    rows = 0
    for symbol, snapshots in kept:
        rows += min(snapshots, days) + 1
        some.append(symbol)
        if rows >= _ROWS_AT_ONCE:
            yield some
            some, rows = [], 0
    if some:
        yield some


def _day(text: str) -> date:
    return date.fromisoformat(text[:10]) if text else date.min
