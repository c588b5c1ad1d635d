"""Schedules: reads and writes since when each schedule is in force, and what became of each of its fire times."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from aiosqlite import Connection

from pipeline import instants
from pipeline.model.firings import Firing
from pipeline.model.outcomes import RunStatus, Trigger
from pipeline.store.reader import open_for_reading
from pipeline.store.runs import ABANDONED, close_abandoned_runs
from pipeline.store.writer import Writer

CLOCK_TOLERANCE = timedelta(hours=2)
"""A fire time further ahead than this was written by a clock that was wrong: it is still to come."""
_ROWS_AT_ONCE = 1_000
_IS_FOR_FIRE_TIME = "trigger IN ('schedule', 'catch_up')"


def last_firings(database: Path, *, now: datetime) -> dict[str, Firing]:
    """Return the last firing of each schedule in force. Raise DatabaseError if the database cannot be read."""
    latest = instants.to_text(now + CLOCK_TOLERANCE)
    with open_for_reading(database) as db:
        return {
            schedule: _firing(since, db.execute(_LAST_RUNS, (schedule, latest)).fetchall())
            for schedule, since in db.execute("SELECT schedule, since FROM schedules").fetchall()
        }


_LAST_RUNS = f"""
    WITH last AS (
        SELECT id, schedule, scheduled_for FROM runs
         WHERE schedule = ? AND scheduled_for <= ? AND {_IS_FOR_FIRE_TIME}
         ORDER BY scheduled_for DESC LIMIT 1
    )
    SELECT scheduled_for, runs.status, runs.finished_at, runs.stored + runs.unchanged + runs.unknown - runs.uncovered
      FROM last CROSS JOIN runs USING (schedule, scheduled_for)
     WHERE runs.id >= last.id
     ORDER BY runs.id DESC
"""
"""The runs for the last fire time, newest first. Those that continue it have later ids than its first."""


def _firing(since: str, runs: Sequence[tuple[str, str, str | None, int]]) -> Firing:
    if not runs:
        return Firing(instants.from_text(since))
    scheduled_for, status, finished_at, _ = runs[0]
    return Firing(
        instants.from_text(since),
        scheduled_for=instants.from_text(scheduled_for),
        status=RunStatus(status),
        finished_at=None if finished_at is None else instants.from_text(finished_at),
        empty_runs=next((number for number, (*_, observed) in enumerate(runs) if observed), len(runs)),
    )


async def activate(writer: Writer, schedules: Mapping[str, datetime], *, since: datetime, now: datetime) -> None:
    """Put these schedules in force, and no others. New ones count fire times from `since` on.

    If there was no schedule before, they count from the instants given with them: the newest fire time before the very
    first start is caught up.
    """
    await writer.write(_activate, _Activation(schedules, since, now))


async def record_missed(
    writer: Writer, schedule: str, fire_times: Iterable[tuple[datetime, str]], *, now: datetime
) -> int:
    """Store fire times for which nothing ran, each with the reason; return their number.

    In small transactions: a schedule that fires each minute has missed half a million of them in a year.
    """
    rows = iter((schedule, instants.to_text(at), instants.to_text(now), reason) for at, reason in fire_times)
    count = 0
    while chunk := list(islice(rows, _ROWS_AT_ONCE)):
        await writer.write(_insert_missed, chunk)
        count += len(chunk)
    return count


async def record_crash(writer: Writer, detail: str, *, now: datetime) -> None:
    """Store that the run under way has failed because of a bug."""
    await writer.write(_fail_running, (instants.to_text(now), detail))


class _Activation(NamedTuple):
    schedules: Mapping[str, datetime]
    since: datetime
    now: datetime


async def _activate(db: Connection, activations: Sequence[_Activation]) -> Sequence[None]:
    for schedules, since, at in activations:
        now = instants.to_text(at)
        # We hold the lock, so the process of any run that counts as running has died; perhaps nothing continues it.
        await close_abandoned_runs(db, RunStatus.INTERRUPTED, ABANDONED, at=now)
        before = [schedule for (schedule,) in await db.execute_fetchall("SELECT schedule FROM schedules")]
        removed = [(schedule,) for schedule in before if schedule not in schedules]
        rows = [(name, instants.to_text(since if before else first)) for name, first in schedules.items()]
        await db.executemany("DELETE FROM schedules WHERE schedule = ?", removed)
        await db.executemany("INSERT INTO schedules (schedule, since) VALUES (?, ?) ON CONFLICT DO NOTHING", rows)
        # Written by a clock that was ahead: these fire times are still to come, and will run then.
        latest = instants.to_text(at + CLOCK_TOLERANCE)
        await db.execute(f"UPDATE runs SET schedule = NULL WHERE scheduled_for > ? AND {_IS_FOR_FIRE_TIME}", (latest,))
        await db.execute("UPDATE schedules SET since = min(since, ?)", (now,))
        await db.execute(
            "UPDATE runs SET finished_at = :now WHERE finished_at > :now AND schedule IS NOT NULL", {"now": now}
        )
    return [None] * len(activations)


async def _insert_missed(db: Connection, chunks: Sequence[Sequence[tuple[str, str, str, str]]]) -> Sequence[None]:
    for rows in chunks:
        await db.executemany(
            f"INSERT INTO runs (trigger, status, schedule, scheduled_for, finished_at, detail)"
            f" VALUES ('{Trigger.SCHEDULE}', '{RunStatus.MISSED}', ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            rows,
        )
    return [None] * len(chunks)


async def _fail_running(db: Connection, crashes: Sequence[tuple[str, str]]) -> Sequence[None]:
    for at, detail in crashes:
        await close_abandoned_runs(db, RunStatus.FAILED, detail, at=at)
    return [None] * len(crashes)
