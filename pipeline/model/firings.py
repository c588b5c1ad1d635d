"""Firings: the last fire time of a schedule, and how the run for it ended; a value for schedule and store."""

from dataclasses import dataclass
from datetime import datetime

from pipeline.model.outcomes import RunStatus


@dataclass(frozen=True, slots=True)
class Firing:
    """The last recorded fire time of a schedule, and how the last run for it ended."""

    since: datetime
    """Fire times count from then on."""
    scheduled_for: datetime | None = None
    status: RunStatus | None = None
    finished_at: datetime | None = None
    empty_runs: int = 0
    """How many runs for it, in a row up to the last, observed nothing."""
