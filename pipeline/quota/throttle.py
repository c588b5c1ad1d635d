"""Throttle: no request with a key while the API throttles it; then one request alone, to test it."""

from datetime import timedelta

from pipeline.api.errors import QuotaEnded, Throttled
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.model.slots import Permit
from pipeline.quota.windows import Opening

FIRST_PAUSE = timedelta(seconds=2)
"""Doubled for each throttle that follows on the last one."""
LONGEST_PAUSE = timedelta(minutes=2)
PATIENCE = timedelta(seconds=60)
"""When every answer for this long was a throttle, the quota has ended."""


class Throttle:
    """The pauses of one key. A value with no clock: instants are arguments. The refusals of one burst count as one."""

    def __init__(self, *, has_day_window: bool, is_probing: bool, now: Nanoseconds) -> None:
        self._has_day_window = has_day_window
        self._is_paused = is_probing
        self._has_probe = False
        self._pauses = 0
        self._in_a_row = 0
        self._since = self._resume_at = now

    def opening(self, now: Nanoseconds) -> Opening:
        """Return when a request may be sent; not `certain` where that depends on the answer to the one under way."""
        if not self._is_paused:
            return Opening(now, certain=True)
        if self._has_probe:
            return Opening(max(self._resume_at, now + 1), certain=False)
        return Opening(max(self._resume_at, now), certain=True)

    def permit(self) -> Permit:
        """Return a permit, at an opening. After a pause it is the one that goes ahead alone."""
        self._has_probe = self._is_paused
        return Permit(self._pauses, alone=self._is_paused)

    def still_admits(self, permit: Permit) -> bool:
        """Return whether no pause began since the permit was given."""
        return permit.pauses == self._pauses and (permit.alone or not self._is_paused)

    def pause(self, error: Throttled, permit: Permit, *, now: Nanoseconds) -> None:
        """Pause for 2 s, then 4, 8, ... Raise QuotaEnded if the throttle means that the quota has ended."""
        if permit.pauses < self._pauses:
            return  # sent before the pause: refused together with the one that began it
        self._has_probe = False
        if self._in_a_row == 0:
            self._since = now
        else:
            refuse_quota_end(error, throttled_for=now - self._since, has_day_window=self._has_day_window)
        pause = max(FIRST_PAUSE * 2**self._in_a_row, error.retry_after or timedelta())
        self._in_a_row += 1
        self.revoke()
        self._resume_at = now + nanoseconds(min(pause, LONGEST_PAUSE))

    def revoke(self) -> None:
        """Take back every permit that has not been used, and let one request go ahead alone."""
        self._pauses += 1
        self._is_paused = True
        self._has_probe = False

    def resume(self, permit: Permit) -> None:
        """Let everyone send again: a request sent since the pause got an answer that is not a throttle."""
        if self._is_paused and permit.pauses == self._pauses:
            self._is_paused = self._has_probe = False
            self._in_a_row = 0

    def release(self, permit: Permit) -> None:
        """Let the next request test the API: this permit's got no answer, or never left."""
        if permit.alone and permit.pauses == self._pauses:
            self._has_probe = False


def refuse_quota_end(error: Throttled, *, throttled_for: Nanoseconds, has_day_window: bool) -> None:
    """Raise QuotaEnded if a throttle that follows on another one means that the quota has ended."""
    if error.ambiguous and has_day_window:
        raise QuotaEnded(f"{error} (again after a pause)", is_answer=True)
    if throttled_for >= nanoseconds(PATIENCE):
        raise QuotaEnded(f"{error} (every answer for {PATIENCE.total_seconds():g} s)", is_answer=True)
