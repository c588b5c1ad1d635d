"""The server's time, as the `Date` of its answers says it to the second."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

MOST_OFF = timedelta(minutes=5)
"""How far a clock may be from the server's: what it dates seems to have been known so much earlier, or later."""
_A_SECOND = timedelta(seconds=1)
_YEARS = 1, 9999
"""A `Date` of the first or last year that can be written leaves no room to compare with."""


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
    try:
        made = parsedate_to_datetime(headers["Date"])
        made = made.replace(tzinfo=made.tzinfo or UTC).astimezone(UTC)
        left = made + timedelta(seconds=int(headers.get("Age", "0")[:9]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return ()
    if not all(_YEARS[0] < at.year < _YEARS[1] for at in (made, left)):
        return ()
    return (made,) if left == made else (made, left)
