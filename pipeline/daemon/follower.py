"""The follower: a machine without keys, which keeps its file current with a fleet's log until it is stopped."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import structlog

from pipeline.clock import REAL_CLOCK, Clock
from pipeline.daemon import systemd
from pipeline.errors import file_reason
from pipeline.fleet.connection import FleetError, connected
from pipeline.fleet.follow import PAUSE, Follower, OnProgress, Outage, open_follower
from pipeline.fleet.install import check
from pipeline.fleet.members import BEAT_EVERY, Candidate, Membership
from pipeline.fleet.pool import Pool, open_pool
from pipeline.fleet.tasks import end
from pipeline.monitoring import heartbeat
from pipeline.monitoring.heartbeat import DaemonState, Heartbeat
from pipeline.store.log_place import Followed

_CONNECTIONS = 3
"""To PostgreSQL, at most: to read the log ahead, and to give signs of life."""
_LEAVE_WITHIN = timedelta(seconds=2)


async def catch_up(
    database: Path, url: str, *, on_progress: OnProgress, clock: Clock = REAL_CLOCK
) -> tuple[int, Followed]:
    """Write all entries of the log into a record whose lock the caller holds; return how many, and how far it has come.

    Raise FleetError, and what `open_follower` and `Follower.catch_up` raise.
    """
    await asyncio.to_thread(_try, url)
    async with (
        open_pool(url, size=_CONNECTIONS) as pool,
        open_follower(database, pool, clock=clock, on_retry=_warn, on_progress=on_progress) as follower,
    ):
        return await follower.catch_up(), follower.cursor


class FollowerDaemon:
    """Follows until stopped, whatever becomes of PostgreSQL meanwhile. The caller holds the record's locks."""

    def __init__(
        self,
        database: Path,
        url: str,
        name: str,
        *,
        on_progress: OnProgress = lambda _seq, _head: None,
        clock: Clock = REAL_CLOCK,
    ) -> None:
        """`name`: what this machine is called in the fleet."""
        self._database = database
        self._url = url
        self._candidate = Candidate(name, "follower")
        self._on_progress = on_progress
        self._clock = clock
        self._started_at = clock.now()
        self._stopped = asyncio.Event()
        self._follower: Follower | None = None
        self._outage: str | None = None
        """Why the file is not kept current at the moment."""
        self._is_unlisted = False
        """Whether it is known that this machine cannot be listed among the members."""
        self._log = structlog.get_logger()

    def stop(self) -> None:
        """Stop in order: what is read is written first."""
        systemd.stopping("stopping")
        self._stopped.set()

    async def run(self) -> None:
        """Follow until stopped.

        Raise Unfollowable, LogError, and StorageError for a file that cannot be written; NameTaken if another machine
        of the fleet has this one's name; FleetError for a URL that cannot be read.
        """
        async with (
            open_pool(self._url, size=_CONNECTIONS) as pool,
            self._heartbeats(),
            self._membership(pool) as listed,
        ):
            following = asyncio.create_task(self._follow(pool), name="follow")
            try:
                await asyncio.wait({following, listed}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._stopped.set()
                await following
            if listed.done():
                listed.result()
        self._log.info("follower ended")

    async def _follow(self, pool: Pool) -> None:
        while not self._stopped.is_set():
            try:
                async with open_follower(
                    self._database, pool, clock=self._clock, on_retry=_warn, on_progress=self._on_progress
                ) as follower:
                    self._begin(follower)
                    await follower.run(self._stopped, on_outage=self._log.warning)
            except Outage as error:
                self._note_outage(str(error))
                await self._pause(PAUSE)

    def _begin(self, follower: Follower) -> None:
        self._follower, self._outage = follower, None
        self._log.info("following", fleet=follower.cursor.fleet, entry=follower.cursor.seq)
        systemd.ready(self._line())

    def _note_outage(self, why: str) -> None:
        if self._outage is None:
            self._log.warning("waiting for the fleet", reason=why)
            self._outage = why
            systemd.ready(self._line())

    async def _pause(self, span: timedelta) -> None:
        """Wait, but not once stopped."""
        stopped = asyncio.ensure_future(self._stopped.wait())
        paused = asyncio.ensure_future(self._clock.sleep(span.total_seconds()))
        await asyncio.wait({stopped, paused}, return_when=asyncio.FIRST_COMPLETED)
        for task in (stopped, paused):
            task.cancel()

    @asynccontextmanager
    async def _membership(self, pool: Pool) -> AsyncIterator["asyncio.Task[None]"]:
        """Let the fleet see this machine while the block runs. Yield the task that does: it ends where it cannot."""
        membership = Membership(pool, self._clock)
        listed = asyncio.create_task(self._attend(membership), name="membership")
        try:
            yield listed
        finally:
            await end(listed)
            if membership.is_joined:
                with suppress(FleetError, TimeoutError):
                    async with asyncio.timeout(_LEAVE_WITHIN.total_seconds()):
                        await membership.leave()

    async def _attend(self, membership: Membership) -> None:
        """Give signs of life. Where they cannot be written, to a standby for example, the file follows all the same."""
        while True:
            try:
                if not membership.is_joined:
                    await membership.join(self._candidate)
                await membership.measure_clock()
                if not await membership.beat(followed=0 if self._follower is None else self._follower.cursor.seq):
                    await membership.join(self._candidate)
                self._is_unlisted = False
            except FleetError as error:
                if not self._is_unlisted and self._trouble() is None:  # else PostgreSQL is away, which is known
                    self._log.warning("not listed among the fleet's members", reason=str(error))
                    self._is_unlisted = True
            await self._clock.sleep(BEAT_EVERY.total_seconds())

    @asynccontextmanager
    async def _heartbeats(self) -> AsyncIterator[None]:
        """Write the heartbeat file, and report to systemd, while the block runs."""
        beating = asyncio.create_task(self._beat(), name="heartbeat")
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.wait([beating])
            heartbeat.remove(self._database)

    async def _beat(self) -> None:
        period = min(heartbeat.PERIOD, (systemd.watchdog_period() or 2 * heartbeat.PERIOD) / 2)
        while True:
            try:
                heartbeat.write(self._database, self._heartbeat())
            except OSError as error:
                self._log.warning("heartbeat not written", error=file_reason(error))
            systemd.watchdog()
            systemd.status(self._line())
            await self._clock.sleep(period.total_seconds())

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(
            pid=os.getpid(),
            started_at=self._started_at,
            at=self._clock.now(),
            state=DaemonState.STOPPING if self._stopped.is_set() else DaemonState.FOLLOWING,
            blocked_by=self._trouble(),
            silent_seconds=0.0,
        )

    def _trouble(self) -> str | None:
        return self._outage if self._follower is None else self._follower.outage

    def _line(self) -> str:
        """Return what this process does, for `systemctl status`."""
        entry = 0 if self._follower is None else self._follower.cursor.seq
        return self._trouble() or f"following, entry {entry:,} of the log"


def _try(url: str) -> None:
    """Raise FleetError if there is no fleet to be had: a pool would try again for seconds, and not say why."""
    with connected(url) as db:
        check(db)


def _warn(text: str) -> None:
    structlog.get_logger().warning(text)
