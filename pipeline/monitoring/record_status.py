"""The status of the record at an instant: how far it reaches, the last runs, and how the configured symbols stand."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.instants import from_text
from pipeline.model.symbols import Symbol
from pipeline.monitoring.staleness import Standings, standings
from pipeline.query.history import History
from pipeline.store.reader import Run


@dataclass(frozen=True, slots=True)
class RecordStatus:
    """What a history shows at its horizon; nothing in it is about a later instant."""

    at: datetime
    companies: int
    """How many have a snapshot."""
    first_observed_at: datetime | None
    last_observed_at: datetime | None
    """When an overview was last observed, or the API said that it does not cover a symbol."""
    last_run: Run | None
    """The last run that ended."""
    last_complete_run: Run | None
    configured: int
    """How many companies are in the configured list."""
    standings: Standings
    """How they stand."""


def record_status(history: History, stale_after: timedelta) -> RecordStatus:
    """Return the status at the horizon of a history. A symbol that was not observed for `stale_after` is stale."""
    seen = {one.symbol: one for one in history.last_seen()}
    configured = history.configured()
    last = max((max(one.last_overview or "", one.last_uncovered or "") for one in seen.values()), default=None)
    return RecordStatus(
        at=history.now,
        companies=len(history.symbols()),
        first_observed_at=history.first_observed_at(),
        last_observed_at=None if last is None else from_text(last),
        last_run=history.last_run(),
        last_complete_run=history.last_complete_run(),
        configured=len(configured),
        standings=standings(tuple(map(Symbol, configured)), seen, configured, now=history.now, stale_after=stale_after),
    )
