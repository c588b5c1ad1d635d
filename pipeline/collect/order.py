"""Orders: what one run has to do, and the source that it collects from."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.model.outcomes import Trigger
from pipeline.model.symbols import Symbol, SymbolList
from pipeline.quota.keys import ApiKey, all_limits
from pipeline.quota.limits import Limit


@dataclass(frozen=True, slots=True)
class Source:
    """The API that overviews come from, and the keys to request them with."""

    base_url: str
    keys: tuple[ApiKey, ...]
    concurrency: int
    timeout: timedelta
    wait: timedelta
    """How long a run waits for a free slot before it ends for want of quota."""
    attempts: int
    proxy: str | None = field(default=None, repr=False)
    """The URL of an HTTP proxy, with user and password if it wants them."""
    time_url: str | None = None
    """A URL of a host that is asked for the time where the API's does not say it."""

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limits of all keys, each once."""
        return all_limits([key.plan for key in self.keys])


@dataclass(frozen=True, slots=True)
class Order:
    """What one run has to do."""

    symbols: tuple[Symbol, ...]
    observed_since: datetime | None
    """Request the symbols without an observation since this instant; None: request all, whatever their age."""
    trigger: Trigger = Trigger.MANUAL
    max_requests: int | None = None
    schedule: str | None = None
    """The schedule that the run is for, if any, and its fire time."""
    scheduled_for: datetime | None = None
    listed: SymbolList | None = None
    """The configured list, unless somebody named the symbols."""
