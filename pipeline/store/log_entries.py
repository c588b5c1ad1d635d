"""Log entries: writes what a fleet's log says into a record, in one transaction with how far the log has been read.

Entries that are read twice change nothing the second time, so a record that was cut short at any instant can continue.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aiosqlite import Connection

from pipeline import instants
from pipeline.model.outcomes import Outcome, Trigger
from pipeline.store.log_place import Followed
from pipeline.store.reader import Run
from pipeline.store.snapshots import Observation, store_observations
from pipeline.store.symbol_states import note_late_attempts
from pipeline.store.writer import bulk_insert


def configuration_of(fleet: str) -> str:
    """Return the `configuration`, in the universe, of the list that the members of a fleet have in common."""
    return f"fleet {fleet}"


class FollowedOutcome(NamedTuple):
    """How a symbol ended in a run: a row of `outcomes`."""

    symbol: str
    run: int
    outcome: str
    attempts: int
    at: str
    detail: str | None


class ListedInterval(NamedTuple):
    """When a symbol was in a list: a row of `universe`."""

    symbol: str
    since: str
    configuration: str
    until: str | None


@dataclass(slots=True)
class Chunk:
    """What some consecutive entries of a log say. Instants are text."""

    upto: Followed
    """How far the record has the log with them."""
    observations: list[Observation] = field(default_factory=list)
    outcomes: list[FollowedOutcome] = field(default_factory=list)
    runs: dict[int, Run] = field(default_factory=dict)
    """As the last entry of each has it."""
    schedules: Mapping[str, str] | None = None
    """Since when each is in force; None: nothing new."""
    lists: list[tuple[str, Sequence[str]]] = field(default_factory=list)
    """From when on symbols are listed."""
    intervals: list[ListedInterval] = field(default_factory=list)


class Rewinding(NamedTuple):
    """A standby took over, and had not heard of the end of the log: it is read again from there."""

    to: Followed
    last_run: int
    """The last run that the standby knew of."""


async def set_followed(db: Connection, places: Sequence[Followed]) -> Sequence[None]:
    """Write how far the record has a log."""
    rows = [(one.fleet, one.timeline, one.seq) for one in places]
    await db.executemany("INSERT OR REPLACE INTO followed (id, fleet, timeline, seq) VALUES (1, ?, ?, ?)", rows)
    return [None] * len(places)


def stop_following(db: sqlite3.Connection) -> None:
    """Delete how far the record has a log: it follows none any more."""
    db.execute("DELETE FROM followed")


async def apply_chunks(db: Connection, chunks: Sequence[Chunk]) -> Sequence[None]:
    """Write what entries of the log say, and how far the record has it."""
    for chunk in chunks:
        await _write_runs(db, list(chunk.runs.values()))
        # All observations are credible: none is later than PostgreSQL's clock was, whatever was known of runs by then.
        await store_observations(db, chunk.observations, noted_at=instants.LATEST)
        tried = [one for one in chunk.outcomes if one.attempts and one.outcome in (Outcome.FAILED, Outcome.REJECTED)]
        await note_late_attempts(db, [(one.symbol, one.at, one.outcome) for one in tried])
        await _ADD_OUTCOMES.write(db, chunk.outcomes)
        if chunk.schedules is not None:
            await db.execute("DELETE FROM schedules")
            await db.executemany("INSERT INTO schedules (schedule, since) VALUES (?, ?)", chunk.schedules.items())
        for at, symbols in chunk.lists:
            await _write_list(db, configuration_of(chunk.upto.fleet), at, symbols)
        await _ADD_INTERVALS.write(db, chunk.intervals)
        await set_followed(db, [chunk.upto])
    return [None] * len(chunks)


async def rewind(db: Connection, rewindings: Sequence[Rewinding]) -> Sequence[None]:
    """Go back in the log. Runs that the fleet forgot are deleted, as others get their ids; observations stay."""
    for to, last_run in rewindings:
        await db.execute("DELETE FROM outcomes WHERE run_id > ?", (last_run,))
        await db.execute("DELETE FROM runs WHERE id > ?", (last_run,))
        await set_followed(db, [to])
    return [None] * len(rewindings)


_ADD_OUTCOMES = bulk_insert(
    "outcomes",
    ["symbol", "run_id", "outcome", "attempts", "at", "detail"],
    """ON CONFLICT (run_id, symbol) DO UPDATE SET
        outcome = excluded.outcome, attempts = excluded.attempts, at = excluded.at, detail = excluded.detail
     WHERE outcomes.outcome = 'deferred' AND excluded.outcome <> 'deferred'""",
)
"""The first outcome of a symbol in a run stays, but for one that was deferred and then requested after all."""
_ADD_INTERVALS = bulk_insert(
    "universe",
    ListedInterval._fields,
    "ON CONFLICT (symbol, since, configuration) DO UPDATE SET until = excluded.until",
)
_RUN_COLUMNS = Run.__slots__
_WRITE_RUN = f"""
    INSERT INTO runs ({", ".join(_RUN_COLUMNS)}) VALUES ({", ".join("?" * len(_RUN_COLUMNS))})
    ON CONFLICT (id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _RUN_COLUMNS[1:])}
"""


_FREE_FIRE_TIME = """
    UPDATE runs SET schedule = NULL
     WHERE schedule = ? AND scheduled_for = ? AND trigger IN ('schedule', 'catch_up') AND id <> ?
"""


async def _write_runs(db: Connection, runs: Sequence[Run]) -> None:
    # Where the record has another run for a fire time, the fleet never knew it.
    fired = [run for run in runs if run.trigger in (Trigger.SCHEDULE, Trigger.CATCH_UP)]
    await db.executemany(_FREE_FIRE_TIME, [(run.schedule, run.scheduled_for, run.id) for run in fired])
    await db.executemany(_WRITE_RUN, [tuple(getattr(run, name) for name in _RUN_COLUMNS) for run in runs])


async def _write_list(db: Connection, ours: str, at: str, symbols: Sequence[str]) -> None:
    """Write that a fleet lists these symbols from an instant on, and no others. What was read of later is undone."""
    await db.execute("DELETE FROM universe WHERE configuration = ? AND since >= ?", (ours, at))
    await db.execute("UPDATE universe SET until = NULL WHERE configuration = ? AND until >= ?", (ours, at))
    rows = await db.execute_fetchall("SELECT symbol, configuration FROM universe WHERE until IS NULL")
    wanted = set(symbols)
    present = {symbol for symbol, configuration in rows if configuration == ours}
    ended = [(at, *row) for row in rows if row[1] != ours or row[0] not in wanted]
    await db.executemany(
        "UPDATE universe SET until = ? WHERE symbol = ? AND configuration = ? AND until IS NULL", ended
    )
    await db.execute("DELETE FROM universe WHERE until <= since")
    await db.executemany(
        "INSERT INTO universe (symbol, since, configuration) VALUES (?, ?, ?)",
        [(symbol, at, ours) for symbol in sorted(wanted - present)],
    )
