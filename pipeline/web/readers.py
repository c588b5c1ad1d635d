"""Readers: threads that each hold the database open for questions, so that no question holds up the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from pipeline.query.history import History
from pipeline.store.database import file_id

THREADS = 4
QUESTION_WITHIN = timedelta(seconds=5)
"""SQLite is stopped if it works longer on one question."""
T = TypeVar("T")


class Readers:
    """Answers questions, one at a time in each of a few threads. Those that find no thread free wait their turn."""

    def __init__(self, database: Path, *, threads: int = THREADS, within: timedelta = QUESTION_WITHIN) -> None:
        self._readers = [_Reader(database, within) for _ in range(threads)]
        self._idle: asyncio.Queue[_Reader] = asyncio.Queue()
        for reader in self._readers:
            self._idle.put_nowait(reader)

    async def ask(self, at: datetime, question: Callable[[History], T]) -> T:
        """Return what `question` returns of a history in which nothing observed after `at` can be seen.

        Raise what it raises; TooSlow if it takes too long; NoData or DatabaseError if the database cannot be read.
        """
        reader = await self._idle.get()
        loop = asyncio.get_running_loop()
        answer = reader.begin(at, question)
        # The reader is free when its thread is: a caller that goes away does not end a question.
        answer.add_done_callback(lambda _: loop.call_soon_threadsafe(self._idle.put_nowait, reader))
        return await asyncio.wrap_future(answer)

    async def close(self) -> None:
        """Close the database in all threads. Questions in progress are stopped."""
        for reader in self._readers:
            reader.close()


class _Reader:
    """A thread with a history of its own."""

    def __init__(self, database: Path, within: timedelta) -> None:
        self._database = database
        self._within = within
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader")
        self._history: History | None = None
        self._file: tuple[int, int] | None = None
        self._is_closed = False

    def begin(self, at: datetime, question: Callable[[History], T]) -> "Future[T]":
        return self._thread.submit(self._answer, at, question)

    def close(self) -> None:
        self._is_closed = True
        self._thread.submit(self._drop)
        self._thread.shutdown(wait=False)

    def _answer(self, at: datetime, question: Callable[[History], T]) -> T:
        history = self._opened()
        history.see_until(at)
        with history.within(self._within, is_over=lambda: self._is_closed):
            return question(history)

    def _opened(self) -> History:
        """Return the history, opened again if another file has taken the database's place, as a restore does."""
        file = file_id(self._database)
        if self._history is None or file != self._file:
            self._drop()
            self._history, self._file = History.open(self._database), file
        return self._history

    def _drop(self) -> None:
        if self._history is not None:
            self._history.close()
            self._history = None
