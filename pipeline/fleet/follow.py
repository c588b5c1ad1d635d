"""Follow: keeps a record current with the fleet's log. Any follower's file is a whole record.

One transaction writes some entries and the place of the last one, so that nothing is missed or written twice, whatever
ends the process. While it is written, the next entries are read.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import psycopg

from pipeline import instants
from pipeline.clock import Clock
from pipeline.errors import ExitCode, Trouble
from pipeline.fleet.connection import FleetError, translated
from pipeline.fleet.entries import (
    Answer,
    Ended,
    Listed,
    LogError,
    Row,
    RunState,
    Schedules,
    Uncovered,
    WasListed,
    decode,
)
from pipeline.fleet.log import OUTAGES, one_line
from pipeline.fleet.pool import PATIENCE, Pool
from pipeline.model.document import Overview
from pipeline.model.outcomes import Outcome
from pipeline.store.log_entries import (
    Chunk,
    FollowedOutcome,
    ListedInterval,
    Rewinding,
    apply_chunks,
    rewind,
    set_followed,
)
from pipeline.store.log_place import Followed, is_used, read_followed
from pipeline.store.reader import Run
from pipeline.store.schema import connect_checked
from pipeline.store.snapshots import observation
from pipeline.store.writer import Writer, open_writer

CHUNK = 3_000
"""Entries of a transaction: few enough to hold in memory, and enough to share the cost of a commit."""
_LARGEST_CHUNK = 32_000_000
"""Bytes of documents in one: three times as many as CHUNK of the usual size have."""
POLL = timedelta(seconds=1)
"""How often the log is looked at. (LISTEN does not work through PgBouncer.)"""
PAUSE = timedelta(seconds=3)
"""Before PostgreSQL is tried again when it could not be reached."""

OnProgress = Callable[[int, int], None]
"""Called with how far the record has the log, and how far the log goes."""


class Unfollowable(Trouble):
    """The record follows another fleet, or collects for itself."""

    exit_code = ExitCode.REFUSED


class SetBack(LogError):
    """PostgreSQL is older than the record: a copy of its disk was restored."""

    exit_code = ExitCode.REFUSED


class Outage(FleetError):
    """PostgreSQL cannot be reached. It may pass."""


class _Head(NamedTuple):
    """How far the log goes."""

    fleet: str
    seq: int
    timeline: int
    first_seq: int | None
    """Of the first timeline that the record has not heard of; None: it knows the newest."""
    is_set_back: bool
    """Whether the log ends before the record does, and no other timeline explains it."""


_HEAD = """
    SELECT a.id::text, h.seq, coalesce(t.timeline, 0), f.first_seq,
           CASE WHEN h.seq >= %s OR pg_is_in_recovery() THEN false ELSE h.timeline = fleet.timeline() END
      FROM fleet.about a CROSS JOIN fleet.log_head h
      LEFT JOIN LATERAL (SELECT timeline FROM fleet.timelines ORDER BY began_at DESC LIMIT 1) AS t ON true
      LEFT JOIN LATERAL (SELECT first_seq FROM fleet.timelines
                          WHERE began_at > coalesce((SELECT began_at FROM fleet.timelines WHERE timeline = %s),
                                                    '-infinity')
                          ORDER BY first_seq LIMIT 1) AS f ON true
"""
"""A standby may be behind. Another timeline, which the next entry notes, is read again from where it began.

One statement: between two, a server that took over notes its timeline, and its short log looks like one set back.
"""
_ENTRIES = """
    SELECT seq, kind, at, symbol, run_id, attempts, is_new, body
      FROM (SELECT l.seq, l.kind, l.at, l.symbol, l.run_id, l.attempts, l.same_as IS NULL AS is_new,
                   coalesce(l.body, b.body) AS body,
                   sum(octet_length(coalesce(l.body, b.body))) OVER (ORDER BY l.seq) AS bytes
              FROM (SELECT * FROM fleet.log WHERE seq > %s ORDER BY seq LIMIT %s) AS l
              LEFT JOIN fleet.log b ON b.seq = l.same_as) AS entries
     WHERE bytes IS NULL OR bytes <= %s OR octet_length(body) = bytes
     ORDER BY seq
"""
"""Up to some bytes of bodies, but always one entry. Their length is known without decompressing them."""
_IS_MISSING = """
    SELECT h.seq >= %s AND NOT EXISTS (SELECT 1 FROM fleet.log l WHERE l.seq = %s) FROM fleet.log_head h
"""
"""Whether the log lacks an entry that it goes beyond. That it went beyond it at the last look says nothing: another
server may have taken over since, whose log is shorter."""
_LAST_RUN = """
    SELECT coalesce(max(run_id), 0)
      FROM (SELECT run_id FROM fleet.log WHERE seq < %s AND kind = 'run' ORDER BY seq DESC LIMIT 1000) AS runs
