"""A key as this process sees it: what PostgreSQL last said of it, and what this process has done with it since."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from pipeline.api.errors import ApiError, QuotaEnded, Throttled
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.model.outcomes import RunId
from pipeline.model.slots import KeyId, Permit, QuotaState, Slot
from pipeline.quota import estimate
from pipeline.quota.block import BY_THE_API
from pipeline.quota.keys import KeyPlan
from pipeline.quota.limits import PERIODS, retry_limits
from pipeline.quota.throttle import refuse_quota_end
from pipeline.quota.windows import Windows
from pipeline.store.requests import UNSENT

_ANSWERED = "answered"

_LOOK_AGAIN = nanoseconds(timedelta(seconds=1))
"""After how long PostgreSQL is asked at the latest, for as long as somebody waits: another member may have given a slot
back, or a pause may be over sooner."""
_POLL = nanoseconds(timedelta(milliseconds=50))
"""The same where the next slot depends on an answer that another member awaits."""


class Verdict(NamedTuple):
    """What `fleet.reserve` says of one symbol, and of the key. Instants are PostgreSQL's."""

    verdict: str
    slot: int | None
    at: datetime
    free_at: datetime
    quota_at: datetime
    certain: bool
    covers: int
    pauses: int
    paused_since: datetime | None
    blocked_by: str | None
    remaining: int | None
    retries_left: int | None


class KeyView:
    """One key. It has no clock."""

    def __init__(self, key: KeyId, plan: KeyPlan, state: QuotaState, *, at: datetime, now: Nanoseconds) -> None:
        """Start from the state, which was read when PostgreSQL's clock showed `at` and the process's own `now`."""
        self.key = key
        self.name = plan.name
        self.limits = plan.limits
        self.windows = Windows(plan.limits, [now - max(nanoseconds(at - one.at), 0) for one in state.spent])
        """As far as this process knows: for estimates."""
        self.remaining = estimate.remaining([(plan.limits, self.windows)], now=now)
        """How many requests the longest window admits, None where there is no window."""
        retried = Windows(
            retry_limits(plan.limits), [now - max(nanoseconds(at - o.at), 0) for o in state.spent if o.retry]
        )
        self.retries_left: int | None = None if retried.opening(now).at <= now else 0
        """How many more retries the day's share admits, as far as that is known."""
        self.refusal: ApiError | None = None
        """Why the API refuses the key itself, if it does: the runs that have met it get no more slots of it."""
        self._refused_in = set[RunId]()
        self.ask_at = now
        """When to ask for a slot again."""
        self.free_at = now
        """When PostgreSQL gives a slot, by its last word; no sooner than it gives back what others have out."""
        self.quota_at = now
        """When windows and block admit the next request: a pause counts for nothing when the quota's end is judged."""
        self.quota_at_wall = at
        self.blocked_by: str | None = None
        """Why, if it is not the windows; empty if the API said so."""
        self.is_pausing = False
        """Whether PostgreSQL does not know yet that the key is paused."""
        self._is_certain = True
        self._covers = 0
        self._last_slot = 0
        self._throttled_since = now
        self._has_day_window = any(limit.period >= PERIODS["day"] for limit in plan.limits)

    def hear(self, verdicts: Sequence[Verdict], *, asked: Nanoseconds, now: Nanoseconds) -> None:
        """Take over what PostgreSQL said when it was asked for slots."""
        one = next((verdict for verdict in verdicts if verdict.verdict == "wait"), verdicts[0])
        self.cover(one.covers)
        self.remaining, self.retries_left = one.remaining, one.retries_left
        if one.paused_since is not None:
            self._throttled_since = asked - nanoseconds(one.at - one.paused_since)
        self.quota_at, self.quota_at_wall, self.blocked_by = asked, one.at, None
        self.ask_at, self.free_at, self._is_certain = now, now, True
        if one.verdict == "wait":
            self.quota_at += nanoseconds(one.quota_at - one.at)
            self.quota_at_wall, self.blocked_by, self._is_certain = one.quota_at, one.blocked_by, one.certain
            self.free_at = asked + nanoseconds(one.free_at - one.at)
            self.ask_at = max(min(self.free_at, now + (_LOOK_AGAIN if one.certain else _POLL)), now + 1)

    def used_up(self) -> QuotaEnded:
        """Return why a run ends that would have to wait until `quota_at`."""
        return QuotaEnded(estimate.used_up(self.limits, self.quota_at_wall, blocked_by=self._blocked_by()))

    def waits_for(self, now: Nanoseconds) -> Nanoseconds | None:
        """Return how long it has no slot; None if that depends on an answer."""
        return max(self.free_at - now, 0) if self._is_certain else None

    def why_closed(self) -> str | None:
        """Return why it has no slot until then; None if it is the windows."""
        return estimate.THROTTLED if self.free_at > self.quota_at else self._blocked_by()

    def _blocked_by(self) -> str | None:
        return None if self.blocked_by is None else self.blocked_by or BY_THE_API

    def cover(self, slot: int) -> None:
        """Note that no slot up to this one may be sent any more."""
        self._covers = max(self._covers, slot)

    def taken(self, slot: Slot) -> None:
        """Count a slot that was granted."""
        self._last_slot = max(self._last_slot, slot.id)
        self.windows.take()

    def closed(self, outcome: str, *, now: Nanoseconds) -> None:
        """Note that one of its slots has been closed; UNSENT: given back."""
        is_sent = outcome != UNSENT
        if outcome == _ANSWERED:
            self.refusal = None
        if is_sent:
            self.windows.end(now)
        else:
            self.windows.give_back()
        if not self._is_certain:
            self.ask_at = now

    def admits(self, slot: Slot) -> bool:
        """Return whether nothing has forbidden the slot's request since it was taken."""
        return self.is_usable(slot.run) and slot.id > self._covers

    def is_usable(self, run: RunId) -> bool:
        """Return whether a run may have slots: a later one tries a key again that the API has refused."""
        return run not in self._refused_in

    def refuse(self, run: RunId, error: ApiError) -> bool:
        """Note that the API refuses the key. Return whether the run did not know it."""
        is_new = run not in self._refused_in
        self._refused_in.add(run)
        self.refusal = error
        return is_new

    def throttle(self, error: Throttled, slot: Slot, *, now: Nanoseconds) -> bool:
        """Note a throttle. Return whether it begins a pause, which the caller has to tell PostgreSQL.

        Raise QuotaEnded if it means that the quota has ended.
        """
        if slot.id <= self._covers:
            return False  # sent before the pause: refused together with the one that began it
        if slot.permit.pauses:
            lasted = now - self._throttled_since
            refuse_quota_end(error, throttled_for=lasted, has_day_window=self._has_day_window)
        self.revoke(slot)
        self.is_pausing = True
        return True

    def revoke(self, slot: Slot) -> None:
        """Let none of the slots that were taken so far be sent: the API has refused the request of this one."""
        self.cover(max(self._last_slot, slot.id))

    def permit(self, verdict: Verdict) -> Permit:
        """Return the permit of a slot: after how many pauses in a row it was given."""
        return Permit(verdict.pauses, alone=verdict.pauses > 0)
