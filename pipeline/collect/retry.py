"""Retries: how often a failed request is retried, and how long the waits between are."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from pipeline.api.errors import Unavailable


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How many attempts a symbol gets, and the waits between them: about 1 s, then 2 s, 4 s, ... up to the longest."""

    attempts: int = 3
    first_wait: timedelta = timedelta(seconds=1)
    longest_wait: timedelta = timedelta(seconds=30)
    longest_retry_after: timedelta = timedelta(minutes=2)
    """The longest wait for a server's Retry-After."""

    def wait(self, state: RetryCallState) -> float:
        """Return the seconds until the next attempt: the server's Retry-After, or else exponential with jitter."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Unavailable) and error.retry_after is not None:
            return min(error.retry_after, self.longest_retry_after).total_seconds()
        first, longest = self.first_wait.total_seconds(), self.longest_wait.total_seconds()
        return wait_exponential_jitter(initial=first, max=longest)(state)

    def retrying(self, *, may_retry: Callable[[], bool], sleep: Callable[[float], Awaitable[None]]) -> AsyncRetrying:
        """Return tenacity's loop over the attempts at one symbol.

        It retries after Unavailable alone, while `may_retry()`, and raises the last attempt's error.
        """
        return AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            stop=lambda state: state.attempt_number >= self.attempts or not may_retry(),
            wait=self.wait,
            sleep=sleep,
            reraise=True,
        )