"""


class Follower:
    """A record that follows the fleet's log."""

    def __init__(self, writer: Writer, pool: Pool, cursor: Followed, *, clock: Clock, on_progress: OnProgress) -> None:
        self._writer = writer
        self._pool = pool
        self._clock = clock
        self._on_progress = on_progress
        self.cursor = cursor
        """How far the record has the log."""
        self.head = cursor.seq
        """How far the log went when it was last looked at."""
        self.outage: str | None = None
        """Why `run` cannot read the log at the moment."""

    async def run(self, stop: asyncio.Event, *, on_outage: Callable[[str], None]) -> None:
        """Follow until stopped, and wait for PostgreSQL where it cannot be reached. Raise LogError, StorageError.

        `on_outage` is called with one line when an outage begins.
        """
        while not stop.is_set():
            try:
                await self.catch_up()
                self.outage, pause = None, POLL
            except Outage as error:
                if self.outage is None:
                    on_outage(str(error))
                self.outage, pause = str(error), PAUSE
            await self._wait(stop, pause)

    async def catch_up(self) -> int:
        """Write all entries that are in the log by now, and return their number.

        Raise Outage, LogError for a log that lacks an entry or its end, Unfollowable for that of another fleet,
        StorageError if the record cannot be written.
        """
        before = self.cursor.seq
        try:
            head = await self._look()
            if head.seq > self.cursor.seq:
                await self._write_all(head.seq)
        except OUTAGES as error:
            raise Outage(f"PostgreSQL cannot be reached: {one_line(error)}") from None
        except psycopg.Error as error:
            raise LogError(f"the fleet's log cannot be read: {one_line(error)}") from None
        return max(self.cursor.seq - before, 0)

    async def _wait(self, stop: asyncio.Event, pause: timedelta) -> None:
        waiting = asyncio.ensure_future(stop.wait())
        sleeping = asyncio.ensure_future(self._clock.sleep(pause.total_seconds()))
        await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (waiting, sleeping):
            task.cancel()

    async def _look(self) -> _Head:
        """Return how far the log goes. Go back in it first, where another server took over.

        Raise SetBack, and Unfollowable if another fleet has taken the place of this one.
        """
        async with asyncio.timeout(PATIENCE.total_seconds()), self._pool.connection() as db:
            head = await _head(db, self.cursor)
            if head.fleet != self.cursor.fleet:
                raise _other_fleet("this record", self.cursor.fleet, head.fleet)
            if head.first_seq is not None:
                (last_run,) = await _one(db, _LAST_RUN, head.first_seq)
            elif head.is_set_back:
                raise _set_back(head.seq, self.cursor.seq)
        if head.first_seq is not None:
            to = Followed(self.cursor.fleet, head.timeline, min(self.cursor.seq, head.first_seq - 1))
            if to.seq < self.cursor.seq:
                await self._writer.write(rewind, Rewinding(to, last_run))
            self.cursor = to
        self.head = head.seq
        return head

    async def _write_all(self, head: int) -> None:
        """Write chunk after chunk, until one is the last: one is written while the next is read.

        Where the log has become shorter meanwhile, the next look tells why.
        """
        reading = asyncio.create_task(self._read(self.cursor))
        try:
            while chunk := await reading:
                is_last = chunk.upto.seq >= head
                if not is_last:
                    reading = asyncio.create_task(self._read(chunk.upto))
                await self._writer.write(apply_chunks, chunk)
                self.cursor = chunk.upto
                self._on_progress(chunk.upto.seq, max(head, chunk.upto.seq))
                if is_last:
                    return
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        await self._check_next()

    async def _check_next(self) -> None:
        """Raise LogError if the log lacks the next entry, and not only ends before it."""
        expected = self.cursor.seq + 1
        async with asyncio.timeout(PATIENCE.total_seconds()), self._pool.connection() as db:
            (is_missing,) = await _one(db, _IS_MISSING, expected, expected)
        if is_missing:
            raise _hole(expected)

    async def _read(self, after: Followed) -> Chunk | None:
        """Return the entries after a place; None if there are none. Raise LogError where one is missing."""
        async with asyncio.timeout(PATIENCE.total_seconds()), self._pool.connection() as db:
            cursor = await db.execute(_ENTRIES, (after.seq, CHUNK, _LARGEST_CHUNK))
            rows = await cursor.fetchall()
        for expected, row in enumerate(rows, start=after.seq + 1):
            if row[0] != expected:
                raise _hole(expected)
        return await asyncio.to_thread(chunk_of, rows, after) if rows else None


def _hole(seq: int) -> LogError:
    return LogError(
        f"entry {seq:,} of the fleet's log is missing: someone deleted it, or restored a part of PostgreSQL's tables",
        remedy="restore the whole PostgreSQL database, and let this record follow from its start",
    )


