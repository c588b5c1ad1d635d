"""The condition: how things stand, as the file tells it; for status, health, metrics and whoever is to be told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pipeline import instants
from pipeline.model.symbols import Symbol
from pipeline.quota.estimate import Standing, standings
from pipeline.quota.limits import Limit
from pipeline.store.maintenance import wal_bytes
from pipeline.store.reader import Record, Run, stale


@dataclass(frozen=True, slots=True)
class Condition:
    """How things stand at an instant."""

    last_run: Run | None
    """The last run that ended: missed fire times are none."""
    last_success: datetime | None
    """When the last complete run ended."""
    runs: Mapping[str, int]
    """How many there are of each status."""
    windows: Sequence[Standing]
    snapshots: int
    unknown: Sequence[Symbol]
    stale: Sequence[Symbol]
    """Configured, and not looked at for longer than is allowed."""
    fresh: int
    """Neither."""
    database_bytes: int


def condition(
    database: Path, symbols: Sequence[Symbol], limits: Sequence[Limit], *, stale_after: timedelta, now: datetime
) -> Condition:
    """Return how things stand. Raise NoData where nothing is kept yet, DatabaseError if the file cannot be read."""
    longest = max((limit.period for limit in limits), default=timedelta())
    with Record.open(database) as record:
        states = record.states()
        success = record.last_complete()
        old = stale(symbols, states, looked_since=now - stale_after, in_force_since=record.in_force_since())
        unknown = [one for one in symbols if one in states and states[one].state == "unknown"]
        return Condition(
            last_run=record.last_ended(),
            last_success=instants.from_text(success.finished_at) if success and success.finished_at else None,
            runs=record.statuses(),
            windows=standings(limits, record.spent(now - longest), record.block(), now=now),
            snapshots=sum(state.snapshots for state in states.values()),
            unknown=unknown,
            stale=old,
            fresh=len(symbols) - len(unknown) - len(old),
            database_bytes=database.stat().st_size + wal_bytes(database),
        )
