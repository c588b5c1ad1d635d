"""Firings: the last fire time of a schedule, and what came of it."""

from dataclasses import dataclass
from datetime import datetime

from pipeline.model.outcomes import RunStatus


@dataclass(frozen=True, slots=True)
class Firing:
    """The last fire time of a schedule that is in the record, and how the last run for it ended."""

    since: datetime
    """From then on fire times count."""
    scheduled_for: datetime | None = None
    status: RunStatus | None = None
    finished_at: datetime | None = None
    fruitless: int = 0
    """How many runs for it, one after another up to the last, brought no answer that could be kept."""
