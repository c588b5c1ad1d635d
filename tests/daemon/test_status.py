"""Daemon status: the heartbeat file and the health checks say what the daemon does."""

import asyncio
from datetime import timedelta
from pathlib import Path

from pipeline.monitoring import heartbeat
from tests.support.daemons import (
    FIRST,
    DaemonClock,
    DaemonHarness,
)
from tests.support.sandbox import Served

DAY = timedelta(days=1)


async def test_the_heartbeat_has_the_state_and_the_last_run_and_ends_with_the_daemon(
    database: Path, served: Served
) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))
    async with harness.running() as daemon:
        await harness.beat()
        beat = heartbeat.read(database)
        assert beat is not None
        assert (beat.state, beat.last_run, beat.last_status) == ("idle", 1, "complete")
        assert beat.next_fire == FIRST + DAY
        assert beat.is_fresh(harness.clock.wall)
        assert daemon.status.why_unhealthy() is None

    assert heartbeat.read(database) is None


async def test_a_store_that_does_not_answer_makes_the_daemon_unhealthy(database: Path, served: Served) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))
    async with harness.running() as daemon:
        harness.clock.advance(DAY)  # asleep: no check was waiting
        assert daemon.status.why_unhealthy() is None
        await harness.answered()
        daemon._heart.probe.start(never)
        harness.clock.advance(timedelta(seconds=100))
        assert daemon.status.why_unhealthy() == "the store has not answered for 100 s"
        assert daemon._heart.probe._check is not None
        daemon._heart.probe._check.cancel()
