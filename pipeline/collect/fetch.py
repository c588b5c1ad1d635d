"""Fetching: take a slot, ask, and know when to ask again, when to pause, and when to stop.

What is this symbol's own trouble (a reset, a timeout, a server error) is tried again a few times. What is everybody's
(a throttle) pauses all workers, after which one asks alone to see. What no other symbol would fare better by (the
quota's end, a refused key) ends the run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from pipeline.api.errors import ApiError, QuotaEnded, RunEnding, Throttled, Unavailable, Unreachable
from pipeline.clock import Clock
from pipeline.collect.halt import Halt
from pipeline.collect.throttle import Brake, Pass
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.model.document import Overview
from pipeline.model.outcomes import RunId
from pipeline.model.slots import Slot
from pipeline.model.symbols import Symbol
from pipeline.quota.ledger import Ledger, RetryBudgetSpent


class Ask(Protocol):
    """One request, one answer: `OverviewApi.overview`."""

    async def __call__(self, symbol: Symbol, *, within: timedelta) -> Overview: ...


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often one symbol is asked that the server fails to answer, and how long the waits between are."""

    attempts: int = 3
    first_wait: timedelta = timedelta(seconds=1)
    longest_wait: timedelta = timedelta(seconds=30)
    longest_retry_after: timedelta = timedelta(minutes=2)
    """A server that asks for longer is not waited for longer."""


Asked = Callable[[str, float], None]
"""Hears of each request that is over: what the ledger calls its outcome, and how many seconds it took."""


def unheard(_outcome: str, _seconds: float) -> None:
    """Nobody wants to hear of requests."""


# Fetching


@dataclass(frozen=True, slots=True)
class Fetched:
    """An overview, when its answer was back, and after how many requests."""

    overview: Overview
    at: datetime
    attempts: int


@dataclass(slots=True)
class Attempts:
    """How many requests were sent for one symbol. The caller's, so that it knows however fetching ends."""

    sent: int = 0


