"""The member's file: keeps it current with the fleet's log, under the file's lock."""

import asyncio
from datetime import timedelta
from pathlib import Path

import structlog

from pipeline.clock import Clock
from pipeline.collect.halt import Halted
from pipeline.daemon.access import DatabaseAccess
from pipeline.daemon.config import DaemonConfig
from pipeline.daemon.maintenance import Maintenance
from pipeline.daemon.status import LastRun
from pipeline.fleet.follow import Follower, Outage, open_follower
from pipeline.fleet.pool import Pool
from pipeline.monitoring.reporter import Reporter
from pipeline.store.database import DatabaseError, is_temporary
from pipeline.store.reader import Reader, Run
from pipeline.store.renames import record_renames

MAINTENANCE_EVERY = timedelta(minutes=10)
_AGAIN = timedelta(seconds=5)
"""Before the file, or PostgreSQL, is tried again."""
_LOOK_EVERY, _LOOKS = timedelta(seconds=0.05), 100
"""How often, and how many times, to look whether the file has come to a place in the log."""


class Following:
    """The file, from which every question on this machine is answered."""

    def __init__(
        self,
        database: Path,
        pool: Pool,
        config: DaemonConfig,
        *,
        access: DatabaseAccess,
        reporter: Reporter,
        clock: Clock,
    ) -> None:
        self.trouble: str | None = None
        """Why the file is not kept current, if so."""
        self.is_ready = asyncio.Event()
        """Set once the file is one that follows this fleet."""
        self._database = database
        self._pool = pool
        self._config = config
        self._access = access
        self._reporter = reporter
        self._clock = clock
        self._maintenance = Maintenance(database, access, clock)
        self._follower: Follower | None = None
        self._pause = asyncio.Event()
        """Set when the file is to be closed for a moment."""
        self._log = structlog.get_logger()

    @property
    def followed(self) -> int:
        """How far the file has the log, as far as that is known."""
        return 0 if self._follower is None else self._follower.cursor.seq

    def reconfigure(self, config: DaemonConfig) -> None:
        """Write the renames of another configuration into the file."""
        self._config = config
        self._pause.set()

    def stop(self) -> None:
        """Let `run` end."""
        self._pause.set()

    async def reach(self, seq: int) -> bool:
        """Wait a few seconds until the file has the log up to a place. Return whether it has."""
        for _ in range(_LOOKS):
            if self.followed >= seq:
                return True
            await self._clock.sleep(_LOOK_EVERY.total_seconds())
        return False

    async def last_run(self) -> LastRun | None:
        """Return the last run of the fleet of which the file has the end, as `status` has it. Raise DatabaseError."""
        run = await asyncio.to_thread(_last_run, self._database)
        return None if run is None else LastRun(run.id, run.status)

    async def run(self) -> None:
        """Follow until the daemon stops. Raise Trouble for a file that waiting will not make usable."""
        while True:
            try:
                await self._follow()
                await self._maintenance.run(self._config)
            except Halted:
                return
            except Outage as error:
                self._troubled(str(error))
                await self._clock.sleep(_AGAIN.total_seconds())
            except DatabaseError as error:
                self._reporter.storage_failed(error)
                if not is_temporary(error):
                    raise
                self._troubled(str(error))
                await self._clock.sleep(_AGAIN.total_seconds())

    async def _follow(self) -> None:
        """Hold the file's lock, and follow until it is to be closed. Raise Halted when the daemon stops."""
        async with self._access.exclusive():
            if await self._access.prepare(self._config.source.limits):
                self._log.info("following the fleet into a new file", database=str(self._database))
            async with self._access.writing() as writer:
                await record_renames(writer, *self._config.renames)
            async with open_follower(
                self._database, self._pool, clock=self._clock, on_retry=self._log.warning
            ) as follower:
                self._follower = follower
                self.trouble = None
                self.is_ready.set()
                self._pause.clear()
                self._access.check()
                timer = asyncio.get_running_loop().call_later(MAINTENANCE_EVERY.total_seconds(), self._pause.set)
                try:
                    await follower.run(self._pause, on_outage=self._log.warning)
                finally:
                    timer.cancel()
                    self._follower = None

    def _troubled(self, why: str) -> None:
        if self.trouble != why:
            self.trouble = why
            self._log.warning("the file does not follow", reason=why)


def _last_run(database: Path) -> Run | None:
    with Reader.open(database) as reader:
        return reader.last_finished_run()
