"""The ledger: stores a reservation before each request, so that a crash cannot exceed the quota.

While the process lives, windows run on the monotonic clock, which no step of the wall clock moves. What an earlier
process stored has the wall clock's instants; one in the future counts as now.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from pipeline import instants
from pipeline.api.errors import QuotaEnded
from pipeline.clock import Clock
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.model.outcomes import RunId
from pipeline.model.slots import QuotaState, Slot
from pipeline.model.symbols import Symbol
from pipeline.quota import estimate
from pipeline.quota.block import QuotaBlock
from pipeline.quota.limits import PERIODS, Limit, retry_limits
from pipeline.quota.windows import Windows
from pipeline.store.requests import (
    UNSENT,
    ClosedRequest,
    clear_block,
    close_requests,
    insert_closed_requests,
    reserve_requests,
    set_block,
)
from pipeline.store.writer import Writer

GRACE = timedelta(seconds=5)
"""How long after its reservation a request may leave: the deadline in the ledger allows for it."""


class RetryBudgetSpent(Exception):
    """The fifth of the day's allowance that is reserved for retries is used up."""


class Ledger:
    """Hands out the slots of a plan's windows, and stores what became of each.

    A run takes a slot, sends one request, and closes the slot, or gives it back if the request never left; it reports
    when the API says that the quota has ended, and when it answers again.
    """

    def __init__(
        self,
        writer: Writer,
        limits: Sequence[Limit],
        state: QuotaState,
        *,
        timeout: timedelta,
        max_wait: timedelta,
        max_requests: int | None = None,
        clock: Clock,
    ) -> None:
        """Start from the state in the database. `take` waits up to `max_wait`; a request has up to `timeout`."""
        wall, own = clock.now(), clock.monotonic()
        spent = [(_monotonic(one.at, wall, own), one.retry) for one in state.spent]
        self._writer = writer
        self._limits = limits
        self._windows = Windows(limits, [at for at, _ in spent])
        self._retries = Windows(retry_limits(limits), [at for at, is_retry in spent if is_retry])
        self._block = QuotaBlock(state.block, last_request_id=state.last_request_id, wall=wall, monotonic=own)
        self._last_id = state.last_request_id
        self._lifetime = nanoseconds(timeout + GRACE)
        self._max_wait = nanoseconds(max_wait)
        self._max_requests = max_requests
        self._taken = 0
        self._clock = clock
        self._turn = asyncio.Lock()
        self._answered = asyncio.Event()
        self.sent = 0
        """How many requests have left."""

    @property
    def is_probing(self) -> bool:
        """Whether the API last said that the quota has ended: one request has to go ahead alone and see."""
        return self._block.is_set

    @property
    def has_day_window(self) -> bool:
        """Whether a limit counts over a day or longer."""
        return any(limit.period >= PERIODS["day"] for limit in self._limits)

    def remaining(self) -> int | None:
        """Return how many requests the longest window still admits, None where there is no window."""
        return estimate.remaining(self._limits, self._windows, now=self._clock.monotonic())

    def time_for(self, requests: int) -> timedelta:
        """Return how long that many requests take at the plan's pace, if each is answered at once."""
        return estimate.time_for(self._limits, self._windows, requests, now=self._clock.monotonic())

    def may_retry(self) -> bool:
        """Return whether the fifth of the day's allowance that is for retries has a slot left."""
        now = self._clock.monotonic()
        return self._retries.opening(now).at <= now

    async def take(self, run: RunId, symbol: Symbol, *, retry: bool) -> Slot:
        """Return a slot, once it is free and its reservation is on the disk.

        Raise QuotaEnded at once if the wait would be longer than `max_wait`, or after `max_requests` slots;
        RetryBudgetSpent where the fifth for retries is used up; StorageError if the reservation cannot be written. In
        all cases, and when cancelled, no slot is used up.
        """
        async with self._turn:  # first come, first served
            if self._max_requests is not None and self._taken >= self._max_requests:
                raise QuotaEnded(f"--max-requests {self._max_requests} reached")
            await self._wait()
            if retry and not self.may_retry():
                raise RetryBudgetSpent
            slot = self._new_slot(run, symbol, retry=retry)
        if self._limits:
            try:
                await self._writer.write(reserve_requests, slot)
            except BaseException:
                self.give_back(slot)
                raise
        return slot

    def close(self, slot: Slot, outcome: str) -> None:
        """Store that the slot's answer is back, or that its request was abandoned."""
        now = self._clock.monotonic()
        self._windows.end(now)
        if slot.retry:
            self._retries.end(now)
        self.sent += 1
        self._store(slot, outcome)

    def give_back(self, slot: Slot) -> None:
        """Store that the slot's request never left."""
        self._windows.give_back()
        if slot.retry:
            self._retries.give_back()
        self._taken -= 1
        self._store(slot, UNSENT)

    async def quota_ended(self, slot: Slot) -> None:
        """Block requests, because the API answered this slot's request with "quota ended".

        Such answers to requests that were out together count as one. Raise StorageError.
        """
        if not self._block.covers(slot.id):
            wall, own = self._clock.now(), self._clock.monotonic()
            block = self._block.extend(last_request_id=self._last_id, wall=wall, monotonic=own)
            await self._writer.write(set_block, block)

    async def quota_resumed(self) -> None:
        """Lift the block, because the API answers again. Raise StorageError."""
        if self._block.is_set:
            self._block.lift()
            await self._writer.write(clear_block, None)

    async def _wait(self) -> None:
        """Return when a slot is free. Raise QuotaEnded if that takes too long."""
        while True:
            now = self._clock.monotonic()
            opening = self._windows.opening(now)
            at = max(opening.at, self._block.until)
            if at <= now:
                return
            if at - now > self._max_wait:
                raise QuotaEnded(self._why_ended(at - now, blocked=self._block.until > opening.at))
            if opening.certain:
                await self._clock.sleep((at - now) / 1e9)
            else:
                self._answered.clear()
                await self._answered.wait()

    def _why_ended(self, wait: Nanoseconds, *, blocked: bool) -> str:
        at = self._clock.now() + timedelta(microseconds=wait // 1000)
        return estimate.used_up(self._limits, at, blocked_by=self._block.reason if blocked else None)

    def _new_slot(self, run: RunId, symbol: Symbol, *, retry: bool) -> Slot:
        self._windows.take()
        if retry:
            self._retries.take()
        self._last_id += 1
        self._taken += 1
        now = self._clock.monotonic()
        return Slot(self._last_id, run, symbol, retry, self._clock.now(), now, now + self._lifetime)

    def _store(self, slot: Slot, outcome: str) -> None:
        self._answered.set()
        # To the next millisecond: a window must not free sooner than it was used.
        finished_at = instants.to_text(self._clock.now() + instants.MILLISECOND)
        self._writer.post(
            close_requests if self._limits else insert_closed_requests, ClosedRequest(slot, finished_at, outcome)
        )


def _monotonic(at: datetime, wall: datetime, monotonic: Nanoseconds) -> Nanoseconds:
    """Return the wall clock's instant on the monotonic clock; one in the future as now."""
    return monotonic - max(nanoseconds(wall - at), 0)
