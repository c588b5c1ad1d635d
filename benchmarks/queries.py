"""Queries to a database, and to rows of JSON, which are usually stored instead. Run as a process: prints JSON."""

import argparse
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from pipeline.model.symbols import Symbol
from pipeline.query.history import History
from pipeline.store.reader import open_for_reading
from pipeline.transfer.export import Selection, originals

FIELDS = ("pe_ratio", "eps", "revenue_ttm")
FIELD = "pe_ratio"
SECTOR = "TECHNOLOGY"
_TIMES = 9


@dataclass(frozen=True, slots=True)
class Timings:
    """How many milliseconds each query took when repeated, and how many rows the long results had."""

    history: float
    as_of: float
    as_of_objects: float
    as_of_weekend: float
    changes: float
    history_locked: float
    as_of_locked: float
    changes_locked: float
    latest: float
    restatements: float
    history_rows: int
    history_locked_rows: int
    as_of_rows: int
    changes_rows: int
    latest_rows: int
    restatements_rows: int


@dataclass(frozen=True, slots=True)
class Compared:
    """The same snapshots in our tables and as rows of JSON: bytes of the rows, and milliseconds of queries."""

    snapshots: int
    bytes_raw: int
    history_ours: float
    history_raw: float
    as_of_ours: float
    as_of_raw: float
    as_of_raw_seeking: float


