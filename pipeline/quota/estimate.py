"""Estimates: how much of each window is used, and when a number of requests will be done."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from pipeline import instants
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.model.slots import QuotaState
from pipeline.quota.keys import KeyPlan
from pipeline.quota.limits import Limit
from pipeline.quota.windows import Windows

_MAX_SIMULATED = 1000
"""Requests that `time_for` simulates one by one: a progress bar needs it several times a second."""


@dataclass(frozen=True, slots=True)
class KeyQuota:
    """What is known of a key's quota: what it is called, its limits, and what is used of them."""

    name: str
    limits: tuple[Limit, ...]
    state: QuotaState


@dataclass(frozen=True, slots=True)
class WindowUsage:
    """How much of one window is used."""

    limit: str
    used: int
    left: int
    next_free_at: datetime | None
    """When this window admits the next request; None: now."""
    key: str | None = None
    """What the key is called, where there are several."""


def nothing_used(plans: Iterable[KeyPlan]) -> list[KeyQuota]:
    """Return the quotas of keys with which nothing was requested yet."""
    return [KeyQuota(plan.name, plan.limits, QuotaState()) for plan in plans]


def window_usage(keys: Iterable[KeyQuota], *, now: datetime) -> list[WindowUsage]:
    """Return how much of each window of each key is used, for a process that starts now."""
    return [usage for key in keys for usage in _of_key(key, now)]


def _of_key(key: KeyQuota, now: datetime) -> Iterator[WindowUsage]:
    block = key.state.block
    ended = sorted(min(one.at, now) for one in key.state.spent)
    blocked = block.until if block is not None and block.until > now else None
    for limit in key.limits:
        used = sum(1 for at in ended if at > now - limit.period)
        free_at = ended[-limit.count] + limit.period if used >= limit.count else None
        waits = [at for at in (free_at, blocked) if at is not None]
        left = max(limit.count - used, 0)
        yield WindowUsage(str(limit), used, left, max(waits, default=None), key.name or None)


def finish_at(keys: Sequence[KeyQuota], *, requests: int, now: datetime) -> datetime | None:
    """Return when the last of that many requests may leave at the pace of the plans, for a process that starts now.

    None if there are no requests.
    """
    if not requests:
        return None
    windows = [_windows(key, now) for key in keys]
    return now + timedelta(microseconds=pace(windows, requests, now=0) // 1000)


def _windows(key: KeyQuota, now: datetime) -> Windows:
    """Return a key's windows with `now` as 0."""
    block = key.state.block
    ended = [-nanoseconds(now - min(one.at, now)) for one in key.state.spent]
    return Windows(key.limits, ended, closed_until=None if block is None else nanoseconds(block.until - now))


def used_up(limits: Sequence[Limit], at: datetime, *, blocked_by: str | None, key: str = "") -> str:
    """Return in one line that no request may leave before an instant: for a block's reason, or by the plan (None).

    `key`: what the key is called that has the first slot, where there are several.
    """
    when = f"{instants.for_people(at)} UTC" + (f", of the key {key}" if key else "")
    if blocked_by is not None:
        return f"{blocked_by}: no requests before {when}"
    whose = "every key's plan" if key else f"the plan's {', '.join(map(str, limits))}"
    return f"{whose} is used up: the next slot is free at {when}"


class Wait(NamedTuple):
    """No request may leave before an instant."""

    until: datetime
    why: str | None
    """None: what was requested before has used the plan up."""

    @classmethod
    def noted(cls, lasts: Nanoseconds, why: str | None, *, now: datetime) -> "Wait | None":
        """Return a wait; None if it has passed, or is no longer than the pace of the plan."""
        if lasts <= 0 or (why is None and lasts < nanoseconds(_PACE)):
            return None
        return cls(now + timedelta(microseconds=lasts // 1000), why)


_PACE = timedelta(seconds=2)
"""A wait for the plan that is shorter needs no mention."""
THROTTLED = "the API throttles requests"
"""The reason of a pause that a throttle begins."""


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
    at, opens_at = now, [windows.opening(now).at for windows in keys]
    for _ in range(requests):
        at = max(at, min(opens_at))
        first = next(number for number, opening in enumerate(opens_at) if opening <= at)
        keys[first].take()
        keys[first].end(at)
        opens_at[first] = keys[first].opening(at).at  # those of the others stay
    return at
