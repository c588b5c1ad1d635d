"""In flight: how many requests of a run without limits may have left that are not in the ledger.

The slots of such a run are written after their answers, many at once. So a row that is written first bounds what a kill
can lose, and whatever opens the ledger next counts it.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiosqlite import Connection

from pipeline import instants
from pipeline.model.outcomes import RunId
from pipeline.model.slots import NO_SYMBOL, KeyId

_OUTCOME = "abandoned"
_ON_ITS_WAY = timedelta(seconds=5)
"""How long what a killed process sent last may take to arrive."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """Up to `requests` of a run and key may be out, or answered and not in the ledger yet."""

    run: RunId
    key: KeyId
    since: datetime
    requests: int


async def note_in_flight(db: Connection, noted: Sequence[InFlight]) -> Sequence[None]:
    """Write how many requests may be in flight, before the first leaves. The row goes when the run ends."""
    await db.executemany(
        "INSERT OR REPLACE INTO in_flight (run_id, key, since, requests) VALUES (?, ?, ?, ?)",
        [(one.run, one.key, instants.to_text(one.since), one.requests) for one in noted],
    )
    return [None] * len(noted)


async def count_lost(db: Connection, instants_now: Sequence[str]) -> Sequence[None]:
    """Count what killed runs may have sent, and what may arrive now. The caller holds the lock, so no run is alive."""
    for now in instants_now:
        rows = await db.execute_fetchall("SELECT run_id, key, since, requests FROM in_flight")
        await db.executemany(
            "INSERT INTO requests (run_id, symbol, retry, reserved_at, deadline_at, finished_at, outcome, key)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [row for found in rows for row in _as_requests(*found, now=now)],
        )
        await db.execute("DELETE FROM in_flight")
    return [None] * len(instants_now)


def lost_requests(db: sqlite3.Connection, *, now: datetime) -> list[tuple[Any, ...]]:
    """Return rows as `count_lost` writes them, of a database of any version of the schema."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'in_flight'").fetchone():
        return []
    found = db.execute("SELECT run_id, key, since, requests FROM in_flight")
    return [row for one in found for row in _as_requests(*one, now=instants.to_text(now))]


def _as_requests(run: int, key: str, since: str, requests: int, *, now: str) -> list[tuple[Any, ...]]:
    arrived = instants.to_text(instants.from_text(max(since, now)) + _ON_ITS_WAY)
    return [(run, NO_SYMBOL, 0, since, arrived, None, _OUTCOME, key)] * requests
