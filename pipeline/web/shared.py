"""Shared answers: equal requests at the same time share one, and later ones get it while nothing is written."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.store.data_version import Version
from pipeline.web.caching import Answer
from pipeline.web.present import Moment

_MOST_KEPT = 32 << 20
"""Bytes."""
_LARGEST_KEPT = _MOST_KEPT // 4
"""Bytes of one answer: a larger one is not worth the others."""

_Key = tuple[Hashable, Version | None]
"""A question, and the state that the database had when it came."""


@dataclass(slots=True)
class _Flight:
    """A question that is being answered, and how many wait for it."""

    key: _Key
    task: "asyncio.Task[Answer]"
    waiting: int = 0


class _Kept(NamedTuple):
    """An answer, and the moment that it is of."""

    moment: Moment
    answer: Answer


class SharedAnswers:
    """Answers by question. What an answer depends on is all in the question and in a moment.

    Of those that are given, the ones that were asked for last are kept.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._size = 0
        self._flights: dict[_Key, _Flight] = {}

    async def get(self, question: Hashable, moment: Moment | None, answer: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer that is kept, or under way, or what `answer` returns. Raise what that raises.

        Of those kept, one of the same moment will do; so will one of a little earlier, and a newer one is begun. One
        that is under way will do, too, if nothing was written since it began. Without a moment none is kept. When all
        who wait for an answer have gone away, it is given up.
        """
        kept = self._kept.get(question)
        if moment is not None and kept is not None:
            self._kept.move_to_end(question)
            if kept.moment == moment:
                return kept.answer
            if kept.moment.will_do_for(moment):
                self._flight(question, moment, answer)
                return kept.answer
        flight = self._flight(question, moment, answer)
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._end(flight)
                flight.task.cancel()

    def _flight(self, question: Hashable, moment: Moment | None, answer: Callable[[], Awaitable[Answer]]) -> _Flight:
        """Return the flight of a question, which begins if there is none."""
        key = question, None if moment is None else moment.version
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(key, asyncio.create_task(self._begun(key, moment, answer)))
            flight.task.add_done_callback(_heard)
        return flight

    async def _begun(self, key: _Key, moment: Moment | None, answer: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            found = await answer()
        finally:
            flight = self._flights.get(key)
            if flight is not None and flight.task is asyncio.current_task():
                self._end(flight)
        if moment is not None:
            self._keep(key[0], _Kept(moment, found))
        return found

    def _end(self, flight: _Flight) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]

    def _keep(self, question: Hashable, kept: _Kept) -> None:
        self._drop(question)
        if kept.answer.size > _LARGEST_KEPT:
            return
        self._kept[question] = kept
        self._size += kept.answer.size
        while self._size > _MOST_KEPT:
            self._drop(next(iter(self._kept)))

    def _drop(self, question: Hashable) -> None:
        with suppress(KeyError):
            self._size -= self._kept.pop(question).answer.size


def _heard(task: "asyncio.Task[Answer]") -> None:
    """Take note of how a task ended, which nobody does if all who waited for it have gone away."""
    if not task.cancelled():
        task.exception()
