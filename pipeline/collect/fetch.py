"""Fetch: requests one symbol's overview, with a slot for each attempt, by the rules of `retry`, `throttle` and `halt`.

An error of this symbol alone (a reset, a timeout, a server error) is retried a few times: `retry`. An error of all
(a throttle) pauses all workers, after which one request goes ahead alone: `throttle`. An error that every other symbol
would get too (the quota's end, a refused key) ends the run: `halt`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.api.errors import ApiError, ProxyRefused, QuotaEnded, RunEnding, Throttled, Unavailable, Unreachable
from pipeline.clock import Clock
from pipeline.collect.halt import Halt
from pipeline.collect.ports import RequestOverview, Slots
from pipeline.collect.retry import RetryPolicy
from pipeline.collect.throttle import Permit, Throttle
from pipeline.instants import Nanoseconds
from pipeline.model.document import Overview
from pipeline.model.outcomes import RunId
from pipeline.model.slots import Slot
from pipeline.model.symbols import Symbol
from pipeline.quota.ledger import RetryBudgetSpent

OnRequest = Callable[[str, float], None]
"""Called after each request, with its outcome as the ledger has it and the seconds it took."""

ANSWERED, ABANDONED = "answered", "abandoned"
"""The ledger's outcomes of a request that brought an overview, and of one that we cancelled."""
_SHORTEST_TIMEOUT = timedelta(milliseconds=1)
"""To aiohttp, a timeout of 0 is no timeout."""
_UNSENT = frozenset({Unreachable.kind, ProxyRefused.kind})
"""Outcomes of requests that never left: they cost no slot."""
_NO_ANSWER = _UNSENT | {ABANDONED, Unavailable.kind}
"""Outcomes that do not show whether the API still throttles."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An overview, and when its answer was back."""

    overview: Overview
    at: datetime


@dataclass(slots=True)
class Attempts:
    """How many requests were sent for one symbol. The caller's, so that it knows however fetching ends."""

    sent: int = 0


