"""The pool: connections of one process to the fleet's PostgreSQL, and one statement on any of them."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, LiteralString

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from pipeline.fleet.connection import AsyncSession, FleetError, conninfo, place, translated

Pool = AsyncConnectionPool[AsyncConnection[Any]]
"""Connections of which each statement commits by itself."""

PATIENCE = timedelta(seconds=15)
"""How long a statement may take. None waits for long, and a network that swallows packets says nothing."""
PATIENCE_FOR_ALL = timedelta(minutes=5)
"""The same of one that goes through all symbols: of a million it takes some ten seconds, on a busy server longer."""
_CONNECTION_WITHIN = timedelta(seconds=6)
"""How long to wait for a connection: a little longer than an attempt to connect may take."""


@asynccontextmanager
async def open_pool(url: str, *, size: int = 4) -> AsyncIterator[Pool]:
    """Yield a pool of up to that many connections. Raise FleetError for a URL that cannot be read.

    It connects when it is used, and again after an outage. It prepares no statements: a pooler may give each to another
    connection.
    """
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # each attempt to connect; who asks says it once
    pool: Pool = AsyncConnectionPool(
        conninfo(url),
        connection_class=AsyncSession,
        kwargs={"prepare_threshold": None},
        min_size=1,
        max_size=size,
        open=False,
        timeout=_CONNECTION_WITHIN.total_seconds(),
        reconnect_timeout=_CONNECTION_WITHIN.total_seconds(),
        configure=_commit_by_itself,
        check=AsyncConnectionPool.check_connection,
    )
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close(timeout=1)


async def _commit_by_itself(db: AsyncConnection[Any]) -> None:
    # Not among the arguments of the pool: Procrastinate gives it too, for the connection on which it listens.
    await db.set_autocommit(True)


async def fetch(
    pool: Pool, query: LiteralString, *values: object, patience: timedelta = PATIENCE
) -> list[tuple[Any, ...]]:
    """Return the rows of one statement, which has been committed. Raise FleetError; then it may have been, too."""
    try:
        async with asyncio.timeout(patience.total_seconds()), pool.connection() as db:
            async with _statements_up_to(db, patience):
                cursor = await db.execute(query, values)
            return [] if cursor.description is None else await cursor.fetchall()
    except PoolTimeout:
        await _raise_reason(pool)
        raise FleetError(f"PostgreSQL at {place(_conninfo(pool))} gives no connection") from None
    except psycopg.Error as error:
        raise translated(error, _conninfo(pool)) from None
    except TimeoutError:
        seconds = f"{patience.total_seconds():g} s"
        raise FleetError(f"PostgreSQL at {place(_conninfo(pool))} did not answer within {seconds}") from None


@asynccontextmanager
async def _statements_up_to(db: AsyncConnection[Any], patience: timedelta) -> AsyncIterator[None]:
    """Let a statement take longer than the connection allows. Not by a transaction: that would hold locks."""
    if patience <= PATIENCE:
        yield
        return
    await db.execute("SELECT set_config('statement_timeout', %s, false)", [f"{patience.total_seconds():.0f}s"])
    try:
        yield
    finally:
        with suppress(psycopg.Error):  # it may be broken; then nobody uses it again
            await db.execute("RESET statement_timeout")


async def now(pool: Pool) -> datetime:
    """Return what PostgreSQL's clock shows. Raise FleetError."""
    at: datetime = (await fetch(pool, "SELECT clock_timestamp()"))[0][0]
    return at


async def _raise_reason(pool: Pool) -> None:
    """Raise FleetError with the reason for which no connection can be had: a pool does not say it."""
    try:
        db = await AsyncSession.connect(_conninfo(pool))
    except psycopg.Error as error:
        raise translated(error, _conninfo(pool)) from None
    await db.close()


def _conninfo(pool: Pool) -> str:
    assert isinstance(pool.conninfo, str)
    return pool.conninfo
