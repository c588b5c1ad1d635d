"""A fleet's log to test with: answers appended as members append them, and followed into records."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import psycopg

from pipeline.clock import REAL_CLOCK, Clock
from pipeline.fleet import log
from pipeline.fleet.entries import document_digest, document_text
from pipeline.fleet.follow import Follower, open_follower
from pipeline.fleet.log import ANSWERED, SymbolEnd, open_log
from pipeline.fleet.pool import Pool
from pipeline.fleet.results import FleetResults
from pipeline.model.document import Document
from pipeline.model.outcomes import Outcome, RunId
from pipeline.model.slots import KeyId, Slot
from pipeline.model.symbols import Symbol
from tests.support.clocks import START

MEMBER, INSTANCE = "alpha", UUID(int=1)
HOUR = timedelta(hours=1)


async def reserved(pool: Pool, symbol: str, *, at: datetime = START) -> int:
    """Return the id of a slot that was reserved at an instant."""
    async with pool.connection() as db:
        cursor = await db.execute(
            "INSERT INTO fleet.slots (key_id, symbol, member, retry, reserved_at, deadline_at, finished_at, outcome)"
            " VALUES ('k', %s, %s, false, %s, %s, %s, 'answered') RETURNING id",
            (symbol, MEMBER, at, at + HOUR, at),
        )
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


def slot(number: int, symbol: str, *, run: int = 1) -> Slot:
    """Return a slot as a member has it."""
    return Slot(number, KeyId("k"), RunId(run), Symbol(symbol), False, START, 0, 0)


def answer(number: int, hours: float, document: Document, *, symbol: str = "IBM", run: int = 1) -> SymbolEnd:
    """Return that a slot's request was answered with a document, some hours after the start."""
    at = START + hours * HOUR
    digest, body = document_digest(document), document_text(document)
    return SymbolEnd(run, symbol, ANSWERED, 1, at, slot=number, digest=digest, body=body)


def ended(
    outcome: Outcome, hours: float, *, symbol: str = "IBM", run: int = 1, attempts: int = 1, number: int | None = None
) -> SymbolEnd:
    """Return that a symbol ended without an overview."""
    return SymbolEnd(run, symbol, outcome.value, attempts, START + hours * HOUR, "why", number)


async def append(pool: Pool, *ends: SymbolEnd) -> list[Outcome]:
    """Append in one statement, as a turn does."""
    async with pool.connection() as db:
        return await log.append(db, MEMBER, ends)


@asynccontextmanager
async def results_of(pool: Pool, *, clock: Clock = REAL_CLOCK) -> AsyncIterator[FleetResults]:
    async with open_log(pool, MEMBER, clock=clock) as to_log:
        yield FleetResults(to_log, pool, member=MEMBER, instance=INSTANCE, clock=clock)


async def follow(database: Path, pool: Pool, *, clock: Clock = REAL_CLOCK) -> Follower:
    """Bring a record up to date with the log."""
    async with open_follower(database, pool, clock=clock) as follower:
        await follower.catch_up()
        return follower


def rows(url: str, query: str, *parameters: Any) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as db:
        return db.execute(query, parameters).fetchall()


class Unreliable:
    """A pool of which connections fail, in turn: before the statement, or after its commit, so that nobody knows."""

    def __init__(self, pool: Pool, *failures: str) -> None:
        self._pool = pool
        self._failures = list(failures)
        self.conninfo = pool.conninfo

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        failure = self._failures.pop(0) if self._failures else None
        if failure == "before":
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        async with self._pool.connection() as db:
            yield db
        if failure == "after":
            raise psycopg.OperationalError("server closed the connection unexpectedly")


def unreliable(pool: Pool, *failures: str) -> Pool:
    return cast("Pool", Unreliable(pool, *failures))


_TABLES = {
    "snapshots": "symbol, observed_at, reconfirmed_at, eps, extra",
    "looks": "*",
    "uncovered": "*",
    "symbols": "*",
    "runs": "*",
    "outcomes": "*",
    "schedules": "*",
    "universe": "*",
}


def content(database: Path) -> dict[str, list[Any]]:
    """Return all that a log can change in a record, but for how far it has been read."""
    with closing(sqlite3.connect(database)) as db:
        return {name: sorted(db.execute(f"SELECT {columns} FROM {name}"), key=str) for name, columns in _TABLES.items()}