def _set_back(head: int, seq: int) -> SetBack:
    return SetBack(
        f"the fleet's log ends at entry {head:,}, and this record has it up to {seq:,}: PostgreSQL was set back, by a"
        " snapshot of its disk for example, and does not know the last requests either",
        remedy="stop all members, and let PostgreSQL begin a timeline of its own: docs/fleet.md, backups of PostgreSQL",
    )


def chunk_of(rows: Sequence[Row], after: Followed) -> Chunk:
    """Return what consecutive rows of the log, which follow a place, say. Raise LogError, which names the entry."""
    chunk = Chunk(Followed(after.fleet, after.timeline, rows[-1][0]))
    for row in rows:
        match decode(row):
            case Answer() as one:
                chunk.observations.append(observation(one.symbol, one.at, Overview(one.symbol, one.document)))
                outcome = Outcome.STORED if one.is_new else Outcome.UNCHANGED
                _add_outcome(chunk, one, outcome, None)
            case Uncovered() as one:
                chunk.observations.append(observation(one.symbol, one.at, None))
                _add_outcome(chunk, one, Outcome.UNKNOWN, one.detail)
            case Ended() as one:
                _add_outcome(chunk, one, one.outcome, one.detail)
            case RunState() as run:
                chunk.runs[run.id] = Run(**{name: getattr(run, name) for name in Run.__slots__})
            case Schedules(since):
                chunk.schedules = since
            case Listed(at, symbols):
                chunk.lists.append((instants.to_text(at), symbols))
            case WasListed(intervals):
                chunk.intervals += [ListedInterval(*one) for one in intervals]
    return chunk


def _add_outcome(chunk: Chunk, one: Answer | Uncovered | Ended, outcome: Outcome, detail: str | None) -> None:
    if one.run is not None:
        at = instants.to_text(one.at)
        chunk.outcomes.append(FollowedOutcome(one.symbol, one.run, outcome.value, one.attempts, at, detail))


@asynccontextmanager
async def open_follower(
    database: Path,
    pool: Pool,
    *,
    clock: Clock,
    on_retry: Callable[[str], None] = lambda _text: None,
    on_progress: OnProgress = lambda _seq, _head: None,
) -> AsyncIterator[Follower]:
    """Open a migrated record, whose lock the caller holds, and yield it as a follower of the fleet in PostgreSQL.

    A record that holds nothing yet begins to follow. `on_retry` is called before a write to the record is repeated.
    Raise Unfollowable for a record that follows another fleet, or holds what it collected itself; Outage,
    FleetError, DatabaseError.
    """
    fleet = await fleet_id(pool)
    cursor = _begin(database, fleet)
    async with open_writer(database, sleep=clock.sleep, on_retry=on_retry) as writer:
        if cursor is None:
            cursor = Followed(fleet, 0, 0)
            await writer.write(set_followed, cursor)
        yield Follower(writer, pool, cursor, clock=clock, on_progress=on_progress)


def _begin(database: Path, fleet: str) -> Followed | None:
    """Return how far a record has the log of a fleet; None if it is to begin. Raise Unfollowable if it must not."""
    with connect_checked(database) as (db, _):
        cursor = read_followed(db)
        is_own = cursor is None and is_used(db)
    if is_own:
        raise Unfollowable(
            f"{database} collects for itself: it follows no fleet",
            remedy="pipeline fleet import makes its record the fleet's; or configure another database",
        )
    if cursor is not None and cursor.fleet != fleet:
        raise _other_fleet(str(database), cursor.fleet, fleet)
    return cursor


def _other_fleet(what: str, followed: str, found: str) -> Unfollowable:
    return Unfollowable(
        f"{what} follows another fleet ({followed}; that of PIPELINE_FLEET_URL is {found})",
        remedy="configure another database, or the other PIPELINE_FLEET_URL",
    )


async def fleet_id(pool: Pool) -> str:
    """Return the id of the fleet. Raise Outage, FleetError."""
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()), pool.connection() as db:
            (fleet,) = await _one(db, "SELECT id::text FROM fleet.about")
            return str(fleet)
    except OUTAGES as error:
        raise Outage(f"PostgreSQL cannot be reached: {one_line(error)}") from None
    except psycopg.Error as error:
        raise translated(error, str(pool.conninfo)) from None


async def _head(db: psycopg.AsyncConnection[Any], cursor: Followed) -> _Head:
    return _Head(*await _one(db, _HEAD, cursor.seq, cursor.timeline))


async def _one(db: psycopg.AsyncConnection[Any], query: str, *parameters: Any) -> Any:
    found = await db.execute(query, parameters)
    return await found.fetchone() or _no_row()


def _no_row() -> NoReturn:
    problem = "the fleet's tables lack a row that each fleet has: someone deleted it"
    raise LogError(problem, remedy="restore the PostgreSQL database")
