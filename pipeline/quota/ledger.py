"""The ledger: stores a reservation before each request, so that a crash cannot exceed the quota.

While the process lives, windows run on the monotonic clock, which no step of the wall clock moves. What an earlier
process stored has the wall clock's instants; one in the future counts as now.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from pipeline import instants
from pipeline.api.errors import ApiError, QuotaEnded, Throttled
from pipeline.clock import Clock
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.model.outcomes import RunId
from pipeline.model.slots import Slot
from pipeline.model.symbols import Symbol
from pipeline.quota import estimate
from pipeline.quota.account import ABANDONED, MOST_UNSTORED, Account, Free
from pipeline.quota.estimate import Wait
from pipeline.store.in_flight import InFlight, note_in_flight
from pipeline.store.requests import (
    UNSENT,
    ClosedRequest,
    KeyBlock,
    clear_block,
    close_requests,
    insert_closed_requests,
    reserve_requests,
    set_block,
)
from pipeline.store.writer import Writer

GRACE = timedelta(seconds=5)
"""What the deadline in the ledger allows for besides the request itself, which may leave later than it was reserved."""


def least_left(timeout: timedelta) -> timedelta:
    """Return how long before its deadline a request leaves at the latest.

    At the deadline it is given up, and counts from then, so the server must have counted it by then.
    """
    return min(timeout, GRACE)


class RetryBudgetSpent(Exception):
    """The fifth of the day's allowance that is reserved for retries is used up."""


