"""The part of the configuration that the daemon needs: replaced as a whole when the configuration is reloaded."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.collect.order import Source
from pipeline.model.renames import ConfiguredRenames
from pipeline.model.symbols import Symbol, SymbolList
from pipeline.monitoring.status import Scope
from pipeline.quota.keys import KeyPlan
from pipeline.schedule.cron import Schedule


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    """What to collect, from where, and when."""

    source: Source
    symbols: tuple[Symbol, ...]
    schedules: tuple[Schedule, ...]
    resumes: bool
    """Whether a run that was cut short is resumed later."""
    outcomes_kept: timedelta
    fresh_for: timedelta
    """A symbol observed within this time is not requested for a client that asks for it."""
    listed: SymbolList
    """All symbols, with those of single schedules."""
    renames: ConfiguredRenames
    changes_at: datetime | None
    """When to load the configuration again, since a rename comes into force then."""
    scope: Scope
    """What the status covers while this is in force."""
    plans: tuple[KeyPlan, ...] = ()
    """Of all keys that are configured: of a fleet's, other machines may hold some."""
