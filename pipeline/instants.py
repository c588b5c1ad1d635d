"""Timestamps: aware and in UTC inside, ISO-8601 text to the millisecond in the database, in JSON and in logs.

Here are the only parsers of timestamps that come from outside: `parse` and `parse_received`.
"""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from pipeline.errors import Undecodable
from pipeline.text import quoted

MILLISECOND = timedelta(milliseconds=1)
DAY_TOLERANCE = timedelta(hours=4)
"""A daily schedule comes round this much early at most, with all that delays one run and not the next."""

EARLIEST_PLAUSIBLE = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock that shows less is wrong."""

EARLIEST_RECEIVED = datetime(2017, 1, 1, tzinfo=UTC)
"""Nobody received an answer of the API earlier: there was none."""

LATEST = "9999-12-31T23:59:59.999Z"
"""The last instant that the database's text can hold."""

Nanoseconds = int
"""A reading of the monotonic clock, or a span."""


def utc_now() -> datetime:
    """Return what the wall clock shows."""
    return datetime.now(UTC)


def nanoseconds(span: timedelta) -> Nanoseconds:
    """Return a span in the unit of the monotonic clock."""
    return span // timedelta(microseconds=1) * 1000


def in_milliseconds(instant: datetime) -> datetime:
    """Return an instant without what is finer than a millisecond, as the database stores instants."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def scheduled_days(number: int) -> timedelta:
    """Return a wait of some days that ends before a daily schedule fires again: less by DAY_TOLERANCE.

    After exactly 24 hours the schedule would miss it by milliseconds, and lose a day.
    """
    return timedelta(days=number) - DAY_TOLERANCE


def to_text(instant: datetime) -> str:
    """Return an aware instant as `2026-11-22T09:41:07.123Z`: always as long, so that text sorts by time."""
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    return instant.isoformat(timespec="milliseconds")[:-6] + "Z"


def from_text(text: str) -> datetime:
    """Return the instant that `to_text` wrote. Raise Undecodable for text that it cannot have written."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is not UTC:
        raise Undecodable(f"invalid timestamp {quoted(text)}")
    return instant


def date_from_text(text: str) -> date:
    """Return a stored date, such as a fiscal quarter's end. Raise Undecodable for any other text."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Undecodable(f"invalid date {quoted(text)}") from None


def for_people(instant: datetime) -> str:
    """Return an instant to the second, as tables and messages show it: `2026-11-22 09:41:07`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def text_for_people(text: str) -> str:
    """Return a stored instant, which may be damaged, as messages show it: `2026-11-22 09:41:07 UTC`."""
    return f"{text[:19].replace('T', ' ')} UTC"


