"""Estimates: how much of each window is used, and when a number of requests will be done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.model.slots import Block, SpentSlot
from pipeline.quota.limits import Limit
from pipeline.quota.windows import Windows


def pace(windows: Windows, requests: int, *, now: Nanoseconds) -> Nanoseconds:
    """Return when the last of so many requests may leave, if each answer came at once. Uses the windows up."""
    at = now
    for _ in range(requests):
        at = windows.opening(at).at
        windows.take()
        windows.end(at)
    return at


@dataclass(frozen=True, slots=True)
class WindowUsage:
    """How much of one window is used."""

    limit: str
    used: int
    left: int
    next_free_at: datetime | None
    """When the next request may go; None: now, as far as this window is concerned."""


def window_usage(
    limits: Sequence[Limit], spent: Sequence[SpentSlot], block: Block | None, *, now: datetime
) -> list[WindowUsage]:
    """Return how much of each window is used, as a process that began now would reckon."""
    ended = sorted(min(one.at, now) for one in spent)
    blocked = block.until if block is not None and block.until > now else None
    states = []
    for limit in limits:
        used = sum(1 for at in ended if at > now - limit.period)
        free_at = ended[-limit.count] + limit.period if used >= limit.count else None
        waits = [at for at in (free_at, blocked) if at is not None]
        states.append(WindowUsage(str(limit), used, max(limit.count - used, 0), max(waits, default=None)))
    return states


def finish_at(
    limits: Sequence[Limit], spent: Sequence[SpentSlot], block: Block | None, *, requests: int, now: datetime
) -> datetime | None:
    """Return when the last of so many requests may leave at the plan's pace, None if there are none."""
    if not requests:
        return None
    start = max(now, block.until) if block is not None else now
    windows = Windows(limits, [-nanoseconds(start - min(one.at, start)) for one in spent])
    return start + timedelta(microseconds=pace(windows, requests, now=0) // 1000)
