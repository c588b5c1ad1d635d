"""The writer: the one connection that writes, owned by one task, which commits writes in batches.

Everything that has arrived since the last commit shares the next one: at 25 a day each answer is durable at once, at
full speed hundreds share a commit. Callers may be cancelled; the task never is. (On a connection that callers share, a
cancelled COMMIT still commits, and a cancelled BEGIN takes the lock for nobody.)
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import aiosqlite

from pipeline.errors import Undecodable
from pipeline.store.database import (
    DatabaseError,
    LockLost,
    LogLost,
    StorageError,
    beside,
    check_durable,
    connect,
    damage_said,
    explain,
    file_id,
    is_of_other_schema,
    is_storage_failure,
    translate_errors,
    undecodable,
    uri,
)
from pipeline.store.held_locks import is_lost
from pipeline.store.in_use import FileId, in_use
from pipeline.store.lock import lock_path
from pipeline.store.marker import record_gone

Apply = Callable[[aiosqlite.Connection, Sequence[Any]], Awaitable[Sequence[Any]]]
"""Writes all the items of one kind in a batch, and returns a result for each. May run again after a rollback."""

PAUSES = tuple(timedelta(seconds=seconds) for seconds in (0.5, 1, 2, 4, 8, 15))
"""The pauses before each retry of a batch that could not be stored; after the last it fails."""
_BUSY_SECONDS = 1.0
LINGER = timedelta(milliseconds=10)
"""While writes keep coming, a batch waits this long for more: a commit costs 1 to 2 ms, however small it is."""
MAX_ROWS = 128
"""Rows in one statement: any SQLite takes the parameters of that many."""


class BulkStatement:
    """A statement that writes many rows in one step; it reads them as `column1`, `column2`, ...

    SQLite then writes them without Python's lock. executemany takes and releases it for each row, and at thousands of
    rows a second the event loop spends its time waiting for it.
    """

    def __init__(self, columns: int, before: str, after: str) -> None:
        self._columns = columns
        self._before = before
        self._after = after
        self._statements: dict[int, str] = {}

    async def write(self, db: aiosqlite.Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Write the rows.

        They are padded to a power of two, so that few statements stay prepared: with rows of NULLs, which the
        statement must skip by its first column.
        """
        for start in range(0, len(rows), MAX_ROWS):
            chunk = rows[start : start + MAX_ROWS]
            count = 1 << (len(chunk) - 1).bit_length()
            values = [value for row in chunk for value in row]
            values += [None] * (count * self._columns - len(values))
            await db.execute(self._statement(count), values)

    def _statement(self, count: int) -> str:
        row = f"({', '.join('?' * self._columns)})"
        values = ", ".join([row] * count)
        return self._statements.setdefault(count, f"{self._before} (VALUES {values}) {self._after}")


def bulk_insert(table: str, columns: Sequence[str], after: str = "", **lookups: str) -> BulkStatement:
    """Return a statement that inserts rows of these columns into a table, followed by `after`.

    A column named in `lookups` gets the value of that SQL expression, in which {} stands for the row's value.
    """
    given = [lookups.get(name, "{}").format(f"column{number}") for number, name in enumerate(columns, start=1)]
    return BulkStatement(
        len(columns),
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(given)} FROM",
        f"WHERE column1 IS NOT NULL {after}",
    )


OnDone = Callable[[Any, BaseException | None], None]
"""Called once for a write: with its result when it is durable, or with the error."""


class _Write(NamedTuple):
    apply: Apply
    item: Any
    on_done: OnDone


def _ignore(_result: Any, _error: BaseException | None) -> None:
    """Do nothing: nobody waits for this write."""


