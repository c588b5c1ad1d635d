"""Firings: since when each schedule counts, and what became of each of its fire times, as the record has it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from aiosqlite import Connection

from pipeline import instants
from pipeline.model.firings import Firing
from pipeline.model.outcomes import RunStatus, Trigger
from pipeline.store.reader import open_for_reading
from pipeline.store.runs import ABANDONED, close_abandoned_runs
from pipeline.store.writer import Writer

CLOCK_TOLERANCE = timedelta(hours=2)
"""A fire time noted further ahead of the clock than this was noted by a clock that was wrong: it is still to come."""
_AT_ONCE = 1_000
_OF_A_FIRE_TIME = "trigger IN ('schedule', 'catch_up')"


def last_firings(database: Path, *, now: datetime) -> dict[str, Firing]:
    """Return the last firing of each schedule in force. Raise DatabaseError if the file cannot be read."""
    until = instants.to_text(now + CLOCK_TOLERANCE)
    with open_for_reading(database) as db:
        return {
            schedule: Firing(instants.from_text(since), *_last(db.execute(_LAST, (schedule, until)).fetchall()))
            for schedule, since in db.execute("SELECT schedule, since FROM schedules").fetchall()
        }


_LAST = f"""
    WITH last AS (
        SELECT id, schedule, scheduled_for FROM runs
         WHERE schedule = ? AND scheduled_for <= ? AND {_OF_A_FIRE_TIME}
         ORDER BY scheduled_for DESC LIMIT 1
    )
    SELECT scheduled_for, runs.status, runs.finished_at, runs.stored + runs.unchanged + runs.unknown
      FROM last CROSS JOIN runs USING (schedule, scheduled_for)
     WHERE runs.id >= last.id
     ORDER BY runs.id DESC
"""
"""Those that go on with a fire time have later ids than its first run: no others need be looked at."""


def _last(runs: Sequence[tuple[str, str, str | None, int]]) -> tuple[Any, ...]:
    if not runs:
        return ()
    scheduled_for, status, finished_at, _ = runs[0]
    fruitless = next((number for number, run in enumerate(runs) if run[3]), len(runs))
    ended = None if finished_at is None else instants.from_text(finished_at)
    return instants.from_text(scheduled_for), RunStatus(status), ended, fruitless


async def activate(writer: Writer, schedules: Mapping[str, datetime], *, since: datetime, now: datetime) -> None:
    """Let these schedules count, and no others: those that did not so far `since` an instant.

    Where no schedule ever was, they count from the instants given with them: the newest fire time before the very first
    start is caught up with.
    """
    await writer.write(_activate, (schedules, since, now))


async def record_missed(
    writer: Writer, schedule: str, fire_times: Iterable[tuple[datetime, str]], *, now: datetime
) -> int:
    """Record fire times that nothing ran for, each with the reason; return how many there were.

    In small transactions: a line that fires each minute has missed half a million of them in a year.
    """
    rows = iter((schedule, instants.to_text(at), instants.to_text(now), why) for at, why in fire_times)
    count = 0
    while some := list(islice(rows, _AT_ONCE)):
        await writer.write(_miss, some)
        count += len(some)
    return count


async def record_crash(writer: Writer, detail: str, *, now: datetime) -> None:
    """Record that the run under way has failed, by a fault of ours."""
    await writer.write(_crashed, (instants.to_text(now), detail))


async def _activate(
    db: Connection, asked: Sequence[tuple[Mapping[str, datetime], datetime, datetime]]
) -> Sequence[None]:
    for schedules, since, now in asked:
        # The lock is ours, so whoever began what counts as under way has died; it may be that nothing goes on with it.
        await close_abandoned_runs(db, RunStatus.INTERRUPTED, ABANDONED, at=instants.to_text(now))
        is_first = not list(await db.execute_fetchall("SELECT 1 FROM schedules LIMIT 1"))
        rows = [(schedule, instants.to_text(at if is_first else since)) for schedule, at in schedules.items()]
        gone = [row for row in await db.execute_fetchall("SELECT schedule FROM schedules") if row[0] not in schedules]
        await db.executemany("DELETE FROM schedules WHERE schedule = ?", gone)
        await db.executemany("INSERT INTO schedules (schedule, since) VALUES (?, ?) ON CONFLICT DO NOTHING", rows)
        # The clock was ahead when these were noted: their time is still to come, and will be kept then.
        ahead = instants.to_text(now + CLOCK_TOLERANCE)
        await db.execute(f"UPDATE runs SET schedule = NULL WHERE scheduled_for > ? AND {_OF_A_FIRE_TIME}", (ahead,))
        await db.execute("UPDATE schedules SET since = min(since, ?)", (instants.to_text(now),))
        await db.execute(
            "UPDATE runs SET finished_at = :now WHERE finished_at > :now AND schedule IS NOT NULL",
            {"now": instants.to_text(now)},
        )
    return [None] * len(asked)


async def _miss(db: Connection, chunks: Sequence[Sequence[tuple[str, str, str, str]]]) -> Sequence[None]:
    for rows in chunks:
        await db.executemany(
            f"INSERT INTO runs (trigger, status, schedule, scheduled_for, finished_at, detail)"
            f" VALUES ('{Trigger.SCHEDULE}', '{RunStatus.MISSED}', ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            rows,
        )
    return [None] * len(chunks)


async def _crashed(db: Connection, crashes: Sequence[tuple[str, str]]) -> Sequence[None]:
    for at, detail in crashes:
        await close_abandoned_runs(db, RunStatus.FAILED, detail, at=at)
    return [None] * len(crashes)
