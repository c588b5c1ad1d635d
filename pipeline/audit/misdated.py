"""Misdated: what a record holds from outside the time in which it can have been observed. Found by seeking."""

import sqlite3
from dataclasses import dataclass

_OBSERVATIONS = " UNION ALL ".join(
    f"SELECT symbols.symbol, {at} AS at FROM symbols CROSS JOIN {table}"
    f" WHERE {table}.symbol = symbols.symbol AND {at} {side}"
    for table, at in (("snapshots", "observed_at"), ("looks", "at"), ("uncovered", "at"))
    for side in ("< :since", "> :until")
)
"""Of each symbol two seeks in each table. (SQLite would read all of a symbol for two sides with OR.)"""


@dataclass(frozen=True, slots=True)
class Misdated:
    """Rows that are dated before, or after, the time in which they can have been made."""

    count: int
    symbols: int
    """Of how many symbols; 0 for runs."""
    first: str
    last: str


def misdated_observations(db: sqlite3.Connection, *, since: str, until: str) -> tuple[Misdated | None, Misdated | None]:
    """Return the observations before an instant, and those after another one; None: there are none."""
    query = f"""
        SELECT at > :until AS is_later, count(*), count(DISTINCT symbol), min(at), max(at)
          FROM ({_OBSERVATIONS}) GROUP BY is_later
    """
    found = {bool(later): Misdated(*rest) for later, *rest in db.execute(query, {"since": since, "until": until})}
    return found.get(False), found.get(True)


def misdated_runs(db: sqlite3.Connection, *, since: str, until: str) -> tuple[Misdated | None, Misdated | None]:
    """Return the runs that began or ended before an instant, and those after another one; None: there are none."""
    query = """
        SELECT at > :until AS is_later, count(DISTINCT id), 0, min(at), max(at)
          FROM (SELECT id, started_at AS at FROM runs WHERE started_at < :since OR started_at > :until
                 UNION ALL
                SELECT id, finished_at FROM runs WHERE finished_at < :since OR finished_at > :until)
         GROUP BY is_later
    """
    found = {bool(later): Misdated(*rest) for later, *rest in db.execute(query, {"since": since, "until": until})}
    return found.get(False), found.get(True)
