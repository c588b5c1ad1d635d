"""Exclusive access: takes the lock for one run, and brings the schema up to date first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from pipeline.cli.options import Options
from pipeline.instants import utc_now
from pipeline.store import lock
from pipeline.store.migrate import migrate


@asynccontextmanager
async def exclusive_run(database: Path, purpose: str, *, max_wait: timedelta, options: Options) -> AsyncIterator[None]:
    """Hold the database's lock while the block runs, with all migrations applied.

    Other processes see `purpose` ("collect", "import"). Raise Busy if the lock is not free within `max_wait`.
    """
    async with lock.hold_lock(
        database, purpose, max_wait=max_wait, now=utc_now, sleep=asyncio.sleep, on_wait=options.say
    ):
        migrate(database, now=utc_now())
        yield
