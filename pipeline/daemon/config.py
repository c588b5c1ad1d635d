"""The part of the configuration that the daemon needs: replaced as a whole when the configuration is reloaded."""

from dataclasses import dataclass
from datetime import timedelta

from pipeline.collect.order import Source
from pipeline.model.symbols import Symbol, SymbolList
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
    listed: SymbolList
    """All symbols, with those of single schedules."""
