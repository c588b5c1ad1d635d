"""Instants: aware and UTC inside, ISO-8601 text to the millisecond in the file, in JSON and in logs."""

import re
from datetime import UTC, date, datetime, time, timedelta

MILLISECOND = timedelta(milliseconds=1)

EARLIEST_PLAUSIBLE = datetime(2026, 1, 1, tzinfo=UTC)
"""No clock that is right says less."""

LATEST = "9999-12-31T23:59:59.999Z"
"""The last instant that the file's texts can tell."""

Nanoseconds = int
"""An instant or a span of the process's own clock, which no step of the wall clock moves."""


def utc_now() -> datetime:
    """Return the wall clock's instant."""
    return datetime.now(UTC)


def nanoseconds(span: timedelta) -> Nanoseconds:
    """Return a span in the unit of the process's own clock."""
    return span // timedelta(microseconds=1) * 1000


def to_text(instant: datetime) -> str:
    """Return an aware instant as `2026-11-22T09:41:07.123Z`: of one length, so that text sorts as time does."""
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    return instant.isoformat(timespec="milliseconds")[:-6] + "Z"


def from_text(text: str) -> datetime:
    """Return the instant that `to_text` wrote."""
    return datetime.fromisoformat(text)


def for_people(instant: datetime) -> str:
    """Return an instant to the second, as tables show it."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


# Instants as people write them: on the command line, and in questions asked from Python


FORMS = "2026-03-14, 2026-03-14T18:30 (UTC, or with an offset: 18:30+02:00), now, today, yesterday, 7d or 3h (ago)"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_INSTANT = re.compile(
    rf"{_DAY.pattern}[T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,6}})?)?(Z|[+-][0-9]{{2}}:?[0-9]{{2}})?", re.ASCII
)
_AGO = re.compile(r"([0-9]{1,6})(m|h|d|w)", re.ASCII)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_FIRST_YEAR = 1900
"""Text of the file has years of four digits; nobody asks for earlier ones."""


def parse(text: str, *, now: datetime, day_ends: bool) -> datetime:
    """Return the instant that a person wrote. A day alone is its last millisecond in UTC, or its first.

    Raise ValueError, saying which forms there are, for anything else.
    """
    try:
        instant = _parsed(text.strip(), now, day_ends=day_ends)
        if instant.year >= _FIRST_YEAR:
            return instant
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{text[:40]!r} is no instant: write {FORMS}")


def _parsed(text: str, now: datetime, *, day_ends: bool) -> datetime:
    today = now.astimezone(UTC).date()
    match text.lower():
        case "now":
            return now
        case "today":
            return of_day(today, ends=day_ends)
        case "yesterday":
            return of_day(today - timedelta(days=1), ends=day_ends)
    if ago := _AGO.fullmatch(text.lower()):
        return now - int(ago[1]) * _UNITS[ago[2]]
    if _DAY.fullmatch(text):
        return of_day(date.fromisoformat(text), ends=day_ends)
    if not _INSTANT.fullmatch(text.upper()):
        raise ValueError(text)
    instant = datetime.fromisoformat(text.upper())
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def of_day(day: date, *, ends: bool) -> datetime:
    """Return the last millisecond of a day in UTC, or its first."""
    return datetime.combine(day, time(23, 59, 59, 999_000) if ends else time(), UTC)
