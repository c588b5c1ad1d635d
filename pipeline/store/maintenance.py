"""Maintenance: deletes old slots and outcomes in small steps, and empties the write-ahead log. Snapshots are kept."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from aiosqlite import Connection

from pipeline import instants
from pipeline.store import requests
from pipeline.store.database import connect
from pipeline.store.writer import Apply, Writer

_ROWS_AT_ONCE = 1_000
"""Outcomes deleted in one transaction: nobody waits long for it."""


async def prune(writer: Writer, *, longest_window: timedelta, outcomes_kept: timedelta, now: datetime) -> int:
    """Delete the slots that no window can hold, and outcomes older than `outcomes_kept`; return how many outcomes."""
    await requests.prune_requests(writer, longest=longest_window, now=now)
    return await prune_outcomes(writer, before=now - outcomes_kept)


async def prune_outcomes(writer: Writer, *, before: datetime | None, most: int | None = None) -> int:
    """Delete outcomes of runs before an instant, and of runs that requested nothing; return how many.

    All of the latter say the same: each symbol was deferred. The last such run keeps its outcomes. With `most`, stop
    at that many; the next call deletes more.
    """
    steps: list[tuple[Apply, str | None]] = [(_prune_repeated, None)]
    if before is not None:
        steps.append((_prune_outcomes, instants.to_text(before)))
    count = 0
    for step, item in steps:
        while (most is None or count < most) and (deleted := await writer.write(step, item)):
            count += deleted
    return count


_REQUESTED_NOTHING = """
    {0}.requests = 0 AND {0}.deferred > 0 AND {0}.finished_at IS NOT NULL
    AND {0}.stored + {0}.unchanged + {0}.unknown + {0}.failed + {0}.rejected = 0
"""
_REPEATED = f"""
    DELETE FROM outcomes WHERE (run_id, symbol) IN (
        SELECT run_id, symbol FROM runs CROSS JOIN outcomes ON outcomes.run_id = runs.id
         WHERE {_REQUESTED_NOTHING.format("runs")}
           AND EXISTS (SELECT 1 FROM runs AS later
                        WHERE later.id > runs.id AND later.schedule IS runs.schedule
                          AND (later.trigger = 'on_demand') = (runs.trigger = 'on_demand')
                          AND {_REQUESTED_NOTHING.format("later")})
         LIMIT ?)
"""
"""CROSS JOIN: run by run. Otherwise SQLite reads all outcomes, of which there can be millions, each time."""


async def _prune_repeated(db: Connection, items: Sequence[None]) -> Sequence[int]:
    return [(await db.execute(_REPEATED, (_ROWS_AT_ONCE,))).rowcount for _ in items]


async def _prune_outcomes(db: Connection, instants_before: Sequence[str]) -> Sequence[int]:
    counts = []
    for before in instants_before:
        cursor = await db.execute(
            """
            DELETE FROM outcomes WHERE (run_id, symbol) IN (
                SELECT run_id, symbol FROM runs JOIN outcomes ON outcomes.run_id = runs.id
                 WHERE runs.finished_at < :before AND outcomes.at < :before LIMIT :limit)
            """,
            {"before": before, "limit": _ROWS_AT_ONCE},
        )
        counts.append(cursor.rowcount)
    return counts


def checkpoint(database: Path) -> None:
    """Move the write-ahead log into the database and empty it, as far as no reader needs it.

    SQLite does this when the last connection closes, but there may be a reader that never does. Raise DatabaseError.
    """
    with connect(database, "rw") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