class Ledger:
    """Hands out the slots of each key's windows, whichever has one first, and stores what became of each.

    A run takes a slot, sends one request, and closes the slot, or gives it back if the request never left; it reports
    when the API throttles, says that the quota has ended, or refuses the key, and when it answers again.
    """

    def __init__(
        self,
        writer: Writer,
        accounts: Sequence[Account],
        *,
        last_request_id: int,
        timeout: timedelta,
        max_wait: timedelta,
        max_requests: int | None = None,
        on_first: Callable[[RunId], Awaitable[None]] | None = None,
        clock: Clock,
    ) -> None:
        """`take` waits up to `max_wait` for a window; a request has up to `timeout`.

        `on_first` is awaited before the first request of a run leaves.
        """
        self._writer = writer
        self._accounts = {account.key: account for account in accounts}
        self._last_id = last_request_id
        self._lifetime = nanoseconds(timeout + GRACE)
        self._least_left = nanoseconds(least_left(timeout))
        self._max_wait = nanoseconds(max_wait)
        self._max_requests = max_requests
        self._taken = 0
        self._clock = clock
        self._turn = asyncio.Lock()
        self._on_first = on_first
        self._beginning: dict[RunId, asyncio.Task[None]] = {}
        self._begun = set[RunId]()
        """The runs that may request something."""
        self._failure: BaseException | None = None
        """Why slots of keys without limits cannot be stored."""
        self._changed = asyncio.Event()
        self.sent = 0
        """How many requests have left."""

    @property
    def refusals(self) -> Mapping[str, str]:
        """The keys that the API refuses, by name, and its words."""
        return {one.name: str(one.refusal) for one in self._accounts.values() if one.refusal is not None}

    def remaining(self) -> int | None:
        """Return how many requests the longest windows still admit, None where there is no window."""
        return estimate.remaining([(one.limits, one.windows) for one in self._usable()], now=self._clock.monotonic())

    def time_for(self, requests: int) -> timedelta:
        """Return how long that many requests take at the pace of the plans, if each is answered at once."""
        usable = [(one.limits, one.windows) for one in self._usable()]
        return estimate.time_for(usable, requests, now=self._clock.monotonic())

    def waiting(self) -> Wait | None:
        """Return why no request may leave now, and until when.

        None if one may, if that depends on an answer, or if `take` does not wait that long.
        """
        now = self._clock.monotonic()
        first = min(self._usable(), key=lambda one: one.free(now).at, default=None)
        if first is None or not (free := first.free(now)).certain or free.quota_at - now > self._max_wait:
            return None
        return Wait.noted(free.at - now, first.why_closed(now), now=self._clock.now())

    def may_retry(self) -> bool:
        """Return whether the fifth of a day's allowance that is for retries has a slot left."""
        now = self._clock.monotonic()
        return any(one.may_retry(now) for one in self._usable())

    async def take(self, run: RunId, symbol: Symbol, *, retry: bool) -> Slot:
        """Return a slot, once it is free and its reservation is on the disk.

        Raise QuotaEnded at once if the wait would be longer than `max_wait`, or after `max_requests` slots; the API's
        refusal where it refuses every key; RetryBudgetSpent where the fifth for retries is used up; StorageError if the
        reservation cannot be written. In all cases, and when cancelled, no slot is used up.
        """
        if run not in self._begun:
            await self._begin(run)
        async with self._turn:  # first come, first served
            if self._max_requests is not None and self._taken >= self._max_requests:
                raise QuotaEnded(f"--max-requests {self._max_requests} reached")
            account = await self._wait(retry=retry)
            slot = self._new_slot(account, run, symbol, retry=retry)
        if account.limits:
            try:
                await self._writer.write(reserve_requests, slot)
            except BaseException:
                self.give_back(slot)
                raise
        return slot

    async def _begin(self, run: RunId) -> None:
        """Note that a run requests something, and of keys without limits how much may be out or not stored.

        All workers wait for one task, so that they continue at the same time.
        """
        if run not in self._beginning:
            self._beginning[run] = asyncio.create_task(self._note_begun(run))
        await asyncio.shield(self._beginning[run])

    async def _note_begun(self, run: RunId) -> None:
        for account in self._accounts.values():
            if not account.limits:
                note = InFlight(run, account.key, self._clock.now(), MOST_UNSTORED)
                await self._writer.write(note_in_flight, note)
        if self._on_first is not None:
            await self._on_first(run)
        self._begun.add(run)

    def admits(self, slot: Slot) -> bool:
        """Return whether the slot's request may leave: its deadline is not near, and its key was not paused."""
        return slot.deadline - self._clock.monotonic() >= self._least_left and self._accounts[slot.key].admits(slot)

    def close(self, slot: Slot, outcome: str) -> None:
        """Store that the slot's answer is back, or that its request was abandoned."""
        self._accounts[slot.key].close(slot, outcome, now=self._clock.monotonic())
        self.sent += 1
        self._store(slot, outcome)

    def give_back(self, slot: Slot) -> None:
        """Store that the slot's request never left."""
        self._accounts[slot.key].give_back(slot)
        self._taken -= 1
        self._store(slot, UNSENT)

    def throttled(self, slot: Slot, error: Throttled) -> None:
        """Pause the slot's key. Raise QuotaEnded if the throttle means that its quota has ended."""
        self._accounts[slot.key].pause(error, slot, now=self._clock.monotonic())
        self._changed.set()

    async def quota_ended(self, slot: Slot) -> None:
        """Block the slot's key, because the API answered its request with "quota ended".

        Such answers to requests that were out together count as one. Raise StorageError.
        """
        account = self._accounts[slot.key]
        if not account.block.covers(slot.id):
            wall, own = self._clock.now(), self._clock.monotonic()
            block = account.block.extend(last_request_id=self._last_id, wall=wall, monotonic=own)
            account.revoke()
            self._changed.set()
            await self._writer.write(set_block, KeyBlock(slot.key, block))

    async def quota_resumed(self, slot: Slot) -> None:
        """Lift the block of the slot's key, if there is one, because the API answers again. Raise StorageError."""
        account = self._accounts[slot.key]
        if account.block.is_set:
            account.block.lift()
            await self._writer.write(clear_block, slot.key)

    async def refused(self, slot: Slot, error: ApiError) -> None:
        """Hand out no more slots of this key: the API does not accept it, or its plan lacks the endpoint."""
        account = self._accounts[slot.key]
        if account.refusal is None:
            account.refusal = error
            self._changed.set()
            if len(self._accounts) > 1:
                structlog.get_logger().error("key refused", key=account.name, detail=str(error))

    def has_other_key(self, slot: Slot) -> bool:
        """Return whether another key than the slot's has a slot now, or within the longest wait."""
        now = self._clock.monotonic()
        others = [one for one in self._usable() if one.key != slot.key]
        return any(one.free(now).quota_at - now <= self._max_wait for one in others)

    def _usable(self) -> list[Account]:
        return [account for account in self._accounts.values() if account.refusal is None]

    async def _wait(self, *, retry: bool) -> Account:
        """Return the account that has a slot first, once it is free. Raise QuotaEnded if that takes too long."""
        while True:
            if self._failure is not None:
                raise self._failure
            now = self._clock.monotonic()
            usable = self._usable()
            if not usable:
                raise next(one.refusal for one in self._accounts.values() if one.refusal is not None)
            accounts = [one for one in usable if not retry or one.may_retry(now)]
            if not accounts:
                raise RetryBudgetSpent
            frees = [one.free(now) for one in accounts]
            free, account = min(zip(frees, accounts, strict=True), key=lambda found: found[0].at)
            if free.at <= now:
                return account
            if min(one.free(now).quota_at for one in accounts) - now > self._max_wait:
                raise QuotaEnded(self._why_ended(accounts, now))
            await self._until(free, min((one.at for one in frees if one.certain), default=None), now)

    async def _until(self, first: Free, certain: Nanoseconds | None, now: Nanoseconds) -> None:
        """Return when the first slot is free, or something has changed; no later than another is, which is certain."""
        if first.certain:
            await self._clock.sleep((first.at - now) / 1e9)
            return
        self._changed.clear()
        waiting: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._changed.wait())]
        if certain is not None:
            waiting.append(asyncio.ensure_future(self._clock.sleep((certain - now) / 1e9)))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    def _why_ended(self, accounts: Sequence[Account], now: Nanoseconds) -> str:
        first = min(accounts, key=lambda one: one.free(now).quota_at)
        at = self._clock.now() + first.used_up_for(now)
        is_blocked = first.block.until > first.windows.opening(now).at
        key = first.name if len(self._accounts) > 1 else ""
        return estimate.used_up(first.limits, at, blocked_by=first.block.reason if is_blocked else None, key=key)

    def _new_slot(self, account: Account, run: RunId, symbol: Symbol, *, retry: bool) -> Slot:
        self._last_id += 1
        self._taken += 1
        now = self._clock.monotonic()
        permit = account.take(retry=retry)
        deadline = now + self._lifetime
        return Slot(self._last_id, account.key, run, symbol, retry, self._clock.now(), now, deadline, permit)

    def _store(self, slot: Slot, outcome: str) -> None:
        self._changed.set()
        # To the next millisecond: a window must not free sooner than it was used.
        ended = None if outcome == ABANDONED else instants.to_text(self._clock.now() + instants.MILLISECOND)
        closed, account = ClosedRequest(slot, ended, outcome), self._accounts[slot.key]
        if account.limits:
            self._writer.post(close_requests, closed)
        elif account.note_unstored():
            self._writer.post(insert_closed_requests, closed, partial(self._on_stored, account))
        else:
            self._writer.post(insert_closed_requests, closed)

    def _on_stored(self, account: Account, _result: None, error: BaseException | None) -> None:
        if error is None:
            account.note_stored()
        else:
            self._failure = error
        self._changed.set()
