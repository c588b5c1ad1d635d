"""Estimates: how much of each window is used, and when a number of requests will be done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline import instants
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.model.slots import QuotaState
from pipeline.quota.limits import Limit
from pipeline.quota.windows import Windows

_MAX_SIMULATED = 1000
"""Requests that `time_for` simulates one by one: a progress bar needs it several times a second."""


@dataclass(frozen=True, slots=True)
class WindowUsage:
    """How much of one window is used."""

    limit: str
    used: int
    left: int
    next_free_at: datetime | None
    """When this window admits the next request; None: now."""


def window_usage(limits: Sequence[Limit], state: QuotaState, *, now: datetime) -> list[WindowUsage]:
    """Return how much of each window is used, for a process that starts now."""
    ended = sorted(min(one.at, now) for one in state.spent)
    blocked = state.block.until if state.block is not None and state.block.until > now else None
    usages = []
    for limit in limits:
        used = sum(1 for at in ended if at > now - limit.period)
        free_at = ended[-limit.count] + limit.period if used >= limit.count else None
        waits = [at for at in (free_at, blocked) if at is not None]
        usages.append(WindowUsage(str(limit), used, max(limit.count - used, 0), max(waits, default=None)))
    return usages


def finish_at(limits: Sequence[Limit], state: QuotaState, *, requests: int, now: datetime) -> datetime | None:
    """Return when the last of that many requests may leave at the plan's pace, for a process that starts now.

    None if there are no requests.
    """
    if not requests:
        return None
    start = max(now, state.block.until) if state.block is not None else now
    windows = Windows(limits, [-nanoseconds(start - min(one.at, start)) for one in state.spent])
    return start + timedelta(microseconds=pace([windows], requests, now=0) // 1000)


def used_up(limits: Sequence[Limit], at: datetime, *, blocked_by: str | None) -> str:
    """Return in one line that no request may leave before an instant: for a block's reason, or by the plan (None)."""
    when = f"{instants.for_people(at)} UTC"
    if blocked_by is not None:
        return f"{blocked_by}: no requests before {when}"
    return f"the plan's {', '.join(map(str, limits))} is used up: the next slot is free at {when}"


Plan = tuple[Sequence[Limit], Windows]
"""A key's limits, and what is used of them."""


def remaining(plans: Sequence[Plan], *, now: Nanoseconds) -> int | None:
    """Return how many requests the longest window of each key still admits, None where one has no window."""
    if not all(limits for limits, _ in plans):
        return None
    longest = [(max(limits, key=lambda limit: limit.period), windows) for limits, windows in plans]
    return sum(max(limit.count - windows.used(limit, now), 0) for limit, windows in longest)


def time_for(plans: Sequence[Plan], requests: int, *, now: Nanoseconds) -> timedelta:
    """Return how long that many requests take at the pace of the plans, if each is answered at once.

    The first thousand are simulated; beyond, they come at the rates of the slowest limit of each key.
    """
    simulated = min(requests, _MAX_SIMULATED)
    if not plans or not all(limits for limits, _ in plans):
        return timedelta()
    first = pace([windows.copy() for _, windows in plans], simulated, now=now) - now
    rate = sum(min(limit.count / limit.period.total_seconds() for limit in limits) for limits, _ in plans)
    return timedelta(microseconds=first // 1000, seconds=(requests - simulated) / rate)


def pace(keys: Sequence[Windows], requests: int, *, now: Nanoseconds) -> Nanoseconds:
    """Return when the last of that many requests may leave, each with the key that has a slot first.

    Each is taken to be answered at once. Uses the windows up.
    """
    at = now
    for _ in range(requests):
        windows = min(keys, key=lambda one: one.opening(at).at)
        at = windows.opening(at).at
        windows.take()
        windows.end(at)
    return at
