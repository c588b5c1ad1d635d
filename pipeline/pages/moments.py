"""Moments: instants, days and ages as people read them. All in UTC."""

from datetime import UTC, date, datetime, timedelta

from pipeline.instants import of_day, to_text

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_DAYS_IN_MONTHS, _DAYS_IN_YEARS = 60, 730
"""From this many days on, an age is written in months, or in years."""


def day_text(day: date) -> str:
    """Return a day: `14 Mar 2026`."""
    return f"{day.day} {day:%b} {day.year}"


def short_day_text(day: date, now: date) -> str:
    """Return a day, without its year where it is that of another day: `14 Mar`."""
    return f"{day.day} {day:%b}" if day.year == now.year else day_text(day)


def long_day_text(day: date) -> str:
    """Return a day, its month in full: `14 March 2026`."""
    return f"{day.day} {day:%B} {day.year}"


def minute_text(at: datetime) -> str:
    """Return an instant to the minute: `14 Mar 2026, 18:30`."""
    in_utc = at.astimezone(UTC)
    return f"{day_text(in_utc.date())}, {in_utc:%H:%M}"


def moment_text(at: datetime) -> str:
    """Return an instant as a sentence names it: `the end of 14 March 2026`, or `18:30 on 14 March 2026`."""
    in_utc = at.astimezone(UTC)
    day = long_day_text(in_utc.date())
    if is_days_end(in_utc):
        return f"the end of {day}"
    seconds = "" if in_utc.second == in_utc.microsecond == 0 else f":{in_utc:%S}"
    return f"{in_utc:%H:%M}{seconds} on {day}"


def is_days_end(at: datetime) -> bool:
    """Whether an instant is what a day alone means: its last millisecond."""
    return to_text(at) == to_text(of_day(at.astimezone(UTC).date(), ends=True))


def age_text(age: timedelta) -> str:
    """Return an age, rounded down: `just now`, `12 min`, `5 h`, `3 d`, `4 months`, `2 years`."""
    if age < _MINUTE:
        return "just now"
    if age < _HOUR:
        return f"{age // _MINUTE}\u202fmin"
    if age < 2 * _DAY:
        return f"{age // _HOUR}\u202fh"
    days = age // _DAY
    if days < _DAYS_IN_MONTHS:
        return f"{days}\u202fd"
    if days < _DAYS_IN_YEARS:
        return f"{days * 12 // 365}\u202fmonths"
    return f"{days // 365}\u202fyears"


def ago(age: timedelta, is_past: bool = False) -> str:  # noqa: FBT001, FBT002 - a filter of templates
    """Return how long ago something was: `just now`, `5 h ago`; of a page about the past, `5 h before`."""
    if age < _MINUTE:
        return "just before" if is_past else "just now"
    return f"{age_text(age)} {'before' if is_past else 'ago'}"


def span_text(span: timedelta) -> str:
    """Return how long something took: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`."""
    seconds = span.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f}\u202fs"
    if seconds < 60:
        return f"{seconds:.0f}\u202fs"
    minutes, left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}\u202fmin {left}\u202fs" if left else f"{minutes}\u202fmin"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}\u202fh {minutes}\u202fmin" if minutes else f"{hours}\u202fh"