class Writer:
    """Takes writes, and reports each when it is durable."""

    def __init__(
        self,
        db: aiosqlite.Connection,
        path: Path,
        *,
        sleep: Callable[[float], Awaitable[None]],
        on_retry: Callable[[str], None],
    ) -> None:
        self._db = db
        self._path = path
        self._file = file_id(path)
        self._log_path = beside(path, "-wal")
        self._log: FileId | None = None
        """The write-ahead log, once something was committed to it."""
        self._lock = lock_path(path)
        self._sleep = sleep
        self._on_retry = on_retry
        self._waiting: list[_Write] = []
        self._has_arrived = asyncio.Event()
        self._is_closed = False
        self._unfinished: list[_Write] = []
        """The writes of the batch under way, last first."""
        self._failure: BaseException | None = None
        """Why nothing more is written: each later write fails with it."""

    def post(self, apply: Apply, item: Any, on_done: OnDone = _ignore) -> None:
        """Add a write to the next batch. `on_done` gets StorageError if it cannot be stored in spite of all retries."""
        if self._failure is not None:
            asyncio.get_running_loop().call_soon(on_done, None, self._failure)
            return
        self._waiting.append(_Write(apply, item, on_done))
        self._has_arrived.set()

    async def write(self, apply: Apply, item: Any) -> Any:
        """Return the result of a write once it is durable. Raise StorageError if it cannot be stored."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def finish(result: Any, error: BaseException | None) -> None:
            if done.done():  # the caller went away
                return
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        self.post(apply, item, finish)
        return await done

    async def run(self) -> None:
        """Write until closed, and what was posted before that; then refuse further writes.

        A bug in an `Apply` fails every waiting write, and is raised here too.
        """
        try:
            await self._run()
        except BaseException as error:
            self._failure = error
            self._unfinished += self._waiting
            self._waiting = []
            self._fail_unfinished(error)
            raise
        self._failure = self._failure or StorageError(f"{self._path}: closed, as the run has ended")

    def _fail_unfinished(self, error: BaseException) -> None:
        while self._unfinished:
            self._unfinished.pop().on_done(None, error)

    async def _run(self) -> None:
        while self._waiting or not self._is_closed:
            is_busy = self._has_arrived.is_set()  # more arrived while the last batch was written
            await self._has_arrived.wait()
            if is_busy and not self._is_closed:
                await asyncio.sleep(LINGER.total_seconds())
            self._has_arrived.clear()
            batch, self._waiting = self._waiting, []
            if batch:
                await self._write_batch(batch)

    def close(self) -> None:
        """Let `run` end once everything posted so far is written."""
        self._is_closed = True
        self._has_arrived.set()

    async def _write_batch(self, batch: list[_Write]) -> None:
        by_kind: dict[Apply, list[_Write]] = {}
        for write in batch:
            by_kind.setdefault(write.apply, []).append(write)
        in_order = [write for writes in by_kind.values() for write in writes]
        self._unfinished = in_order[::-1]
        try:
            results = await self._transaction_with_retries(by_kind)
        except (sqlite3.Error, DatabaseError) as error:
            self._fail_unfinished(error)
            return
        for result in (result for of_kind in results for result in of_kind):
            self._unfinished.pop().on_done(result, None)

    async def _transaction_with_retries(self, by_kind: dict[Apply, list[_Write]]) -> list[Sequence[Any]]:
        """Return the results of a batch once it is committed. Retry as long as the failure may be temporary."""
        if self._failure is not None:
            raise self._failure  # this batch arrived while the last one was failing
        for pause in (*PAUSES, None):
            try:
                return await self._transaction(by_kind)
            except Undecodable as error:
                raise undecodable(self._path, error) from error
            except sqlite3.Error as error:
                if (damage := damage_said(self._path, error)) is not None:
                    raise damage from error
                problem, remedy = explain(error)
                if is_of_other_schema(error):
                    raise DatabaseError(f"{self._path}: {problem}", remedy=remedy) from error
                if not is_storage_failure(error):
                    raise
                failure = StorageError(f"{self._path}: {problem}", remedy=remedy)
                if pause is None:
                    self._failure = failure
                    raise failure from error
                self._on_retry(f"{failure}; retrying in {pause.total_seconds():g} s")
            await self._sleep(pause.total_seconds())
        raise AssertionError("unreachable")

    async def _transaction(self, by_kind: dict[Apply, list[_Write]]) -> list[Sequence[Any]]:
        await self._db.execute("BEGIN IMMEDIATE")
        try:
            self._check_lock()
            results = [await apply(self._db, [write.item for write in writes]) for apply, writes in by_kind.items()]
            await self._db.execute("COMMIT")
        except BaseException:
            # On a full disk SQLite may have rolled back already.
            if self._db.in_transaction:
                await self._db.execute("ROLLBACK")
            raise
        self._check_in_place()
        return results

    def _check_lock(self) -> None:
        """Raise LockLost if this process held the database's lock, and others can take it by now.

        Called in a transaction: a process that has the lock now begins with one, too, and so knows all that was
        committed before, and finds no id used twice.
        """
        if is_lost(self._lock):
            self._failure = LockLost(self._lock)
            raise self._failure

    def _check_in_place(self) -> None:
        """Raise StorageError if the file or its log is not at its path any more: others do not see what is committed.

        It vanishes when the file is closed, or if this process is killed before.
        """
        with suppress(OSError):  # SQLite will report what this means
            if (now := file_id(self._path)) != self._file:
                self._failure = record_gone(self._path) if now is None else _replaced(self._path)
                raise self._failure
            log = file_id(self._log_path)
            self._log = self._log or log
            if log is None or log != self._log:
                self._failure = LogLost(self._log_path)
                raise self._failure


def _replaced(path: Path) -> StorageError:
    return StorageError(f"{path} was replaced while it was written to", remedy="restore with pipeline restore")


@asynccontextmanager
async def open_writer(
    path: Path,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    on_retry: Callable[[str], None] = lambda _text: None,
) -> AsyncIterator[Writer]:
    """Open the one connection that writes to a migrated database. On leaving, everything posted is written first.

    `on_retry` is called with one line before each retry of a batch that could not be stored. Raise DatabaseError if the
    file cannot be opened.
    """
    with connect(path, "rw") as db_to_be:
        # Fail here if at all: a failed connection of aiosqlite leaves a thread that talks to a closed loop.
        db_to_be.execute("PRAGMA user_version")
    async with AsyncExitStack() as stack:
        with translate_errors(path):
            stack.enter_context(in_use(file_id(path)))
            db = await stack.enter_async_context(
                aiosqlite.connect(uri(path, "rw"), uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
            )
            await _make_durable(db, path)
        writer = Writer(db, path, sleep=sleep, on_retry=on_retry)
        running = asyncio.create_task(writer.run(), name="writer")
        try:
            yield writer
        finally:
            writer.close()
            await asyncio.shield(running)


async def _make_durable(db: aiosqlite.Connection, path: Path) -> None:
    """Set WAL and FULL, and read them back."""
    mode = await _pragma(db, "PRAGMA journal_mode = WAL")
    await db.execute("PRAGMA synchronous = FULL")
    synchronous = await _pragma(db, "PRAGMA synchronous")
    check_durable(path, mode, synchronous)


async def _pragma(db: aiosqlite.Connection, statement: str) -> Any:
    async with db.execute(statement) as cursor:
        row = await cursor.fetchone()
    return row and row[0]
