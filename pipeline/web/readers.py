"""Readers: threads that each hold the database open for questions, so that no question holds up the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import TypeVar

from pipeline.query.history import History
from pipeline.store.data_version import DataVersion, Version
from pipeline.store.database import DatabaseError, file_id, unlocked_state
from pipeline.store.time_limit import TooSlow
from pipeline.web.refusals import Busy

THREADS = 4
MOST_WAITING = 60
"""Questions that wait for a thread at most: fewer than there are connections, so that some are left for refusals."""
QUESTION_WITHIN = timedelta(seconds=5)
"""SQLite is stopped if it works longer on one question."""
WAIT_WITHIN = timedelta(seconds=10)
"""A question that has waited so long for a thread is refused."""
_TRIES = 5
"""For a question during which the file was written to, where no lock prevents that."""
_CLOSED_WITHIN = timedelta(seconds=2)
T = TypeVar("T")


class Readers:
    """Answers questions, one at a time in each of a few threads. Those that find no thread free wait their turn."""

    def __init__(
        self,
        database: Path,
        *,
        until: datetime | None = None,
        threads: int = THREADS,
        most_waiting: int = MOST_WAITING,
        within: timedelta = QUESTION_WITHIN,
        wait_within: timedelta = WAIT_WITHIN,
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        """Read a database, locked at `until`. While the process `is_busy` otherwise, a thread rests after a question.

        It rests for as long as the question took, so that half of the time is left.
        """
        self.database = database
        self._readers = [_Reader(database, until, within) for _ in range(threads)]
        self._data_version = DataVersion(database)
        self._version: Version | None = None
        self._is_looked_at = False
        self._idle: asyncio.Queue[_Reader] = asyncio.Queue()
        for reader in self._readers:
            self._idle.put_nowait(reader)
        self._waiting = 0
        self._most_waiting = most_waiting
        self._wait_within = wait_within.total_seconds()
        self._is_busy = is_busy

    def version(self) -> Version | None:
        """Return the state of the database; None if it cannot be known.

        It is looked at once for all requests that the event loop answers in one pass.
        """
        if not self._is_looked_at:
            self._version, self._is_looked_at = self._data_version.read(), True
            asyncio.get_running_loop().call_soon(self._look_again)
        return self._version

    def _look_again(self) -> None:
        self._is_looked_at = False

    async def ask(self, at: datetime, question: Callable[[History], T]) -> T:
        """Return what `question` returns of a history in which nothing observed after `at` can be seen.

        Raise what it raises; Busy if too many wait; TooSlow if it takes too long; NoData or DatabaseError if the
        database cannot be read. If the caller goes away, the question is stopped.
        """
        reader = await self._reader()
        loop, is_over = asyncio.get_running_loop(), Event()
        begun_at = loop.time()
        answer = reader.begin(at, question, is_over)
        # The reader is free when its thread is.
        answer.add_done_callback(lambda _: loop.call_soon_threadsafe(self._free, reader, begun_at))
        try:
            return await asyncio.wrap_future(answer)
        except asyncio.CancelledError:
            is_over.set()
            raise

    def _free(self, reader: "_Reader", begun_at: float) -> None:
        loop = asyncio.get_running_loop()
        if self._is_busy():
            loop.call_later(loop.time() - begun_at, self._idle.put_nowait, reader)
        else:
            self._idle.put_nowait(reader)

    async def _reader(self) -> "_Reader":
        if self._waiting >= self._most_waiting:
            raise Busy
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_within):
                return await self._idle.get()
        except TimeoutError:
            raise Busy from None
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Close the database in all threads. Questions in progress are stopped, and not waited for if that fails."""
        self._data_version.close()
        closed = [asyncio.wrap_future(reader.close()) for reader in self._readers]
        await asyncio.wait(closed, timeout=_CLOSED_WITHIN.total_seconds())


class _Reader:
    """A thread with a history of its own."""

    def __init__(self, database: Path, until: datetime | None, within: timedelta) -> None:
        self._database = database
        self._until = until
        self._within = within
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader")
        self._history: History | None = None
        self._file: tuple[int, int] | None = None
        self._state: tuple[int, int] | None = None
        """Of a file that is read without locks; None: SQLite sees what is written to it."""
        self._schema = 0
        self._is_closed = Event()

    def begin(self, at: datetime, question: Callable[[History], T], is_over: Event) -> "Future[T]":
        return self._thread.submit(self._answer, at, question, is_over)

    def close(self) -> "Future[None]":
        self._is_closed.set()
        closed = self._thread.submit(self._drop)
        self._thread.shutdown(wait=False)
        return closed

    def _answer(self, at: datetime, question: Callable[[History], T], is_over: Event) -> T:
        if is_over.is_set():
            raise Busy  # nobody hears it
        for left in reversed(range(_TRIES)):
            try:
                answer = self._asked(at, question, is_over)
            except TooSlow:
                raise
            except DatabaseError:
                was_written = self._was_written()
                self._drop()  # the next question finds out whether it still cannot be read
                if not (was_written and left):
                    raise
            else:
                if not (left and self._was_written()):
                    return answer
        raise AssertionError("unreachable: the last try returns or raises")

    def _asked(self, at: datetime, question: Callable[[History], T], is_over: Event) -> T:
        history = self._opened()
        with history.within(self._within, is_over=lambda: is_over.is_set() or self._is_closed.is_set()):
            history.see_until(at)
            return question(history)

    def _was_written(self) -> bool:
        """Whether a file that is read without locks has changed since it was opened: what was read may be of both."""
        return self._state is not None and unlocked_state(self._database) != self._state

    def _opened(self) -> History:
        """Return the history, opened again if another file has taken the database's place, or its schema has changed.

        A restore does the former, and a migration the latter: opening checks that the schema is this program's. A file
        that is read without locks is opened again for each change.
        """
        file = None
        with suppress(OSError):  # opening it says what is wrong
            file = file_id(self._database)
        is_same = file == self._file and not self._was_written()
        if self._history is None or not is_same or self._history.schema_version() != self._schema:
            self._drop()
            self._state = unlocked_state(self._database)
            self._history, self._file = History.open(self._database, until=self._until), file
            self._history.read_by_pages()
            self._schema = self._history.schema_version()
        return self._history

    def _drop(self) -> None:
        if self._history is not None:
            with suppress(DatabaseError):
                self._history.close()
            self._history = None
