"""Maintenance: deletes old slots and outcomes in small steps, and empties the write-ahead log. Snapshots are kept."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from aiosqlite import Connection

from pipeline import instants
from pipeline.store import requests
from pipeline.store.database import connect
from pipeline.store.writer import Writer

_ROWS_AT_ONCE = 1_000
"""Outcomes deleted in one transaction: nobody waits long for it."""


async def prune(writer: Writer, *, longest_window: timedelta, outcomes_kept: timedelta, now: datetime) -> int:
    """Delete the slots that no window can hold, and outcomes older than `outcomes_kept`; return how many outcomes."""
    await requests.prune_requests(writer, longest=longest_window, now=now)
    before = instants.to_text(now - outcomes_kept)
    count = 0
    while deleted := await writer.write(_prune_outcomes, before):
        count += deleted
    return count


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
