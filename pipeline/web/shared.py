"""Sharing: equal questions at the same time share one answer, and later ones get it while nothing is written."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")


@dataclass(slots=True)
class _Flight(Generic[T]):
    """A question that is being answered, and how many wait for it."""

    task: "asyncio.Task[T]"
    waiting: int = 0


class Shared(Generic[S, T]):
    """Answers by question. What an answer depends on is all in the question and in a state."""

    def __init__(self, *, most: int, size_of: Callable[[T], int] = lambda _: 1) -> None:
        """Keep answers of `most` in size, those that were asked for last; by default, so many of any size."""
        self._most = most
        self._size_of = size_of
        self._kept: OrderedDict[Hashable, tuple[S, T, int]] = OrderedDict()
        """By question: the state that the answer is of, the answer, and its size."""
        self._size = 0
        self._flights: dict[Hashable, _Flight[T]] = {}

    async def get(
        self,
        question: Hashable,
        state: S | None,
        answer: Callable[[], Awaitable[T]],
        *,
        meanwhile: Callable[[S, S], bool] = lambda _kept, _wanted: False,
    ) -> T:
        """Return the answer that is kept, or under way, or what `answer` returns. Raise what that raises.

        Of those kept, one of the same state will do, and one that may be given `meanwhile`, until there is a newer one.
        One that is under way will do, too: that question came just before. Without a state none is kept. When all who
        wait for an answer have gone away, it is given up.
        """
        kept = self._kept.get(question)
        if state is not None and kept is not None:
            self._kept.move_to_end(question)
            if kept[0] == state:
                return kept[1]
            if meanwhile(kept[0], state):
                self._flight(question, state, answer)
                return kept[1]
        flight = self._flight(question, state, answer)
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._end(question, flight)
                flight.task.cancel()

    def _flight(self, question: Hashable, state: S | None, answer: Callable[[], Awaitable[T]]) -> _Flight[T]:
        """Return the flight of a question, which begins if there is none."""
        flight = self._flights.get(question)
        if flight is None:
            flight = self._flights[question] = _Flight(asyncio.create_task(self._begun(question, state, answer)))
            flight.task.add_done_callback(_heard)
        return flight

    async def _begun(self, question: Hashable, state: S | None, answer: Callable[[], Awaitable[T]]) -> T:
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

    def _keep(self, question: Hashable, state: S, answer: T) -> None:
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
