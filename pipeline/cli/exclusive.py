"""Exclusive access: takes the lock for one run, and brings the schema up to date first."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from pipeline.cli.migrating import migrate_in_thread
from pipeline.cli.options import Options
from pipeline.cli.set_clock import set_now
from pipeline.instants import utc_now
from pipeline.model.renames import ConfiguredRenames
from pipeline.quota.limits import Limit, longest_window
from pipeline.store import lock
from pipeline.store.older_schema import bring_up_to_date
from pipeline.store.record import Begin, prepare
from pipeline.store.renames import record_renames
from pipeline.store.writer import open_writer

FOLLOWING = "follow"
"""The purpose of a process that writes what a fleet's log says: a file of its own is easily made again."""


def when_to_begin(*, new_record: bool, sandbox: bool) -> Begin:
    """Return when a record may be begun, as the options say."""
    if new_record:
        return Begin.REPLACE_LOST
    return Begin.UNMARKED if sandbox else Begin.FIRST


@asynccontextmanager
async def exclusive_record(database: Path, purpose: str, options: Options) -> AsyncIterator[None]:
    """Hold both locks of a record while the block runs, brought up to date: nothing else may run on it, nor waits.

    Raise UntrustedClock if the clock is not set, Busy if something runs on it, NoData where there is none, and what
    `bring_up_to_date` raises.
    """
    with lock.hold_daemon_lock(database, now=set_now()):
        async with lock.hold_lock(
            database, purpose, max_wait=timedelta(), now=utc_now, sleep=asyncio.sleep, on_wait=options.say
        ):
            now = set_now()
            await migrate_in_thread(
                lambda show: bring_up_to_date(database, now=now, keeps_backup=False, on_progress=show), options
            )
            yield


@asynccontextmanager
async def exclusive_run(
    database: Path,
    purpose: str,
    *,
    begin: Begin,
    limits: Iterable[Limit],
    renames: ConfiguredRenames,
    max_wait: timedelta,
    options: Options,
    announce: Callable[[str], object] | None = None,
) -> AsyncIterator[None]:
    """Hold the database's lock while the block runs, with all migrations applied and the renames stored.

    A record that begins is reported, to stderr if not to `announce`. Other processes see `purpose` ("collect",
    "import"). Raise UntrustedClock if the clock is not set, Busy if the lock is not free within `max_wait`, what
    `record.prepare` raises, and StorageError.
    """
    async with lock.hold_lock(
        database, purpose, max_wait=max_wait, now=utc_now, sleep=asyncio.sleep, on_wait=options.say
    ):
        window, now = longest_window(limits), set_now()
        has_begun = await migrate_in_thread(
            lambda show: prepare(database, begin, longest_window=window, now=now, on_progress=show), options
        )
        if has_begun:
            what = "following the fleet into a new file:" if purpose == FOLLOWING else "a new record begins in"
            (announce or options.error)(f"{what} {database}")
        async with open_writer(database, on_retry=options.say) as writer:
            await record_renames(writer, *renames)
        yield
