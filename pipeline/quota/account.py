"""Accounts: what is used of one key's plan, and when the next request with it may leave."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.api.errors import ApiError, Throttled, Unavailable
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.model.slots import KeyId, Permit, QuotaState, Slot
from pipeline.quota.block import QuotaBlock
from pipeline.quota.estimate import THROTTLED
from pipeline.quota.keys import KeyPlan
from pipeline.quota.limits import PERIODS, retry_limits
from pipeline.quota.throttle import Throttle
from pipeline.quota.windows import Windows

ABANDONED = "abandoned"
"""The ledger's outcome of a request that we cancelled: it may still arrive, so it counts from its deadline."""
MOST_UNSTORED = 320
"""Requests of a key without limits that may be out, or answered and not in the ledger yet: more than 32 workers use."""
_STORED_AT_ONCE = 16
_NO_ANSWER = frozenset({ABANDONED, Unavailable.kind})
"""Outcomes that do not show whether the API still throttles."""


@dataclass(frozen=True, slots=True)
class Free:
    """When an account has its next slot."""

    at: Nanoseconds
    quota_at: Nanoseconds
    """By windows and block alone: a pause is short, and counts for nothing when the quota's end is judged."""
    certain: bool
    """Whether that does not depend on an answer still awaited."""


class Account:
    """One key: its windows, the share of its retries, its block and its throttle. It has no clock."""

    def __init__(self, key: KeyId, plan: KeyPlan, state: QuotaState, *, wall: datetime, monotonic: Nanoseconds) -> None:
        spent = [(_monotonic(one.at, wall, monotonic), one.retry) for one in state.spent]
        self.key = key
        self.name = plan.name
        self.limits = plan.limits
        self.windows = Windows(plan.limits, [at for at, _ in spent])
        self.retries = Windows(retry_limits(plan.limits), [at for at, is_retry in spent if is_retry])
        self.block = QuotaBlock(state.block, last_request_id=state.last_request_id, wall=wall, monotonic=monotonic)
        has_day_window = any(limit.period >= PERIODS["day"] for limit in plan.limits)
        self._throttle = Throttle(has_day_window=has_day_window, is_probing=self.block.is_set, now=monotonic)
        self.refusal: ApiError | None = None
        """Why the API refuses the key itself, if it does: it gets no more slots."""
        self._unstored = self._being_written = 0

    def free(self, now: Nanoseconds) -> Free:
        """Return when the next slot is free."""
        if self._unstored >= MOST_UNSTORED:
            return Free(now + 1, now, certain=False)  # with the next commit
        opening, pause = self.windows.opening(now), self._throttle.opening(now)
        quota_at = max(opening.at, self.block.until)
        if pause.at > quota_at:
            return Free(pause.at, quota_at, pause.certain)
        return Free(quota_at, quota_at, opening.certain if opening.at >= self.block.until else True)

    def may_retry(self, now: Nanoseconds) -> bool:
        """Return whether the fifth of the day's allowance that is for retries has a slot left."""
        return self.retries.opening(now).at <= now

    def take(self, *, retry: bool) -> Permit:
        """Count one more slot, until it is closed or given back."""
        self.windows.take()
        if retry:
            self.retries.take()
        if not self.limits:
            self._unstored += 1
        return self._throttle.permit()

    def close(self, slot: Slot, outcome: str, *, now: Nanoseconds) -> None:
        """Note that the slot's answer is back, and what it says of the throttle, or that the request was abandoned."""
        ended = max(now, slot.deadline) if outcome == ABANDONED else now
        self.windows.end(ended)
        if slot.retry:
            self.retries.end(ended)
        if outcome in _NO_ANSWER:
            self._throttle.release(slot.permit)
        elif outcome != Throttled.kind:
            self._throttle.resume(slot.permit)

    def note_unstored(self) -> bool:
        """Note that a slot of a key without limits is being written. Return whether to call `note_stored` afterwards.

        Slots are written in their order, so it is enough to hear of some: each call costs as much as all else here.
        """
        self._being_written += 1
        return self._being_written % _STORED_AT_ONCE == 0

    def note_stored(self) -> None:
        """Note that a slot after which `note_unstored` asked for this is in the ledger, and so all before it."""
        self._unstored -= _STORED_AT_ONCE

    def give_back(self, slot: Slot) -> None:
        """Note that the slot's request never left."""
        self.windows.give_back()
        if slot.retry:
            self.retries.give_back()
        self._throttle.release(slot.permit)

    def admits(self, slot: Slot) -> bool:
        """Return whether nothing has forbidden the slot's request since it was taken."""
        return self.refusal is None and self._throttle.still_admits(slot.permit)

    def pause(self, error: Throttled, slot: Slot, *, now: Nanoseconds) -> None:
        """Pause after a throttle. Raise QuotaEnded if it means that the quota has ended."""
        self._throttle.pause(error, slot.permit, now=now)

    def revoke(self) -> None:
        """Let no request leave that has its slot already: the quota has ended. The next one goes alone."""
        self._throttle.revoke()

    def why_closed(self, now: Nanoseconds) -> str | None:
        """Return why there is no slot before the next free one; None if it is the windows."""
        free = self.free(now)
        if free.at > free.quota_at:
            return THROTTLED
        return self.block.reason if self.block.until > self.windows.opening(now).at else None

    def used_up_for(self, now: Nanoseconds) -> timedelta:
        """Return how long the windows and the block leave no slot."""
        return timedelta(microseconds=max(self.free(now).quota_at - now, 0) // 1000)


def _monotonic(at: datetime, wall: datetime, monotonic: Nanoseconds) -> Nanoseconds:
    """Return the wall clock's instant on the monotonic clock; one in the future as now."""
    return monotonic - max(nanoseconds(wall - at), 0)
