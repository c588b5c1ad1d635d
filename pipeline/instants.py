"""Instants: aware and UTC inside, ISO-8601 text to the millisecond in the file, in JSON and in logs."""

from datetime import UTC, datetime, timedelta

MILLISECOND = timedelta(milliseconds=1)

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
