"""Maintenance while the daemon is idle: prune old rows once a day, and empty the write-ahead log."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.clock import Clock
from pipeline.daemon.access import DatabaseAccess
from pipeline.daemon.config import DaemonConfig
from pipeline.instants import nanoseconds
from pipeline.quota.ledger_time import least_now
from pipeline.quota.limits import longest_window
from pipeline.store import lock, maintenance
from pipeline.store.database import DatabaseError, wal_bytes
from pipeline.store.reader import Reader

PRUNE_EVERY = timedelta(days=1)
CHECKPOINT_EVERY = timedelta(minutes=10)
"""How often to retry emptying a write-ahead log that a reader still uses."""


class Maintenance:
    """Does the maintenance that is due."""

    def __init__(self, database: Path, access: DatabaseAccess, clock: Clock) -> None:
        self._database = database
        self._access = access
        self._clock = clock
        self._prune_at = self._checkpoint_at = clock.monotonic()

    async def run(self, config: DaemonConfig) -> None:
        """Do what is due, unless another process is collecting: then it is done another time."""
        with suppress(lock.Busy):
            if self._clock.monotonic() >= self._prune_at:
                await self._prune(config)
            if self._clock.monotonic() >= self._checkpoint_at and wal_bytes(self._database):
                async with self._access.exclusive_now():
                    await self.checkpoint()

    async def checkpoint(self) -> None:
        """Empty the write-ahead log, as far as readers let it. The caller holds the lock."""
        self._checkpoint_at = self._clock.monotonic() + nanoseconds(CHECKPOINT_EVERY)
        with suppress(DatabaseError):  # it is retried
            await asyncio.to_thread(maintenance.checkpoint, self._database)

    async def _prune(self, config: DaemonConfig) -> None:
        own = self._clock.monotonic()
        now = await asyncio.to_thread(_least_now, self._database, self._clock)
        async with self._access.exclusive_now(), self._access.writing() as writer:
            await maintenance.prune(
                writer,
                longest_window=longest_window(config.source.limits),
                outcomes_kept=config.outcomes_kept,
                now=now,
            )
        self._prune_at = own + nanoseconds(PRUNE_EVERY)


def _least_now(database: Path, clock: Clock) -> datetime:
    """Return an instant that has certainly come, so that a clock that is ahead deletes nothing."""
    with Reader.open(database) as reader:
        return least_now(reader.ledger_mark(), wall=clock.now(), uptime=clock.uptime())
