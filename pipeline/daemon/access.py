"""Access to the database: the lock that one collecting process holds at a time, and the writer."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog

from pipeline.clock import Clock
from pipeline.collect.halt import Halt, Halted, Interrupted
from pipeline.daemon.status import DaemonStatus
from pipeline.quota.limits import Limit, longest_window
from pipeline.store import lock
from pipeline.store.migrate import Progress
from pipeline.store.record import Begin, prepare
from pipeline.store.writer import Writer, open_writer


class DatabaseAccess:
    """Gives access until the daemon is stopped, which also ends every wait for it."""

    def __init__(self, database: Path, begin: Begin, status: DaemonStatus, clock: Clock) -> None:
        self.halt = Halt()
        """Ends what is done under the lock now."""
        self._database = database
        self._begin = begin
        self._status = status
        self._clock = clock
        self._log = structlog.get_logger()

    def stop(self) -> None:
        """End what is done under the lock, and give no access any more."""
        self._status.is_stopping = True
        self.halt(Interrupted("the daemon was stopped"))

    def check(self) -> None:
        """Raise Halted if the daemon is stopping."""
        if self._status.is_stopping:
            raise Halted

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Hold the database's lock: wait for it as long as it takes, which blocks runs meanwhile. May raise Halted."""
        async with self._locked(None):
            yield

    @asynccontextmanager
    async def exclusive_now(self) -> AsyncIterator[None]:
        """Hold the database's lock if it is free. Raise lock.Busy if it is not; may raise Halted."""
        async with self._locked(timedelta()):
            yield

    async def prepare(self, limits: Iterable[Limit]) -> bool:
        """Bring the database up to date. Return whether a record has begun, which can only be the first time.

        The caller holds the lock. Raise what `record.prepare` raises, and Halted if the daemon is stopped meanwhile: a
        migration is then continued by the next start.
        """
        has_begun = await asyncio.to_thread(
            prepare,
            self._database,
            self._begin,
            longest_window=longest_window(limits),
            now=self._clock.now(),
            on_progress=partial(self._migrating, asyncio.get_running_loop()),
        )
        self._begin = Begin.NEVER
        return has_begun

    def _migrating(self, loop: asyncio.AbstractEventLoop, progress: Progress) -> None:
        """Report how far a migration has come; stop it between two transactions if the daemon is stopping."""
        loop.call_soon_threadsafe(self._status.report_migration, progress)
        self.check()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Writer]:
        """Open the writer. Its retries are logged, unless it is known already that runs are blocked."""
        log = self._log.debug if self._status.is_blocked else self._log.warning
        async with open_writer(self._database, sleep=self._clock.sleep, on_retry=log) as writer:
            yield writer

    @asynccontextmanager
    async def _locked(self, max_wait: timedelta | None) -> AsyncIterator[None]:
        self.check()
        self.halt = Halt()
        async with AsyncExitStack() as stack:
            async with self.halt.interrupts():
                await stack.enter_async_context(
                    lock.hold_lock(
                        self._database,
                        "run",
                        max_wait=max_wait,
                        now=self._clock.now,
                        sleep=asyncio.sleep,
                        on_wait=self._status.block if max_wait is None else lambda _why: None,
                    )
                )
            yield