class Fetch:
    """Asks for overviews on behalf of one run's workers."""

    def __init__(
        self,
        ask: Ask,
        ledger: Ledger,
        *,
        run: RunId,
        policy: RetryPolicy,
        timeout: timedelta,
        halt: Halt,
        clock: Clock,
        asked: Asked = unheard,
    ) -> None:
        self._ask = ask
        self._asked = asked
        self._ledger = ledger
        self._run = run
        self._policy = policy
        self._timeout = timeout
        self._longest = nanoseconds(timeout)
        self._halt = halt
        self._clock = clock
        self._brake = Brake(has_day_window=ledger.has_day_window, is_probing=ledger.is_probing, clock=clock)
        self._backoff = wait_exponential_jitter(
            initial=policy.first_wait.total_seconds(), max=policy.longest_wait.total_seconds()
        )
        self.busy: Nanoseconds = 0
        """How long the requests took, added up: what one after another would have taken."""

    async def __call__(self, symbol: Symbol, attempts: Attempts) -> Fetched:
        """Return the overview of a symbol.

        Raise the ApiError of the last attempt, Halted if the run has ended, StorageError if no slot can be written. A
        RunEnding has ended the run by the time it is raised.
        """
        try:
            # The first attempt, nearly always the last, goes without tenacity, which would cost it 40 µs.
            return await self._attempt(symbol, attempts)
        except Unavailable as error:
            last = error
        async for attempt in self._retrying():
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

    def _retrying(self) -> AsyncRetrying:
        return AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            stop=self._gives_up,
            wait=self._wait,
            sleep=self._interruptible_sleep,
            reraise=True,
        )

    def _gives_up(self, state: RetryCallState) -> bool:
        return state.attempt_number >= self._policy.attempts or not self._ledger.may_retry()

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Unavailable) and error.retry_after is not None:
            return min(error.retry_after, self._policy.longest_retry_after).total_seconds()
        return self._backoff(state)

    async def _interruptible_sleep(self, seconds: float) -> None:
        async with self._halt.interrupts():
            await self._clock.sleep(seconds)

    async def _attempt(self, symbol: Symbol, attempts: Attempts) -> Fetched:
        """Ask once; again, after the pause, for as long as the answer is a throttle."""
        throttle: Throttled | None = None
        while True:
            try:
                slot, given = await self._slot(symbol, retry=attempts.sent > 0)
            except RetryBudgetSpent:
                if throttle is None:
                    raise
                raise self._no_retries(throttle) from None
            try:
                overview = await self._send(symbol, slot, given, attempts)
            except Throttled as error:
                throttle = error
                await self._throttled(error, slot, given)
            except RunEnding as error:
                await self._end(error, slot)
                raise
            else:
                return Fetched(overview, self._clock.now(), attempts.sent)

    async def _slot(self, symbol: Symbol, *, retry: bool) -> tuple[Slot, Pass]:
        """Return a slot that may be used now: no throttle came in, and no deadline passed, while it was waited for."""
        if self._ledger.is_open and not self._brake.is_closed and not self._halt.is_closed:
            return self._ledger.take_now(self._run, symbol, retry=retry), self._brake.free_pass()
        while True:
            async with self._halt.interrupts():
                given = await self._brake.passed()
                slot = await self._taken(symbol, given, retry=retry)
            if self._may_send(slot, given):
                return slot, given
            self._ledger.give_back(slot)
            self._brake.unanswered(given)
            self._halt.check()

    async def _taken(self, symbol: Symbol, given: Pass, *, retry: bool) -> Slot:
        """Take a slot. One who was to ask alone, and gets none, leaves that to the next."""
        try:
            return await self._ledger.take(self._run, symbol, retry=retry)
        except QuotaEnded as error:
            self._halt.begin_no_more(error)
            self._brake.unanswered(given)
            raise
        except BaseException:
            self._brake.unanswered(given)
            raise

    def _may_send(self, slot: Slot, given: Pass) -> bool:
        return not self._halt.is_closed and self._brake.still_admits(given) and slot.deadline > self._clock.monotonic()

    async def _send(self, symbol: Symbol, slot: Slot, given: Pass, attempts: Attempts) -> Overview:
        """Send the slot's request, and close it with what came back."""
        asked_at = self._clock.monotonic()
        left = slot.deadline - asked_at
        within = self._timeout if left >= self._longest else max(timedelta(microseconds=left // 1000), _SHORTEST)
        outcome = ABANDONED
        try:
            overview = await self._ask(symbol, within=within)
            outcome = ANSWERED
        except ApiError as error:
            outcome = error.kind
            raise
        finally:
            took = self._clock.monotonic() - asked_at
            self.busy += took
            self._asked(outcome, took / 1e9)
            self._settle(slot, outcome, given, attempts)
        if self._ledger.is_probing:
            await self._ledger.quota_resumed()
        return overview

    def _settle(self, slot: Slot, outcome: str, given: Pass, attempts: Attempts) -> None:
        if outcome == Unreachable.kind:
            self._ledger.give_back(slot)
        else:
            self._ledger.close(slot, outcome)
            attempts.sent += 1
        if outcome in _TELL_NOTHING:
            self._brake.unanswered(given)
        elif outcome != Throttled.kind:
            self._brake.answered(given)

    async def _throttled(self, error: Throttled, slot: Slot, given: Pass) -> None:
        """Pause everyone, or end the run: there is no asking again without an end, nor beyond the retries' share."""
        try:
            self._brake.throttled(error, given)
        except QuotaEnded as ended:
            await self._end(ended, slot)
            raise
        if not self._ledger.may_retry():
            raise self._no_retries(error)

    def _no_retries(self, error: Throttled) -> QuotaEnded:
        """End the run: it is throttled, and may not ask again. Those that have a slot for it use it."""
        spent = QuotaEnded(f"a fifth of the day's allowance went on asking again: {error}")
        self._halt.begin_no_more(spent)
        return spent

    async def _end(self, error: RunEnding, slot: Slot) -> None:
        """End the run before anything is awaited, so that no other worker sends a request more."""
        self._halt(error)
        if isinstance(error, QuotaEnded):
            await self._ledger.quota_ended(slot)


ANSWERED, ABANDONED = "answered", "abandoned"
"""What the ledger calls a request that brought an overview, and one that was broken off by us."""
_SHORTEST = timedelta(milliseconds=1)
"""No time left is no timeout at all, to aiohttp."""
_TELL_NOTHING = frozenset({ABANDONED, Unavailable.kind, Unreachable.kind})
