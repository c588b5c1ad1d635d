"""Corrected runs: moves or removes the runs, outcomes, attempts and lists that a wrong clock dated."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from aiosqlite import Connection

_IN = "BETWEEN :since AND :until"
_OF_RUNS = "(:runs IS NULL OR {} IN (SELECT value FROM json_each(:runs)))"
_RUNS = f"(started_at {_IN} OR finished_at {_IN}) AND {_OF_RUNS.format('id')}"
_BEGUN = f"coalesce(started_at, finished_at) {_IN} AND {_OF_RUNS.format('id')}"
"""A missed run did not start."""
_OUTCOMES = f"at {_IN} AND {_OF_RUNS.format('run_id')}"
_REMOVED_OUTCOMES = f"(({_OUTCOMES}) OR run_id IN (SELECT id FROM runs WHERE {_BEGUN}))"
_MOVED = "strftime('%Y-%m-%dT%H:%M:%fZ', {0}, :by)"
_ATTEMPTS = f"""
    last_try {_IN} AND (:symbols IS NULL OR symbol IN (SELECT value FROM json_each(:symbols)))
    AND (:runs IS NULL OR EXISTS (SELECT 1 FROM json_each(:runs) AS run JOIN outcomes ON run_id = run.value
                                   WHERE outcomes.symbol = symbols.symbol AND outcomes.at = last_try))
"""

_NEVER_OBSERVED = """
    NOT EXISTS (SELECT 1 FROM snapshots WHERE snapshots.symbol = symbols.symbol)
    AND NOT EXISTS (SELECT 1 FROM uncovered WHERE uncovered.symbol = symbols.symbol)
"""
_LAST_LEFT = "max(started_at, coalesce((SELECT max(at) FROM outcomes WHERE run_id = runs.id), started_at))"


def _if_in(column: str, otherwise: str | None = None) -> str:
    """Return the assignment that moves a column's instant if it is in the interval."""
    return f"{column} = iif({column} {_IN}, {_MOVED.format(column)}, {otherwise or column})"


def count_runs(db: sqlite3.Connection, bounds: Mapping[str, Any], *, is_moved: bool) -> tuple[int, int]:
    """Return the number of runs with an instant in the interval, and of the outcomes that are moved or removed."""
    which = _OUTCOMES if is_moved else _REMOVED_OUTCOMES
    (runs,) = db.execute(f"SELECT count(*) FROM runs WHERE {_RUNS}", bounds).fetchone()
    (outcomes,) = db.execute(f"SELECT count(*) FROM outcomes WHERE {which}", bounds).fetchone()
    return runs, outcomes


async def correct_attempts(db: Connection, bounds: Mapping[str, Any], *, is_moved: bool) -> None:
    """Move the last attempt of each symbol, or forget it. What was observed since decides, as it does always.

    A symbol of which nothing else is known is removed.
    """
    if is_moved:
        await db.execute(f"UPDATE symbols SET {_if_in('last_try')} WHERE {_ATTEMPTS}", bounds)
        return
    await db.execute(f"DELETE FROM symbols WHERE state IS NULL AND {_NEVER_OBSERVED} AND {_ATTEMPTS}", bounds)
    await db.execute(f"UPDATE symbols SET last_try = NULL, last_outcome = NULL WHERE {_ATTEMPTS}", bounds)


async def correct_runs(db: Connection, bounds: Mapping[str, Any], *, is_moved: bool, now: str) -> None:
    """Move runs and outcomes, or delete them, and free the fire times that the runs were for: they have yet to come.

    A run that began before and ended in the interval stays, and ended with the last outcome that is left. When symbols
    were listed is moved, too, or begins with the next run that is known.
    """
    if is_moved:
        await db.execute(f"UPDATE runs SET schedule = NULL WHERE scheduled_for {_IN} AND {_RUNS}", bounds)
        await db.execute(f"UPDATE runs SET {_if_in('started_at')}, {_if_in('finished_at')} WHERE {_RUNS}", bounds)
        await db.execute(f"UPDATE outcomes SET {_if_in('at')} WHERE {_OUTCOMES}", bounds)
    else:
        await db.execute(f"DELETE FROM outcomes WHERE {_REMOVED_OUTCOMES}", bounds)
        await db.execute(f"DELETE FROM runs WHERE {_BEGUN}", bounds)
        await db.execute(f"UPDATE runs SET finished_at = {_LAST_LEFT} WHERE {_RUNS}", bounds)
    if bounds["runs"] is None:
        await _correct_lists(db, bounds, is_moved=is_moved, now=now)


async def _correct_lists(db: Connection, bounds: Mapping[str, Any], *, is_moved: bool, now: str) -> None:
    given = {**bounds, "now": now}
    ((next_run,),) = await db.execute_fetchall(
        "SELECT coalesce((SELECT min(started_at) FROM runs WHERE started_at > :until AND started_at <= :now), :now)",
        given,
    )
    moved = _MOVED if is_moved else ":next"
    since, until = (f"iif({name} {_IN}, {moved.format(name)}, {name})" for name in ("since", "until"))
    where = f"since {_IN} OR until {_IN}"
    rows = await db.execute_fetchall(
        f"SELECT symbol, configuration, {since} AS since, {until} AS until FROM universe WHERE {where}",
        {**given, "next": next_run},
    )
    await db.execute(f"DELETE FROM universe WHERE {where}", bounds)
    await db.executemany(_LIST, [row for row in rows if row[3] is None or row[2] < row[3]])


_LIST = """
    INSERT INTO universe (symbol, configuration, since, until) VALUES (?, ?, ?, ?)
    ON CONFLICT (symbol, since, configuration) DO UPDATE
       SET until = iif(until IS NULL OR excluded.until IS NULL, NULL, max(until, excluded.until))
"""
"""Of two intervals that begin together the longer stays."""