FORMS = "2026-03-14, 2026-03-14T18:30Z, 2026-03-14T18:30+02:00, now, today, yesterday, 7d or 3h (ago)"
"""The spellings that `parse` accepts, for messages and help."""
_ISO_FORMS = "2026-03-14T18:30:00Z or 2026-03-14"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ISO = re.compile(
    rf"({_DAY})(?:[Tt ]((?:[01][0-9]|2[0-3]):[0-9]{{2}}(?::[0-9]{{2}})?)"
    r"(?:(?<=:[0-9]{2}:[0-9]{2})[.,]([0-9]{1,9}))?"
    r"([Zz]|[-+][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_UTC_OFFSET = {None: "+00:00", "Z": "+00:00", "z": "+00:00"}
_AGO = re.compile(r"([0-9]{1,6})([mhdw])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
FIRST_YEAR = 1900
"""The database's text has years of four digits; questions about earlier ones are mistakes."""
_FIRST_YEAR_RECEIVED = 1970


def parse(text: str, *, now: datetime, day_ends: bool) -> datetime:
    """Return the instant that a person wrote, on the command line or in a question from Python.

    A day alone is its last millisecond in UTC, or its first. What is finer than a microsecond is cut off: an answer
    must not look ahead. Raise ValueError, naming FORMS, for anything else.
    """
    try:
        instant = _parse(text.strip().lower(), now, day_ends=day_ends)
        if instant.year >= FIRST_YEAR:
            return instant
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"invalid timestamp {quoted(text)}: use {FORMS}")


def parse_span(text: str) -> timedelta:
    """Return the span that a person wrote, such as 90m, 3h, 1d or 2w. Raise ValueError for anything else."""
    span = _AGO.fullmatch(text.strip().lower())
    if span is None:
        raise ValueError(f"invalid span {quoted(text)}: use 90m, 3h, 1d or 2w")
    return int(span[1]) * _UNITS[span[2]]


_SHIFT = re.compile(r"([-+]?)((?:[0-9]{1,9}[wdhm])*)(?:([0-9]{1,9}(?:\.[0-9]{1,3})?)s)?")


def parse_shift(text: str) -> timedelta:
    """Return the step that a person wrote, such as -25h, +3d or -1d2h30m0.5s. Raise ValueError for anything else."""
    step = _SHIFT.fullmatch(text.strip().lower())
    span = timedelta()
    if step is not None:
        sign, parts, seconds = step.groups()
        try:
            span = sum((int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]{1,9})([a-z])", parts)), span)
            span += timedelta(milliseconds=round(float(seconds or 0) * 1000))
            span = -span if sign == "-" else span
        except OverflowError:
            span = timedelta()
    if not span:
        raise ValueError(f"invalid shift {quoted(text)}: use -25h, +3d or -1d2h30m15s")
    return span


def parse_day_or_instant(text: str, *, now: datetime) -> date | datetime:
    """Return what a person wrote: the day (in UTC) of a day, else the instant. Raise ValueError as `parse` does."""
    start, end = (parse(text, now=now, day_ends=ends) for ends in (False, True))
    return start if start == end else start.date()


def _parse(text: str, now: datetime, *, day_ends: bool) -> datetime:
    today = now.astimezone(UTC).date()
    match text:
        case "now":
            return now
        case "today":
            return of_day(today, ends=day_ends)
        case "yesterday":
            return of_day(today - timedelta(days=1), ends=day_ends)
    if ago := _AGO.fullmatch(text):
        return now - int(ago[1]) * _UNITS[ago[2]]
    instant, fraction = _parse_iso(text, day_ends=day_ends)
    return instant + timedelta(microseconds=fraction // 1_000)


def parse_received(text: str) -> datetime:
    """Return when something was received, of ISO-8601 text. Raise ValueError for any other text, or before 1970.

    Nothing may count as known earlier than it was: a date alone is its last millisecond in UTC, and what is finer than
    a millisecond is rounded up.
    """
    try:
        instant, fraction = _parse_iso(text, day_ends=True)
        received = instant + timedelta(milliseconds=-(-fraction // 1_000_000))
    except (ValueError, OverflowError):
        raise ValueError(f"invalid timestamp {quoted(text)}: use {_ISO_FORMS}") from None
    if received.year < _FIRST_YEAR_RECEIVED:
        raise ValueError(f"invalid timestamp {quoted(text)}: it is before {_FIRST_YEAR_RECEIVED}")
    return received


class NoTimeZone(ValueError):
    """A time of day was given without its offset from UTC, where none may be assumed."""


def parse_recorded(text: str, zone: tzinfo | None) -> datetime:
    """Return the instant, in UTC, that a row of a table holds as ISO-8601 text. Raise ValueError for any other text.

    What is known later than the instant must not count: what is finer than a millisecond is cut off. A date alone is
    its last millisecond in UTC. A time without an offset is one of the zone, as in `in_zone`.
    """
    spelling = _ISO.fullmatch(text.strip())
    if spelling is None:
        raise ValueError(f"invalid timestamp {quoted(text)}: use {_ISO_FORMS}")
    day, clock, fraction, offset = spelling.groups()
    try:
        if clock is None:
            return of_day(date.fromisoformat(day), ends=True)
        instant = datetime.fromisoformat(f"{day}T{clock}{_UTC_OFFSET.get(offset, offset) if offset else ''}")
        if fraction:
            instant = instant.replace(microsecond=int(fraction.ljust(3, "0")[:3]) * 1000)
        return instant.astimezone(UTC) if offset else in_zone(instant, zone)
    except NoTimeZone:
        raise
    except (ValueError, OverflowError) as error:
        raise ValueError(f"invalid timestamp {quoted(text)}: {error}") from None


def in_zone(wall_clock: datetime, zone: tzinfo | None) -> datetime:
    """Return the instant, in UTC, at which the clocks of a zone show this; the first, if they show it twice.

    Raise NoTimeZone without a zone, and ValueError for a time that its clocks skip.
    """
    if zone is None:
        raise NoTimeZone(f"{wall_clock} has no time zone")
    first, second = (wall_clock.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first > second:
        raise ValueError(f"the clocks of {zone} skip {wall_clock}")
    return first


def _parse_iso(text: str, *, day_ends: bool) -> tuple[datetime, Nanoseconds]:
    """Return the instant, in UTC, of ISO-8601 text, and the fraction of a second after it; without an offset it is UTC.

    Raise ValueError or OverflowError for any other text. (`fromisoformat` alone also takes weeks, and hours alone.)
    """
    spelling = _ISO.fullmatch(text)
    if spelling is None:
        raise ValueError(text)
    day, clock, fraction, offset = spelling.groups()
    if clock is None:
        return of_day(date.fromisoformat(day), ends=day_ends), 0
    instant = datetime.fromisoformat(f"{day}T{clock}{_UTC_OFFSET.get(offset, offset)}").astimezone(UTC)
    return instant, int((fraction or "").ljust(9, "0"))


def of_day(day: date, *, ends: bool) -> datetime:
    """Return the last millisecond of a day in UTC, or its first."""
    return datetime.combine(day, time(23, 59, 59, 999_000) if ends else time(), UTC)
