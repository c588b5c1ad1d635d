"""Housekeeping: what is not needed any more goes, in small steps, so that nobody waits for it. Snapshots never do."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from aiosqlite import Connection

from pipeline import instants
from pipeline.store import requests
from pipeline.store.database import connect
from pipeline.store.writer import Writer

_AT_ONCE = 1_000


async def prune(writer: Writer, *, longest_window: timedelta, outcomes_kept: timedelta, now: datetime) -> int:
    """Delete the slots and the outcomes that are too old; return how many outcomes these were."""
    await requests.prune_requests(writer, longest=longest_window, now=now)
    before = instants.to_text(now - outcomes_kept)
    count = 0
    while some := await writer.write(_prune_outcomes, before):
        count += some
    return count


async def _prune_outcomes(db: Connection, asked: Sequence[str]) -> Sequence[int]:
    counts = []
    for before in asked:
        cursor = await db.execute(_OLD_OUTCOMES, {"before": before, "most": _AT_ONCE})
        counts.append(cursor.rowcount)
    return counts


_OLD_OUTCOMES = """
    DELETE FROM outcomes WHERE (run_id, symbol) IN (
        SELECT run_id, symbol FROM runs JOIN outcomes ON outcomes.run_id = runs.id
         WHERE runs.finished_at < :before AND outcomes.at < :before LIMIT :most)
"""


def wal_bytes(database: Path) -> int:
    """Return how much the write-ahead log holds, in bytes."""
    real = database.resolve()
    try:
        return real.with_name(f"{real.name}-wal").stat().st_size
    except OSError:
        return 0


def checkpoint(database: Path) -> None:
    """Move what the write-ahead log holds into the file, and empty it; what a reader holds on to stays.

    SQLite does it by itself when the last connection closes: there may be one that does not. Raise DatabaseError.
    """
    with connect(database, "rw") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
