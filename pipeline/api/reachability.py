"""Reachability: what the API's host answered, or why there is no connection; values that need no HTTP library."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Answer:
    """What the host answered."""

    status: int
    took: timedelta
    ahead: timedelta | None
    """How far this machine's clock is ahead of the host's, to about a second; None if the answer has no `Date`."""
    date: datetime | None = None
    """The host's time by its `Date`, to the second."""
    named: "Answer | Reason | None" = None
    """What the host of `source.time_url` said, which is asked if this answer has no `Date`; None: it was not asked."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why there is no connection, and what to do."""

    problem: str
    remedy: str