class Fetch:
    """Fetches overviews on behalf of one run's workers."""

    def __init__(
        self,
        request: RequestOverview,
        slots: Slots,
        *,
        run: RunId,
        policy: RetryPolicy,
        timeout: timedelta,
        halt: Halt,
        clock: Clock,
        on_request: OnRequest,
    ) -> None:
        self._request = request
        self._on_request = on_request
        self._slots = slots
        self._run = run
        self._policy = policy
        self._timeout = timeout
        self._halt = halt
        self._clock = clock
        self._throttle = Throttle(has_day_window=slots.has_day_window, is_probing=slots.is_probing, clock=clock)
        self.busy: Nanoseconds = 0
        """How long the requests took, added up: what one after another would have taken."""

    async def __call__(self, symbol: Symbol, attempts: Attempts) -> Fetched:
        """Return the overview of a symbol.

        Raise the ApiError of the last attempt, Halted if the run has ended, StorageError if no slot can be written. A
        RunEnding has ended the run by the time it is raised.
        """
        try:
            return await self._attempt(symbol, attempts)
        except Unavailable as error:
            first = error
        return await self._retry(symbol, attempts, first)

    async def _retry(self, symbol: Symbol, attempts: Attempts, last: Unavailable) -> Fetched:
        """Return the overview of a later attempt. Tenacity counts and waits; its first attempt is the one that failed.

        That one ran outside tenacity's loop, whose 100 µs a symbol would make a run without limits a third slower.
        """
        async for attempt in self._policy.retrying(may_retry=self._slots.may_retry, sleep=self._interruptible_sleep):
            with attempt:
                if attempt.retry_state.attempt_number == 1:
                    raise last
                try:
                    return await self._attempt(symbol, attempts)
                except Unavailable as error:
                    last = error
                    raise
                except RetryBudgetSpent:
                    raise last from None
        raise AssertionError("unreachable: tenacity raises the last error")

    async def _interruptible_sleep(self, seconds: float) -> None:
        async with self._halt.interrupts():
            await self._clock.sleep(seconds)

    async def _attempt(self, symbol: Symbol, attempts: Attempts) -> Fetched:
        """Send one request; and again, after a pause, for as long as the answer is a throttle."""
        throttled: Throttled | None = None
        while True:
            try:
                slot, permit = await self._slot(symbol, retry=attempts.sent > 0)
            except RetryBudgetSpent:
                if throttled is None:
                    raise
                raise self._end_without_retries(throttled) from None
            try:
                overview = await self._send(symbol, slot, permit, attempts)
            except Throttled as error:
                throttled = error
                await self._pause(error, slot, permit)
            except RunEnding as error:
                await self._end(error, slot)
                raise
            else:
                return Fetched(overview, self._clock.now())

    async def _slot(self, symbol: Symbol, *, retry: bool) -> tuple[Slot, Permit]:
        """Return a slot that may be used now: while it was waited for, no pause began and no deadline passed."""
        while True:
            async with self._halt.interrupts():
                permit = await self._throttle.permit()
                slot = await self._take(symbol, permit, retry=retry)
            if self._may_send(slot, permit):
                return slot, permit
            self._slots.give_back(slot)
            self._throttle.release(permit)
            self._halt.check()

    async def _take(self, symbol: Symbol, permit: Permit, *, retry: bool) -> Slot:
        """Take a slot. A worker that was to test the API alone, and gets none, leaves the test to the next."""
        try:
            return await self._slots.take(self._run, symbol, retry=retry)
        except QuotaEnded as error:
            self._halt.stop_taking_slots(error)
            self._throttle.release(permit)
            raise
        except BaseException:
            self._throttle.release(permit)
            raise

    def _may_send(self, slot: Slot, permit: Permit) -> bool:
        is_in_time = slot.deadline > self._clock.monotonic()
        return is_in_time and not self._halt.is_immediate and self._throttle.still_admits(permit)

    async def _send(self, symbol: Symbol, slot: Slot, permit: Permit, attempts: Attempts) -> Overview:
        """Send the slot's request, and close the slot with what came back."""
        sent_at = self._clock.monotonic()
        outcome = ABANDONED
        try:
            overview = await self._request(symbol, within=self._time_left(slot, sent_at))
            outcome = ANSWERED
        except ApiError as error:
            outcome = error.kind
            raise
        finally:
            took = self._clock.monotonic() - sent_at
            self.busy += took
            self._on_request(outcome, took / 1e9)
            self._close(slot, outcome, permit, attempts)
        if self._slots.is_probing:
            await self._slots.quota_resumed()
        return overview

    def _time_left(self, slot: Slot, now: Nanoseconds) -> timedelta:
        """Return how long the request may take: the timeout, or less where the slot's deadline is near."""
        left = timedelta(microseconds=(slot.deadline - now) // 1000)
        return max(min(self._timeout, left), _SHORTEST_TIMEOUT)

    def _close(self, slot: Slot, outcome: str, permit: Permit, attempts: Attempts) -> None:
        if outcome in _UNSENT:
            self._slots.give_back(slot)
        else:
            self._slots.close(slot, outcome)
            attempts.sent += 1
        if outcome in _NO_ANSWER:
            self._throttle.release(permit)
        elif outcome != Throttled.kind:
            self._throttle.resume(permit)

    async def _pause(self, error: Throttled, slot: Slot, permit: Permit) -> None:
        """Pause everyone; or end the run, if the throttle means the quota's end or no retry is left."""
        try:
            self._throttle.pause(error, permit)
        except QuotaEnded as ended:
            await self._end(ended, slot)
            raise
        if not self._slots.may_retry():
            raise self._end_without_retries(error)

    def _end_without_retries(self, error: Throttled) -> QuotaEnded:
        """End the run: it is throttled and has no retry left. Workers that have a slot for a retry use it."""
        ended = QuotaEnded(f"throttled, and the day's share of retries (a fifth) is used up: {error}")
        self._halt.stop_taking_slots(ended)
        return ended

    async def _end(self, error: RunEnding, slot: Slot) -> None:
        """End the run, before anything is awaited, so that no other worker sends another request."""
        self._halt(error)
        if isinstance(error, QuotaEnded):
            await self._slots.quota_ended(slot)
