"""Horizon: makes a connection show only what was observed up to an instant, whatever is asked of it.

Temporary views take the names of the tables: SQLite looks for a name among what is temporary first. So every question
is answered as of the horizon, without knowing of it, and none can look beyond by forgetting a condition. What has no
view here is refused, but for what is the same at any time.

It does not limit what a person may read in the file: it is for a program that answers others.
"""

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from pipeline.instants import from_text, in_milliseconds, to_text
from pipeline.store.stored_symbols import UNLISTED, UNLISTED_VIEW

_AT = "(SELECT at FROM temp.horizon)"
"""The horizon as text. SQLite evaluates it once a statement."""


class _View(NamedTuple):
    """What a table shows."""

    shown: str
    """The condition for a row, which is `own`."""
    columns: Mapping[str, str] = MappingProxyType({})
    """What some of the columns hold instead."""


def _bound(column: str) -> str:
    """Return the condition that a column of instants is not after the horizon.

    The likelihood tells SQLite that it leaves out little: where a question has a bound of its own, that is sought.
    """
    return f"likelihood({column} <= {_AT}, 0.9999)"


def _last(table: str, column: str) -> str:
    """Return the last instant of a symbol in a table, not after the horizon; NULL where there is none."""
    return (
        f"(SELECT {column} FROM main.{table} AS last WHERE last.symbol = own.symbol AND {column} <= {_AT}"
        f" ORDER BY {column} DESC LIMIT 1)"
    )


def _first(table: str, column: str, after: str) -> str:
    """Return the first instant of a symbol in a table after another, not after the horizon; NULL: there is none."""
    return (
        f"(SELECT {column} FROM main.{table} AS first WHERE first.symbol = own.symbol"
        f" AND {column} > {after} AND {column} <= {_AT} ORDER BY {column} LIMIT 1)"
    )


_CONFIRMED_AT = f"""
    iif(own.confirmed_at <= {_AT}, own.confirmed_at, max(own.observed_at, coalesce({_last("looks", "at")}, '')))
"""
_SEEN = f"""
    (SELECT iif(newest.confirmed_at <= {_AT}, newest.confirmed_at,
                max(newest.observed_at, coalesce({_last("looks", "at")}, '')))
       FROM main.snapshots AS newest WHERE newest.symbol = own.symbol AND newest.observed_at <= {_AT}
      ORDER BY newest.observed_at DESC LIMIT 1)
"""
"""When an overview of a symbol was last observed. (The file's own word for it depends on what came later.)"""
_GONE = _last("uncovered", "at")
_IS_COVERED = f"coalesce({_SEEN}, '') >= coalesce({_GONE}, '')"
_FIRST_SEEN = f"""
    coalesce(min({_first("snapshots", "observed_at", f"coalesce({_GONE}, '')")},
                 {_first("looks", "at", f"coalesce({_GONE}, '')")}),
             {_first("snapshots", "observed_at", f"coalesce({_GONE}, '')")},
             {_first("looks", "at", f"coalesce({_GONE}, '')")})
"""
_SNAPSHOTS = f"""
    iif((SELECT observed_at FROM main.snapshots AS newest WHERE newest.symbol = own.symbol
          ORDER BY observed_at DESC LIMIT 1) <= {_AT}, own.snapshots,
        (SELECT count(*) FROM main.snapshots AS every WHERE every.symbol = own.symbol AND observed_at <= {_AT}))
"""
_IS_RUNNING = f"(own.finished_at IS NULL OR own.finished_at > {_AT})"
"""Whether a run had not ended at the horizon: what it came to is not known yet."""


def _counted(outcome: str) -> str:
    """Return how many symbols of a run had ended so at the horizon."""
    return f"""
        iif({_IS_RUNNING}, (SELECT count(*) FROM main.outcomes AS ended
                             WHERE ended.run_id = own.id AND outcome = '{outcome}' AND at <= {_AT}), own.{outcome})
    """


