"""The writer: the one connection that writes, one task that owns it, one transaction a turn.

Whatever has arrived since the last commit shares the next one: at 25 a day every answer is durable at once, at full
speed hundreds share a commit. Callers may be cancelled or go away; the task never is. (On a connection that callers
share, a cancelled COMMIT commits, and a cancelled BEGIN takes the lock for nobody.)
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import aiosqlite

from pipeline.store.database import DatabaseError, is_storage_trouble, opened, reason, translated, uri

Apply = Callable[[aiosqlite.Connection, Sequence[Any]], Awaitable[Sequence[Any]]]
"""Writes all the items of one kind that a turn holds, and returns a result for each. May run again after a rollback."""

PAUSES = tuple(timedelta(seconds=seconds) for seconds in (0.5, 1, 2, 4, 8, 15))
"""How long a turn that cannot be stored is put off, before each new try; after the last it is given up."""
_BUSY_SECONDS = 1.0


LINGER = timedelta(milliseconds=10)
"""While writes keep coming, a turn waits so long for more: it costs a millisecond or two, however small it is."""

MOST_ROWS = 128
"""Rows in one statement: so many parameters as any SQLite takes."""


class Rows:
    """A statement that writes many rows in one step, given to it as `column1`, `column2`, ...

    SQLite then works through them without Python's lock. executemany takes and releases it for each row, and at
    thousands of rows a second the event loop spends its time on getting it back.
    """

    def __init__(self, columns: int, before: str, after: str) -> None:
        self._columns = columns
        self._before = before
        self._after = after
        self._statements: dict[int, str] = {}

    async def write(self, db: aiosqlite.Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Write the rows. They are filled up with NULLs to a power of two, so that few statements stay prepared.

        The statement leaves out a row whose first column is NULL.
        """
        for start in range(0, len(rows), MOST_ROWS):
            some = rows[start : start + MOST_ROWS]
            count = 1 << (len(some) - 1).bit_length()
            values = [value for row in some for value in row]
            values += [None] * (count * self._columns - len(values))
            await db.execute(self._statement(count), values)

    def _statement(self, count: int) -> str:
        row = f"({', '.join('?' * self._columns)})"
        values = ", ".join([row] * count)
        return self._statements.setdefault(count, f"{self._before} (VALUES {values}) {self._after}")


def inserting(table: str, columns: Sequence[str], after: str = "", **reads: str) -> Rows:
    """Return the statement that inserts rows into a table.

    A column named in `reads` takes the value of that SQL expression, in which {} is what the row gives.
    """
    given = [reads.get(name, "{}").format(f"column{number}") for number, name in enumerate(columns, start=1)]
    return Rows(
        len(columns),
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(given)} FROM",
        f"WHERE column1 IS NOT NULL {after}",
    )


class StorageError(DatabaseError):
    """What was to be written could not be, for as long as we were ready to wait."""


Answered = Callable[[Any, BaseException | None], None]
"""Hears what became of a write: its result, once it is durable, or why it could not be made so."""


class _Write(NamedTuple):
    apply: Apply
    item: Any
    answered: Answered


def _unheard(_result: Any, _error: BaseException | None) -> None:
    """Nobody waits for this write."""