def time_queries(database: Path) -> Timings:
    """Return how long it takes to find what was known on a day, and what changed on it."""
    with History.open(database) as history:
        day = _middle(history)
        saturday = day + timedelta(days=3)
        symbols = history.symbols()
        symbol = symbols[len(symbols) // 2]
        as_of = history.as_of(day, fields=FIELDS)
        weekend = history.as_of(saturday, fields=FIELDS)
        of_one = history.history(symbol, [FIELD])
        changes = history.changes(since=day, until=day)
        return Timings(
            **_time_locked(database, day, symbol),
            history=_milliseconds(lambda: list(of_one)),
            as_of=_milliseconds(lambda: list(as_of.rows())),
            as_of_objects=_milliseconds(lambda: list(as_of)),
            as_of_weekend=_milliseconds(lambda: list(weekend.rows())),
            changes=_milliseconds(lambda: list(changes.rows())),
            latest=_milliseconds(lambda: _latest(database)),
            restatements=_milliseconds(lambda: _restatements(database, day)),
            history_rows=len(list(of_one)),
            as_of_rows=len(list(as_of)),
            changes_rows=len(list(changes)),
            latest_rows=len(_latest(database)),
            restatements_rows=len(_restatements(database, day)),
        )


def _time_locked(database: Path, day: date, symbol: str) -> dict[str, Any]:
    """Return the same of a history that is locked at the day, half of whose snapshots it hides."""
    with History.open(database, until=day) as history:
        as_of = history.as_of(day, fields=FIELDS)
        of_one = history.history(symbol, [FIELD])
        changes = history.changes(since=day, until=day)
        return {
            "history_locked": _milliseconds(lambda: list(of_one)),
            "as_of_locked": _milliseconds(lambda: list(as_of.rows())),
            "changes_locked": _milliseconds(lambda: list(changes.rows())),
            "history_locked_rows": len(list(of_one)),
        }


def _middle(history: History) -> date:
    """Return a Wednesday in the middle of the recorded days."""
    snapshots = list(history.history(history.symbols()[0], [FIELD]))
    day = snapshots[len(snapshots) // 2].observed_at.date()
    return day + timedelta(days=2 - day.weekday())


def _latest(database: Path) -> list[Any]:
    """Return the rows of a typical SQL query on the views."""
    query = "SELECT symbol, name, market_capitalization, pe_ratio FROM latest_overviews WHERE sector = ?"
    return _rows(database, query, SECTOR)


def _restatements(database: Path, day: date) -> list[Any]:
    """Return the restatements observed in the 30 days that begin with a day."""
    query = "SELECT * FROM restatements WHERE observed_at >= ? AND observed_at < ?"
    return _rows(database, query, day.isoformat(), (day + timedelta(days=30)).isoformat())


def _rows(database: Path, query: str, *parameters: str) -> list[Any]:
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(query, parameters).fetchall()


_AS_OF = """
    SELECT symbol, max(observed_at), json_extract(body, '$.PERatio'), json_extract(body, '$.EPS'),
           json_extract(body, '$.RevenueTTM')
      FROM answers WHERE observed_at <= ? GROUP BY symbol
"""
_AS_OF_SEEKING = """
    SELECT symbol, observed_at, json_extract(body, '$.PERatio'), json_extract(body, '$.EPS'),
           json_extract(body, '$.RevenueTTM')
      FROM json_each(?) AS wanted
     CROSS JOIN answers ON symbol = wanted.value AND observed_at = (
           SELECT max(observed_at) FROM answers AS earlier WHERE earlier.symbol = wanted.value AND observed_at <= ?)
"""
_HISTORY = "SELECT observed_at, json_extract(body, '$.PERatio') FROM answers WHERE symbol = ? ORDER BY observed_at"


def compare(database: Path, companies: int) -> Compared:
    """Write the first companies' documents as rows of JSON, and time the same queries on both."""
    with tempfile.TemporaryDirectory(dir=database.parent) as folder, History.open(database) as history:
        raw, day = Path(folder, "raw.db"), _middle(history)
        at, symbols = f"{day}T23:59:59.999Z", history.symbols()[:companies]
        snapshots = _write_raw(database, raw, symbols)
        of_one, as_of = history.history(symbols[0], [FIELD]), history.as_of(day, symbols, FIELDS)
        with closing(sqlite3.connect(raw)) as db:
            db.execute("PRAGMA cache_size = -65536")
            db.execute("PRAGMA mmap_size = 1099511627776")
            return Compared(
                snapshots,
                raw.stat().st_size,
                history_ours=_milliseconds(lambda: list(of_one.rows())),
                history_raw=_milliseconds(lambda: db.execute(_HISTORY, symbols[:1]).fetchall()),
                as_of_ours=_milliseconds(lambda: list(as_of.rows())),
                as_of_raw=_milliseconds(lambda: db.execute(_AS_OF, (at,)).fetchall()),
                as_of_raw_seeking=_milliseconds(
                    lambda: db.execute(_AS_OF_SEEKING, (json.dumps(symbols), at)).fetchall()
                ),
            )


def _write_raw(database: Path, raw: Path, symbols: list[str]) -> int:
    with open_for_reading(database) as ours, closing(sqlite3.connect(raw)) as db, db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("CREATE TABLE answers (symbol TEXT, observed_at TEXT, body TEXT)")
        documents = originals(ours, Selection(tuple(map(Symbol, symbols))))
        db.executemany(
            "INSERT INTO answers VALUES (?, ?, ?)",
            ((one["symbol"], one["observed_at"], json.dumps(one["document"], indent=4)) for one in documents),
        )
        db.execute("CREATE INDEX by_symbol ON answers (symbol, observed_at)")
        return int(db.execute("SELECT count(*) FROM answers").fetchone()[0])


def _milliseconds(query: Callable[[], object]) -> float:
    """Return how long a repeated query takes: the median of a few times."""
    query()
    return median(_once(query) for _ in range(_TIMES)) * 1_000


def _once(query: Callable[[], object]) -> float:
    began = time.perf_counter()
    query()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("database", type=Path)
    parser.add_argument("--compare", type=int, metavar="COMPANIES", help="compare with rows of JSON of as many")
    arguments = parser.parse_args()
    if arguments.compare:
        print(json.dumps(asdict(compare(arguments.database, arguments.compare))))
    else:
        print(json.dumps(asdict(time_queries(arguments.database))))


if __name__ == "__main__":
    main()
