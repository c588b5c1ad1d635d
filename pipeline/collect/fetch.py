"""Fetch: requests one symbol's overview, with a slot for each attempt, by the rules of `retry`, `quota` and `halt`.

An error of this symbol alone (a reset, a timeout, a server error) is retried a few times: `retry`. A throttle pauses
the key, after which one request goes ahead alone: `quota.throttle`. An error that every other symbol would get too
(the quota's end, a refused key) ends the use of the key, and without another key the run: `halt`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.api.errors import (
    ApiError,
    ProxyRefused,
    QuotaEnded,
    RunEnding,
    Throttled,
    Unavailable,
    Unreachable,
    WrongClock,
)
from pipeline.clock import Clock
from pipeline.collect.halt import Halt
from pipeline.collect.ports import RequestOverview, Slots
from pipeline.collect.retry import RetryPolicy
from pipeline.instants import Nanoseconds
from pipeline.model.document import Overview
from pipeline.model.outcomes import RunId
from pipeline.model.slots import Slot
from pipeline.model.symbols import Symbol
from pipeline.quota.account import ABANDONED
from pipeline.quota.ledger import RetryBudgetSpent

OnRequest = Callable[[str, float], None]
"""Called after each request, with its outcome as the ledger has it and the seconds it took."""

ANSWERED = "answered"
"""The ledger's outcome of a request that brought an overview."""
_SHORTEST_TIMEOUT = timedelta(milliseconds=1)
"""To aiohttp, a timeout of 0 is no timeout."""
_UNSENT = frozenset({Unreachable.kind, ProxyRefused.kind})
"""Outcomes of requests that never left: they cost no slot."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An overview, when its answer was back, and the slot of the request that brought it."""

    overview: Overview
    at: datetime
    slot: Slot


@dataclass(slots=True)
class Attempts:
    """How many requests were sent for one symbol. The caller's, so that it knows however fetching ends."""

    sent: int = 0
    slot: Slot | None = None
    """Of the last one."""


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
        """Send one request; and again, for as long as the answer is a throttle, or ends a key where there is another.

        A request that replaces one with a key that has ended is not a retry.
        """
        throttled: Throttled | None = None
        is_retry = attempts.sent > 0
        while True:
            try:
                slot = await self._slot(symbol, retry=is_retry)
            except RetryBudgetSpent:
                if throttled is None:
                    raise
                raise self._end_without_retries(throttled) from None
            try:
                overview = await self._send(symbol, slot, attempts)
            except Throttled as error:
                throttled, is_retry = error, True
                await self._pause(error, slot)
            except RunEnding as error:
                await self._end_key(error, slot)
            else:
                return Fetched(overview, self._clock.now(), slot)

    async def _slot(self, symbol: Symbol, *, retry: bool) -> Slot:
        """Return a slot that may be used now: since it was taken it has not expired, and its key was not paused."""
        while True:
            async with self._halt.interrupts():
                slot = await self._take(symbol, retry=retry)
            if self._slots.admits(slot) and not self._halt.is_immediate:
                return slot
            self._slots.give_back(slot)
            self._halt.check()

    async def _take(self, symbol: Symbol, *, retry: bool) -> Slot:
        try:
            return await self._slots.take(self._run, symbol, retry=retry)
        except QuotaEnded as error:
            self._halt.stop_taking_slots(error)
            raise

    async def _send(self, symbol: Symbol, slot: Slot, attempts: Attempts) -> Overview:
        """Send the slot's request, and close the slot with what came back."""
        sent_at = self._clock.monotonic()
        outcome = ABANDONED
        try:
            overview = await self._request(symbol, key=slot.key, within=self._time_left(slot, sent_at))
            outcome = ANSWERED
        except ApiError as error:
            outcome = error.kind
            raise
        finally:
            took = self._clock.monotonic() - sent_at
            self.busy += took
            self._on_request(outcome, took / 1e9)
            self._close(slot, outcome, attempts)
        await self._slots.quota_resumed(slot)
        return overview

    def _time_left(self, slot: Slot, now: Nanoseconds) -> timedelta:
        """Return how long the request may take: the timeout, or less where the slot's deadline is near."""
        left = timedelta(microseconds=(slot.deadline - now) // 1000)
        return max(min(self._timeout, left), _SHORTEST_TIMEOUT)

    def _close(self, slot: Slot, outcome: str, attempts: Attempts) -> None:
        if outcome in _UNSENT:
            self._slots.give_back(slot)
        else:
            self._slots.close(slot, outcome)
            attempts.sent += 1
            attempts.slot = slot

    async def _pause(self, error: Throttled, slot: Slot) -> None:
        """Pause the key; or end it, if the throttle means its quota's end. End the run if no retry is left."""
        try:
            self._slots.throttled(slot, error)
        except QuotaEnded as ended:
            await self._end_key(ended, slot)
            return
        if not self._slots.may_retry():
            raise self._end_without_retries(error)

    def _end_without_retries(self, error: Throttled) -> QuotaEnded:
        """End the run: it is throttled and has no retry left. Workers that have a slot for a retry use it."""
        ended = QuotaEnded(f"throttled, and the day's share of retries (a fifth) is used up: {error}")
        self._halt.stop_taking_slots(ended)
        return ended

    async def _end_key(self, error: RunEnding, slot: Slot) -> None:
        """Use the slot's key no more. Without another key, end the run and raise the error.

        Before anything is awaited, so that no other worker sends another request with it.
        """
        is_of_all = isinstance(error, (ProxyRefused, WrongClock))
        is_last = is_of_all or not self._slots.has_other_key(slot)
        if is_last:
            self._halt(error)
        if isinstance(error, QuotaEnded):
            await self._slots.quota_ended(slot)
        elif not is_of_all:
            await self._slots.refused(slot, error)
        if is_last:
            raise error
