"""Instants: aware and UTC inside, ISO-8601 text to the millisecond in the file, in JSON and in logs."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MILLISECOND = timedelta(milliseconds=1)

Nanoseconds = int
"""An instant or a span of the process's own clock, which no step of the wall clock moves."""
Sleep = Callable[[float], Awaitable[None]]
"""Waits so many seconds."""


def utc_now() -> datetime:
    """Return the wall clock's instant."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """The time, as a run is told it: the wall clock, the process's own, and a way to wait."""

    now: Callable[[], datetime] = utc_now
    own: Callable[[], Nanoseconds] = time.monotonic_ns
    sleep: Sleep = asyncio.sleep


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
