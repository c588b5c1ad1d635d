"""The record: answers calls of tools, each in a thread, from a history that ends at the instant asked about."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

from pipeline.agents.arguments import Arguments, read_arguments
from pipeline.agents.paging import Cursor, checksum
from pipeline.agents.refusals import BadCall, in_words_for_agents
from pipeline.agents.tool import Question, Result, Tool
from pipeline.errors import Trouble
from pipeline.fleet.look import Lookout
from pipeline.instants import to_text
from pipeline.monitoring.fleet_view import view_fleet
from pipeline.query.history import History
from pipeline.query.reach import Reach
from pipeline.store.reader import NoData

WITHIN = timedelta(seconds=20)
"""SQLite is stopped if it works longer on one call. Clients give up after 30 to 60 s."""
A = TypeVar("A", bound=Arguments)
R = TypeVar("R", bound=Result)


@dataclass(frozen=True, slots=True)
class Record:
    """A database, as agents may ask it."""

    database: Path
    now: Callable[[], datetime]
    lock: datetime | None
    """Nothing observed later can be had; None: no lock."""
    stale_after: timedelta
    within: timedelta = WITHIN
    lookout: Lookout | None = None
    """How the fleet is seen, if this machine belongs to one."""

    def reach(self) -> Reach:
        """Return how far calls may reach: to the present, or to the lock."""
        return Reach.of_record(now=self.now(), lock=self.lock)

    async def answer(self, tool: Tool[A, R], given: Mapping[str, Any]) -> tuple[R, str]:
        """Return what a tool answers to a call, as data and as text.

        Raise BadCall, in one line that says what to do, if it cannot. A caller that goes away stops the question.
        """
        try:
            asked = read_arguments(tool.name, tool.arguments, given)
            cursor = _cursor(tool.name, asked)
            reach = self.reach()
            call = _Call(asked, reach, _bound(reach, asked) if cursor is None else _of_page(reach, cursor), cursor)
            gone = threading.Event()
            try:
                return await asyncio.to_thread(self._answer, tool, call, gone)
            finally:
                gone.set()
        except Trouble as trouble:
            raise in_words_for_agents(trouble) from None

    def _answer(self, tool: Tool[A, R], call: "_Call[A]", gone: threading.Event) -> tuple[R, str]:
        asked, at, offset = call.asked, call.at, 0 if call.cursor is None else call.cursor.offset
        with (
            History.open(self.database, until=at) as history,
            history.within(self.within, is_over=gone.is_set),
        ):
            question = Question(
                history, asked, at, call.reach, call.asked_at, self.stale_after, checksum(tool.name, asked), offset,
                view_fleet=lambda: view_fleet(self.database, self.lookout),
            )  # fmt: skip
            try:
                result = tool.answer(question)
                return result, tool.text(result)  # here, where damage that it comes across is named
            except NoData:
                problem = f"nothing was known yet at {to_text(at)}"
                raise BadCall(
                    problem, remedy="ask about a later instant; the tool status says when the record begins"
                ) from None


@dataclass(frozen=True, slots=True)
class _Call(Generic[A]):
    """What a call asks."""

    asked: A
    reach: Reach
    at: datetime
    cursor: Cursor | None

    @property
    def asked_at(self) -> datetime:
        """The present of the call that the first page answered."""
        return self.reach.at if self.cursor is None else self.cursor.asked_at


def _bound(reach: Reach, asked: Arguments) -> datetime:
    """Return the instant that bounds what the answer may know. Raise Trouble for one that may not be asked about."""
    return reach.instant(asked.BOUND, asked.bound, day_ends=True)


def _of_page(reach: Reach, cursor: Cursor) -> datetime:
    """Return the instant of the first page: all pages of an answer are of one instant, though it be `now`."""
    if not cursor.at <= cursor.asked_at <= reach.at:
        raise BadCall("invalid cursor", remedy="leave it out to start over")
    return cursor.at


def _cursor(tool: str, asked: Arguments) -> Cursor | None:
    text: str | None = getattr(asked, "cursor", None)
    return None if text is None else Cursor.parse(text, checksum(tool, asked))
