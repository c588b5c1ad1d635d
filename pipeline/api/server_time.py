"""The server's time, as the `Date` of its answers says it to the second."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

from pipeline import instants

MOST_OFF = timedelta(minutes=5)
"""How far a clock may be from the server's: what it dates seems to have been known so much earlier, or later."""
_A_SECOND = timedelta(seconds=1)
_YEARS = 1, 9999
"""A `Date` of the first or last year that can be written leaves no room to compare with."""


def credible_until(now: datetime) -> datetime:
    """Return the latest instant that is not from the future; by a clock that is not set, nothing is judged to be."""
    return datetime.max.replace(tzinfo=UTC) if now < instants.EARLIEST_PLAUSIBLE else now + MOST_OFF


@dataclass(frozen=True, slots=True)
class ServerTime:
    """What the server's clock shows: no earlier than `earliest`, and no later than `latest`."""

    earliest: datetime
    latest: datetime

    @classmethod
    def of(cls, date: datetime, *, took: timedelta) -> "ServerTime":
        """Return what it shows now, by a `Date` that was written while the answer was awaited, for `took`."""
        return cls(date, date + _A_SECOND + took)

    def is_within(self, span: timedelta, at: datetime) -> bool:
        """Return whether an instant is no further away than that."""
        return self.earliest - span <= at <= self.latest + span


def dates(headers: Mapping[str, str]) -> tuple[datetime, ...]:
    """Return when an answer was made and, where it has waited in a cache, when it left that; nothing without `Date`."""
    return _dates(headers.get("Date", ""), headers.get("Age", "0"))


@lru_cache(maxsize=16)
def _dates(date: str, age: str) -> tuple[datetime, ...]:
    """Return what `dates` does. Without limits, a thousand answers have the same second."""
    try:
        made = parsedate_to_datetime(date)
        made = made.replace(tzinfo=made.tzinfo or UTC).astimezone(UTC)
        left = made + timedelta(seconds=int(age[:9]))
    except (TypeError, ValueError, OverflowError):
        return ()
    if not all(_YEARS[0] < at.year < _YEARS[1] for at in (made, left)):
        return ()
    return (made,) if left == made else (made, left)