_RUN = {
    "finished_at": f"iif({_IS_RUNNING}, NULL, own.finished_at)",
    "status": f"iif({_IS_RUNNING}, 'running', own.status)",
    "symbols": f"iif({_IS_RUNNING} AND own.trigger = 'import', 0, own.symbols)",  # counted when it ends
    **{name: _counted(name) for name in ("stored", "unchanged", "unknown", "failed", "rejected", "deferred")},
    # The ledger forgets its slots. What the outcomes say stays.
    "requests": f"""
        iif({_IS_RUNNING}, (SELECT coalesce(sum(attempts), 0) FROM main.outcomes AS ended
                             WHERE ended.run_id = own.id AND at <= {_AT}), own.requests)
    """,
    "seconds": f"iif({_IS_RUNNING}, NULL, own.seconds)",
    "detail": f"iif({_IS_RUNNING}, NULL, own.detail)",
    "uncovered": f"""
        iif({_IS_RUNNING}, (SELECT count(*) FROM main.outcomes AS ended
                             WHERE ended.run_id = own.id AND outcome = 'unknown' AND at <= {_AT}
                               AND EXISTS (SELECT 1 FROM main.snapshots AS any
                                            WHERE any.symbol = ended.symbol AND any.observed_at <= {_AT})),
            own.uncovered)
    """,
}
_NOTHING = "false"
_VIEWS: Mapping[str, _View] = {
    "snapshots": _View(
        _bound("own.observed_at"),
        # A checksum counts confirmations, later ones too.
        {
            "reconfirmed_at": f"nullif({_CONFIRMED_AT}, own.observed_at)",
            "confirmed_at": _CONFIRMED_AT,
            "checksum": "NULL",
        },
    ),
    "looks": _View(_bound("own.at")),
    "uncovered": _View(_bound("own.at")),
    # Those of which anything was observed. When they are to be requested next is no matter of the past.
    "symbols": _View(
        f"(own.snapshots > 0 AND own.last_overview <= {_AT}"
        f" OR {_last('snapshots', 'observed_at')} IS NOT NULL OR {_GONE} IS NOT NULL)",
        {
            "state": f"iif({_IS_COVERED}, 'covered', 'unknown')",
            "since": f"iif({_IS_COVERED}, {_FIRST_SEEN}, {_first('uncovered', 'at', f'''coalesce({_SEEN}, '')''')})",
            "last_look": f"max(coalesce({_SEEN}, ''), coalesce({_GONE}, ''))",
            "last_overview": _SEEN,
            "next_try": "NULL",
            "last_try": "NULL",
            "last_outcome": "NULL",
            "snapshots": _SNAPSHOTS,
        },
    ),
    # A missed fire time has no start: it ended when it was noted.
    "runs": _View(f"coalesce(own.started_at, own.finished_at) <= {_AT}", _RUN),
    "outcomes": _View(
        f"own.at <= {_AT} AND (SELECT started_at FROM main.runs AS of WHERE of.id = own.run_id) <= {_AT}"
    ),
    "universe": _View(f"own.since <= {_AT}", {"until": f"iif(own.until <= {_AT}, own.until, NULL)"}),
    # One with an instant exists from then on, whenever it was configured; one without holds for all time.
    "renames": _View(f"(own.at IS NULL OR own.at <= {_AT})"),
    # What the program has still to do, or has done to the file: about the present only.
    "requests": _View(_NOTHING),
    "blocked": _View(_NOTHING),
    "keys": _View(_NOTHING),
    "schedules": _View(_NOTHING),
    "backups": _View(_NOTHING),
    "followed": _View(_NOTHING),
    "clock": _View(_NOTHING),
    "in_flight": _View(_NOTHING),
}
"""By table."""
_SAME_AT_ANY_TIME = frozenset({"profiles", "statements", "layouts", "fields", "sqlite_master"})
"""Tables without a view: parts of snapshots, which are found by way of these, the field catalogue, the schema."""
_PUBLIC_VIEWS = ("overviews", "latest_overviews", "overview_changes", "restatements")
"""Views of the schema that are made again, so that they read the views above."""
_FUNCTIONS = frozenset({"json_each"})
"""Those that are read as tables are, and are no tables of the file."""
_REFUSED = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_DROP_TEMP_VIEW})
"""Statements that would lead around the views."""
_PAGE_SIZE = 1 << 16
"""As `packed` has it: the first temporary table decides."""


class Horizon:
    """The instant up to which a connection sees."""

    def __init__(self, db: sqlite3.Connection, at: datetime) -> None:
        """Limit a connection to what was observed up to an instant. It cannot be taken off the connection again."""
        self._db = db
        self.at = in_milliseconds(at)
        """The instant, to the millisecond."""
        db.execute(f"PRAGMA temp.page_size = {_PAGE_SIZE}")
        db.execute("CREATE TEMP TABLE horizon (at TEXT NOT NULL) STRICT")
        db.execute("INSERT INTO temp.horizon VALUES (?)", (to_text(at),))
        for table, view in _VIEWS.items():
            db.execute(_view_of(db, table, view))
        db.execute(f"CREATE TEMP VIEW {UNLISTED_VIEW} AS {UNLISTED.format(table='snapshots')}")
        for name in _PUBLIC_VIEWS:
            (sql,) = db.execute(
                "SELECT sql FROM main.sqlite_master WHERE type = 'view' AND name = ?", (name,)
            ).fetchone()
            db.execute(f"CREATE TEMP VIEW {sql.removeprefix('CREATE VIEW ')}")
        db.set_authorizer(_authorized)

    def move(self, at: datetime) -> None:
        """See up to another instant from now on."""
        self.at = in_milliseconds(at)
        self._db.execute("UPDATE temp.horizon SET at = ?", (to_text(at),))


def horizon_of(db: sqlite3.Connection) -> datetime | None:
    """Return the instant up to which a connection sees; None: it sees everything."""
    if db.execute("SELECT 1 FROM sqlite_temp_master WHERE name = 'horizon'").fetchone() is None:
        return None
    (at,) = db.execute("SELECT at FROM temp.horizon").fetchone()
    return from_text(at)


def _view_of(db: sqlite3.Connection, table: str, view: _View) -> str:
    """Return the statement that creates the view of a table, with all of its columns."""
    names = [name for (name,) in db.execute("SELECT name FROM pragma_table_xinfo(?, 'main')", (table,))]
    columns = ", ".join(f"{view.columns.get(name, f'own.{name}')} AS {name}" for name in names)
    return f"CREATE TEMP VIEW {table} AS SELECT {columns} FROM main.{table} AS own WHERE {view.shown}"


def _authorized(action: int, first: str | None, _second: str | None, database: str | None, view: str | None) -> int:
    """Let a statement read what is temporary, and of the file what it reads through a view or is the same at any time.

    SQLite asks it of each column when a statement is prepared, and names the view that reads it.
    """
    if action in _REFUSED:
        return sqlite3.SQLITE_DENY
    if action != sqlite3.SQLITE_READ or database != "main" or view in _VIEWS or view == UNLISTED_VIEW:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_OK if first in _SAME_AT_ANY_TIME | _FUNCTIONS else sqlite3.SQLITE_DENY
