"""Instants in questions: what a caller may pass, and the bounds of a query made of it."""

from datetime import UTC, date, datetime, timedelta

from pipeline import instants
from pipeline.text import quoted

InstantLike = datetime | date | str
"""An aware datetime, a day, or text as on the command line: `2026-03-14`, `2026-03-14T18:30Z`, `7d`, `yesterday`."""


SpanLike = timedelta | str
"""A span of time, or text as on the command line: `90m`, `48h`, `1d`, `2w`."""


def span(given: SpanLike) -> timedelta:
    """Return the span. Raise ValueError for other text, and TypeError for anything else, such as a bare number."""
    if isinstance(given, str):
        return instants.parse_span(given)
    if not isinstance(given, timedelta):
        raise TypeError(f"{quoted(given)} is not a span of time: pass a timedelta, or text such as '48h' or '1d'")
    return given


def bound(given: SpanLike | None) -> timedelta | None:
    """Return a bound of staleness; None: no bound. Raise as `span` does."""
    return None if given is None else span(given)


class BeyondHorizon(ValueError):
    """A question is about an instant after the last one that is shown."""


def instant(given: InstantLike, *, day_ends: bool, horizon: datetime | None = None) -> datetime:
    """Return the instant in UTC; of a day its last millisecond or its first. Raise ValueError for any other value.

    With a horizon, "now" is there, the day that it lies in ends there, and BeyondHorizon is raised for a later instant.
    """
    if horizon is None:
        return _instant(given, instants.utc_now(), day_ends=day_ends)
    found = _instant(given, horizon, day_ends=day_ends)
    if found > horizon and _instant(given, horizon, day_ends=False) > horizon:
        raise beyond(found, horizon)
    return min(found, horizon)


def beyond(at: datetime, horizon: datetime) -> BeyondHorizon:
    """Return the error for a question about an instant after the horizon."""
    asked, last = instants.to_text(at), instants.to_text(horizon)
    return BeyondHorizon(f"{asked} is after {last}, up to which the record is shown: ask for an earlier instant")


def _instant(given: InstantLike, now: datetime, *, day_ends: bool) -> datetime:
    if isinstance(given, str):
        return instants.parse(given, now=now, day_ends=day_ends)
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise ValueError(f"{given} has no time zone: pass an aware one, as in datetime(2026, 3, 14, tzinfo=UTC)")
        in_utc = given.astimezone(UTC)
        return datetime.combine(in_utc.date(), in_utc.time(), UTC)  # pandas has a datetime with nanoseconds
    return instants.of_day(given, ends=day_ends)


def day_or_instant(given: InstantLike, *, horizon: datetime | None = None) -> date | datetime:
    """Return the day of a day, else the instant in UTC. Raise ValueError as `instant` does."""
    begins = instant(given, day_ends=False, horizon=horizon)
    if isinstance(given, str):
        return instants.parse_day_or_instant(given, now=horizon or instants.utc_now())
    return begins if isinstance(given, datetime) else given


def since_text(given: InstantLike | None, *, horizon: datetime | None = None) -> str:
    """Return the lower bound as stored texts are compared; None: no bound."""
    return "" if given is None else instants.to_text(instant(given, day_ends=False, horizon=horizon))


def until_text(given: InstantLike | None, *, horizon: datetime | None = None) -> str:
    """Return the upper bound as stored texts are compared; None: no bound but the horizon."""
    if given is not None:
        return instants.to_text(instant(given, day_ends=True, horizon=horizon))
    return instants.LATEST if horizon is None else instants.to_text(horizon)


def seen_since_text(at: datetime, max_staleness: timedelta | None) -> str:
    """Return the earliest last observation that is not too stale at an instant; None: no bound."""
    longest = at - datetime.min.replace(tzinfo=UTC)
    return "" if max_staleness is None or max_staleness > longest else instants.to_text(at - max_staleness)
