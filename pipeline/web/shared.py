"""Sharing: equal questions at the same time share one answer, and later ones get it while nothing is written."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Flight(Generic[T]):
    """A question that is being answered, and how many wait for it."""

    task: "asyncio.Task[T]"
    waiting: int = 0


class Shared(Generic[T]):
    """Answers by question. What an answer depends on is all in the question and in the state of the database."""

    def __init__(self, *, most: int, size_of: Callable[[T], int] = lambda _: 1) -> None:
        """Keep answers of `most` in size, those that were asked for last; by default, so many of any size."""
        self._most = most
        self._size_of = size_of
        self._kept: OrderedDict[Hashable, tuple[Hashable, T, int]] = OrderedDict()
        """By question: the state that the answer is of, the answer, and its size."""
        self._size = 0
        self._flights: dict[Hashable, _Flight[T]] = {}

    async def get(self, question: Hashable, state: Hashable | None, answer: Callable[[], Awaitable[T]]) -> T:
        """Return the answer that is kept, or under way, or what `answer` returns. Raise what that raises.

        `state` is what the answer depends on besides: one of another state is not returned, but one that is under way
        is, as a question that came just before. Of no state (None) none is kept. When all who wait for it have gone
        away, it is given up.
        """
        if state is not None and (kept := self._kept.get(question)) is not None and kept[0] == state:
            self._kept.move_to_end(question)
            return kept[1]
        flight = self._flights.get(question)
        if flight is None:
            flight = _Flight(asyncio.create_task(self._begun(question, state, answer)))
            self._flights[question] = flight
            flight.task.add_done_callback(_heard)
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._end(question, flight)
                flight.task.cancel()

    async def _begun(self, question: Hashable, state: Hashable | None, answer: Callable[[], Awaitable[T]]) -> T:
        try:
            found = await answer()
        finally:
            flight = self._flights.get(question)
            if flight is not None and flight.task is asyncio.current_task():
                self._end(question, flight)
        if state is not None:
            self._keep(question, state, found)
        return found

    def _end(self, question: Hashable, flight: _Flight[T]) -> None:
        if self._flights.get(question) is flight:
            del self._flights[question]

    def _keep(self, question: Hashable, state: Hashable, answer: T) -> None:
        self._drop(question)
        size = self._size_of(answer)
        if size * 4 > self._most:  # too large to be worth the others
            return
        self._kept[question] = (state, answer, size)
        self._size += size
        while self._size > self._most:
            self._drop(next(iter(self._kept)))

    def _drop(self, question: Hashable) -> None:
        with suppress(KeyError):
            _, _, size = self._kept.pop(question)
            self._size -= size


def _heard(task: "asyncio.Task[T]") -> None:
    """Take note of how a task ended, which nobody does if all who waited for it have gone away."""
    if not task.cancelled():
        task.exception()
