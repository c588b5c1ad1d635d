"""The ledger: permission to send, committed before the request leaves, whatever happens to us afterwards.

While the process lives it reckons with its own clock, which no step of the wall clock moves. What an earlier process
wrote is trusted: its instants are the wall clock's, and one in the future counts as now.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from pipeline import instants
from pipeline.api.errors import QuotaEnded
from pipeline.clock import Clock
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.model.outcomes import RunId
from pipeline.model.slots import LONGEST_BLOCK, Block, Slot, SpentSlot
from pipeline.model.symbols import Symbol
from pipeline.quota.estimate import pace
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

FIRST_BLOCK = timedelta(hours=1)
"""How long nothing is asked after the API said that the quota has ended; doubled each time it says so again ..."""
GRACE = timedelta(seconds=5)
"""How long after its reservation a request may leave: the deadline in the ledger allows for it."""
_SIMULATED = 1000


class RetryBudgetSpent(Exception):
    """The fifth of the day's allowance that is for asking again is used up."""


class Ledger:
    """Hands out the slots of a plan's windows, and writes down what became of them."""

    def __init__(
        self,
        writer: Writer,
        limits: Sequence[Limit],
        *,
        spent: Sequence[SpentSlot],
        block: Block | None,
        last_id: int,
        timeout: timedelta,
        max_wait: timedelta,
        max_requests: int | None = None,
        clock: Clock,
    ) -> None:
        wall, own = clock.now(), clock.monotonic()
        self._writer = writer
        self._limits = limits
        self._windows = Windows(limits, [_own(one.at, wall, own) for one in spent])
        self._retries = Windows(retry_limits(limits), [_own(one.at, wall, own) for one in spent if one.retry])
        self._block = block
        self._blocked_until = own + min(_span(block.until - wall), _span(LONGEST_BLOCK)) if block else own
        self._last_id = self._block_covers = last_id
        self._is_open = not limits and block is None and max_requests is None
        self._lifetime = _span(timeout + GRACE)
        self._max_wait = _span(max_wait)
        self._max_requests = max_requests
        self._taken = 0
        self._clock = clock
        self._turn = asyncio.Lock()
        self._answered = asyncio.Event()
        self.sent = 0
        """How many requests have left."""

    @property
    def is_probing(self) -> bool:
        """Whether the API last said that the quota has ended, so that one request goes ahead alone to see."""
        return self._block is not None

    @property
    def is_open(self) -> bool:
        """Whether there is nothing to wait for: no limit, no block, no most."""
        return self._is_open

    @property
    def has_day_window(self) -> bool:
        return any(limit.period >= PERIODS["day"] for limit in self._limits)

    def remaining(self) -> int | None:
        """Return how many requests the longest window still admits, or None where there is no window."""
        if not self._limits:
            return None
        longest = max(self._limits, key=lambda limit: limit.period)
        return max(longest.count - self._windows.used(longest, self._clock.monotonic()), 0)

    def time_for(self, requests: int) -> timedelta:
        """Return how long so many requests take at the plan's pace, if each answer comes at once.

        Reckoned for the first thousand, and by the slowest limit's rate beyond: it is asked for several times a second.
        """
        own = self._clock.monotonic()
        simulated = min(requests, _SIMULATED)
        first = pace(self._windows.copy(), simulated, now=own) - own
        each = max((limit.period / limit.count for limit in self._limits), default=timedelta())
        return timedelta(microseconds=first // 1000) + each * (requests - simulated)

    def may_retry(self) -> bool:
        """Whether the fifth of the day's allowance that is for retries has a slot left."""
        return self._retries.opening(self._clock.monotonic()).at <= self._clock.monotonic()

    async def take(self, run: RunId, symbol: Symbol, *, retry: bool) -> Slot:
        """Return a slot, once it is free and durably written down.

        Raise QuotaEnded at once if none will be free for longer than we are ready to wait, or after `most` of them;
        RetryBudgetSpent where the fifth for retries is used up; StorageError if it cannot be written. In all cases, and
        when cancelled, no slot is used up.
        """
        if self._is_open:
            return self.take_now(run, symbol, retry=retry)
        async with self._turn:  # first come, first served
            if self._max_requests is not None and self._taken >= self._max_requests:
                raise QuotaEnded(f"--max-requests {self._max_requests} reached")
            await self._wait()
            if retry and not self.may_retry():
                raise RetryBudgetSpent
            slot = self.take_now(run, symbol, retry=retry)
        if self._limits:
            try:
                await self._writer.write(reserve_requests, slot)
            except BaseException:
                self.give_back(slot)
                raise
        return slot

    def close(self, slot: Slot, outcome: str) -> None:
        """Note that the slot's answer is back, or that its request was given up."""
        self._end(slot, outcome, self._windows.end, self._retries.end)
        self.sent += 1

    def give_back(self, slot: Slot) -> None:
        """Note that the slot's request never left."""
        self._taken -= 1
        self._end(slot, UNSENT, lambda _at: self._windows.give_back(), lambda _at: self._retries.give_back())

    async def quota_ended(self, slot: Slot) -> None:
        """Ask nothing for an hour, or for twice as long as the last time: the API says that the quota has ended.

        It said so to the request of this slot. Those that were out together count as one.
        """
        if slot.id <= self._block_covers:
            return
        now = self._clock.now()
        last = self._block.until - self._block.since if self._block else timedelta()
        pause = min(2 * last, LONGEST_BLOCK) if last else FIRST_BLOCK
        self._block = Block(now, now + pause)
        self._is_open = False
        self._block_covers = self._last_id
        self._blocked_until = self._clock.monotonic() + _span(pause)
        await self._writer.write(set_block, self._block)

    async def quota_resumed(self) -> None:
        """Forget the block: the API answers again."""
        if self._block is not None:
            self._block = None
            await self._writer.write(clear_block, None)

    async def _wait(self) -> None:
        while True:
            own = self._clock.monotonic()
            opening = self._windows.opening(own)
            at = max(opening.at, self._blocked_until)
            if at <= own:
                return
            if at - own > self._max_wait:
                raise QuotaEnded(self._why_ended(at - own, blocked=self._blocked_until > opening.at))
            if opening.certain:
                await self._clock.sleep((at - own) / 1e9)
            else:
                self._answered.clear()
                await self._answered.wait()

    def _why_ended(self, wait: Nanoseconds, *, blocked: bool) -> str:
        again = instants.for_people(self._clock.now() + timedelta(microseconds=wait // 1000))
        if blocked:
            return f"the API said that the quota has ended: nothing is asked before {again} UTC"
        return f"the plan's {', '.join(map(str, self._limits))} is used up: the next slot is free at {again} UTC"

    def take_now(self, run: RunId, symbol: Symbol, *, retry: bool) -> Slot:
        """Return a slot, without waiting and unwritten: for where `is_open` says that there is nothing to wait for."""
        self._windows.take()
        if retry:
            self._retries.take()
        self._last_id += 1
        self._taken += 1
        own = self._clock.monotonic()
        return Slot(self._last_id, run, symbol, retry, self._clock.now(), own, own + self._lifetime)

    def _end(
        self, slot: Slot, outcome: str, end: Callable[[Nanoseconds], None], end_retry: Callable[[Nanoseconds], None]
    ) -> None:
        own = self._clock.monotonic()
        end(own)
        if slot.retry:
            end_retry(own)
        self._answered.set()
        # To the next millisecond: never sooner than it was.
        finished_at = instants.to_text(self._clock.now() + instants.MILLISECOND)
        self._writer.post(
            close_requests if self._limits else insert_closed_requests, ClosedRequest(slot, finished_at, outcome)
        )


def _own(at: datetime, wall: datetime, own: Nanoseconds) -> Nanoseconds:
    """Return an instant of the wall clock as one of the process's own; one in the future as now."""
    return own - _span(wall - at)


def _span(period: timedelta) -> Nanoseconds:
    return max(nanoseconds(period), 0)