class Writer:
    """Takes writes, and answers each once it is durable."""

    def __init__(
        self,
        db: aiosqlite.Connection,
        path: Path,
        *,
        sleep: Callable[[float], Awaitable[None]],
        troubled: Callable[[str], None],
    ) -> None:
        self._db = db
        self._path = path
        self._sleep = sleep
        self._troubled = troubled
        self._arrived: list[_Write] = []
        self._has_arrived = asyncio.Event()
        self._is_closed = False
        self._unanswered: list[_Write] = []
        self._given_up: BaseException | None = None

    def post(self, apply: Apply, item: Any, answered: Answered = _unheard) -> None:
        """Hand over a write.

        `answered` hears of StorageError if the disk would not take it for as long as the writer waits.
        """
        if self._given_up is not None:
            asyncio.get_running_loop().call_soon(answered, None, self._given_up)
            return
        self._arrived.append(_Write(apply, item, answered))
        self._has_arrived.set()

    async def write(self, apply: Apply, item: Any) -> Any:
        """Return the result of a write that is durable. Raise StorageError if it cannot be made so."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def answered(result: Any, error: BaseException | None) -> None:
            if done.done():  # the caller went away
                return
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        self.post(apply, item, answered)
        return await done

    async def run(self) -> None:
        """Write until closed, then return: everything handed over before is written, and nothing more is taken.

        If it fails for a reason of our own, whoever waits hears of it, and it is raised here.
        """
        try:
            await self._run()
        except BaseException as error:
            self._give_up(error)
            raise
        self._given_up = self._given_up or StorageError(f"{self._path}: closed, as the run has ended")

    def _give_up(self, error: BaseException) -> None:
        self._given_up = error
        self._unanswered += self._arrived
        self._arrived = []
        self._answer_rest(error)

    def _answer_rest(self, error: BaseException) -> None:
        while self._unanswered:
            self._unanswered.pop().answered(None, error)

    async def _run(self) -> None:
        while self._arrived or not self._is_closed:
            is_busy = self._has_arrived.is_set()  # more came while the last turn was written
            await self._has_arrived.wait()
            if is_busy and not self._is_closed:
                await asyncio.sleep(LINGER.total_seconds())
            self._has_arrived.clear()
            turn, self._arrived = self._arrived, []
            if turn:
                await self._turn(turn)

    def close(self) -> None:
        """Let `run` end when it has written what it was handed."""
        self._is_closed = True
        self._has_arrived.set()

    async def _turn(self, turn: list[_Write]) -> None:
        by_kind: dict[Apply, list[_Write]] = {}
        for write in turn:
            by_kind.setdefault(write.apply, []).append(write)
        in_order = [write for writes in by_kind.values() for write in writes]
        self._unanswered = in_order[::-1]
        try:
            results = await self._stored(by_kind)
        except (sqlite3.Error, DatabaseError) as error:
            self._answer_rest(error)
            return
        for result in (result for of_kind in results for result in of_kind):
            self._unanswered.pop().answered(result, None)

    async def _stored(self, by_kind: dict[Apply, list[_Write]]) -> list[Sequence[Any]]:
        """Return the results of a turn once it is committed, trying again while the trouble may pass."""
        if self._given_up is not None:
            raise self._given_up  # what came while the last turn was being given up
        for pause in (*PAUSES, None):
            try:
                return await self._transaction(by_kind)
            except sqlite3.Error as error:
                if not is_storage_trouble(error):
                    raise
                if pause is None:
                    lost = StorageError(f"{self._path}: {reason(error)}")
                    self._given_up = lost
                    raise lost from error
                self._troubled(f"{self._path}: {reason(error)}; trying again in {pause.total_seconds():g} s")
            await self._sleep(pause.total_seconds())
        raise AssertionError("unreachable")

    async def _transaction(self, by_kind: dict[Apply, list[_Write]]) -> list[Sequence[Any]]:
        await self._db.execute("BEGIN IMMEDIATE")
        try:
            results = [await apply(self._db, [write.item for write in writes]) for apply, writes in by_kind.items()]
            await self._db.execute("COMMIT")
        except BaseException:
            # On a full disk SQLite may have rolled back already.
            if self._db.in_transaction:
                await self._db.execute("ROLLBACK")
            raise
        return results


@asynccontextmanager
async def open_writer(
    path: Path,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    troubled: Callable[[str], None] = lambda _text: None,
) -> AsyncIterator[Writer]:
    """Open the one connection that writes to a migrated file. On leaving, what was handed over is written.

    `troubled` hears of each time that a turn cannot be stored and is put off.
    """
    with opened(path, "rw") as db_to_be:
        # Failing here is cheap; a failed connection of aiosqlite leaves a thread that talks to a closed loop.
        db_to_be.execute("PRAGMA user_version")
    async with AsyncExitStack() as stack:
        with translated(path):
            db = await stack.enter_async_context(
                aiosqlite.connect(uri(path, "rw"), uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
            )
            await _check_durable(db, path)
        writer = Writer(db, path, sleep=sleep, troubled=troubled)
        running = asyncio.create_task(writer.run(), name="writer")
        try:
            yield writer
        finally:
            writer.close()
            await asyncio.shield(running)


async def _check_durable(db: aiosqlite.Connection, path: Path) -> None:
    """Set WAL and FULL, and read them back: in replayed power cuts NORMAL lost acknowledged rows, FULL none."""
    mode = await _pragma(db, "PRAGMA journal_mode = WAL")
    await db.execute("PRAGMA synchronous = FULL")
    synchronous = await _pragma(db, "PRAGMA synchronous")
    if (mode, synchronous) != ("wal", 2):
        raise DatabaseError(f"{path}: SQLite will not write durably here (journal {mode}, synchronous {synchronous})")


async def _pragma(db: aiosqlite.Connection, statement: str) -> Any:
    async with db.execute(statement) as cursor:
        row = await cursor.fetchone()
    return row and row[0]
