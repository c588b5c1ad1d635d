"""Diagnosis: whether a database is damaged, so that an error while it is read is the file's and not this program's.

Most of what a damaged file holds, SQLite refuses itself. Not so a number where a text belongs, or a table without one
of its columns: what reads those ends with a TypeError as likely as not.
"""

import sqlite3
import time
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from pipeline.store.in_use import in_use
from pipeline.text import cut, printable

UNEXPECTED = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""The errors of code that meets impossible values. The file is then checked, since a bug raises the same errors."""
NOT_UTF8 = "a text that is not UTF-8"
"""In a row, or in the schema: SQLite's own message about that cannot be decoded, either."""
LARGEST = 1 << 30
"""Bytes. A check of a larger file takes too long for somebody who waits for an answer."""
_LONGEST_SECONDS, _INSTRUCTIONS = 60.0, 20_000
"""Which that takes at most of a sound file; and instructions of SQLite's between two looks at the clock."""
_LONGEST = 100
_INCONSISTENT = {
    """SELECT symbol FROM symbols
        WHERE snapshots <> (SELECT count(*) FROM snapshots AS own WHERE own.symbol = symbols.symbol) LIMIT 1""": (
        "not all snapshots are there of"
    ),
    "SELECT symbol FROM snapshots WHERE symbol NOT IN (SELECT symbol FROM symbols) LIMIT 1": "symbols has no row for",
}
"""Queries for a symbol whose rows do not go together, and what that means."""


_opened: dict[Path, None] = {}
"""The databases that this process has opened: one of them may be the cause of whatever ends it."""


def note_opened(path: Path) -> None:
    """Note that a database is opened."""
    _opened[path] = None


def damaged_one() -> tuple[Path, str] | None:
    """Return a database that this process has opened and that is damaged, and what is damaged in it; None without."""
    for path in _opened:
        if (found := damage_in(path)) is not None:
            return path, found
    return None


def unchecked_one() -> Path | None:
    """Return a database that this process has opened and that is too large to be checked here, None without."""
    return next((path for path in _opened if _size(path) > LARGEST), None)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def damage_in(path: Path) -> str | None:
    """Return what a quick check finds damaged in a database, in a few words.

    None if it finds nothing, or the file is empty, cannot be opened, or takes too long to be checked here.
    """
    try:
        files = [file.stat() for file in (path, path.with_name(f"{path.name}-wal")) if file.exists()]
    except OSError:
        return None
    if not files or not 0 < files[0].st_size <= LARGEST:
        return None
    with in_use((files[0].st_dev, files[0].st_ino)):
        return _damage_in(path.absolute(), tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in files))


@lru_cache(maxsize=8)  # a server is asked again and again
def _damage_in(path: Path, _state: tuple[tuple[int, int, int], ...]) -> str | None:
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1)) as db:
            deadline = time.monotonic() + _LONGEST_SECONDS
            db.set_progress_handler(lambda: time.monotonic() > deadline, _INSTRUCTIONS)
            db.execute("PRAGMA trusted_schema = OFF")
            (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
            found = found if found != "ok" else _inconsistency(db)
    except UnicodeDecodeError:
        found = NOT_UTF8
    except sqlite3.DatabaseError as error:
        found = str(error) if _is_damage(error) else None
    return None if found is None else cut(printable(" ".join(found.split())), _LONGEST)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether it says that the file is damaged, or that it lacks a table or column which its version has."""
    name = getattr(error, "sqlite_errorname", "") or ""
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or name == "SQLITE_ERROR"


def _inconsistency(db: sqlite3.Connection) -> str | None:
    """Return which rows do not go together, None if all do, or there are no tables yet."""
    if db.execute("PRAGMA user_version").fetchone() == (0,):
        return None
    for table, *_ in db.execute("PRAGMA foreign_key_check"):
        return f"a row of {table} refers to one that is missing"
    for query, what in _INCONSISTENT.items():
        for (symbol,) in db.execute(query):
            return f"{what} {symbol}"
    return None
