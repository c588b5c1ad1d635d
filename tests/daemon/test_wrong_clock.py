"""The daemon while the wall clock is wrong: it says so, requests nothing, and goes on once the clock is right."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.collect.on_demand import NotCollected
from pipeline.model.symbols import Symbol
from pipeline.monitoring.checks import Kind
from pipeline.sandbox.server import SandboxApi
from tests.support.clocks import ManualClock
from tests.support.companies import COMPANIES
from tests.support.daemons import FIRST, SYMBOLS, DaemonClock, DaemonHarness, runs
from tests.support.sandbox import Served

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def clock() -> ManualClock:
    return DaemonClock(FIRST)


@pytest.fixture
async def served(clock: ManualClock) -> AsyncIterator[Served]:
    """Serve the API, whose clock is right whatever the daemon's shows."""
    api = SandboxApi(companies=COMPANIES, limits=(), day=FIRST.date, wall=clock.true, now=clock.server_time)
    async with api.serve() as base_url:
        yield Served(api, base_url)


async def test_a_fire_time_by_a_wrong_clock_is_missed_for_that_reason_and_the_next_by_a_right_one_is_not(
    database: Path, served: Served, clock: DaemonClock
) -> None:
    harness = DaemonHarness(database, served.base_url, clock, limits=("25/day",))
    async with harness.running() as daemon:
        clock.set_by(10 * MINUTE)
        await harness.beat()
        await harness.until(FIRST + DAY + MINUTE)
        why = daemon.why_not_ready() or ""
        await harness.beat()
        told = harness.reporter._alerts.firing(Kind.CLOCK)
        await harness.until(FIRST + 2 * DAY + MINUTE)
        clock.set_right()
        await harness.beat()
        is_ready = daemon.why_not_ready() is None
        await harness.until(FIRST + 2 * DAY)

    assert "this machine's clock shows 2026-03-15 18:31:00 UTC, the API's server 2026-03-15 18:21:" in why
    assert told == {""}
    assert is_ready
    assert served.api.requests == len(SYMBOLS) * 2
    statuses = runs(database, "scheduled_for", "status", "detail")
    assert [status for _, status, _ in statuses] == ["complete", "missed", "complete"]
    assert "this machine's clock shows" in statuses[1][2]
    assert harness.reporter._alerts.firing(Kind.CLOCK) == set()


async def test_a_wrong_clock_is_compared_again_after_a_pause_and_at_once_when_it_is_set(
    database: Path, served: Served, clock: DaemonClock
) -> None:
    harness = DaemonHarness(database, served.base_url, clock, limits=("25/day",))
    async with harness.running() as daemon:
        clock.set_by(DAY + HOUR)
        await harness.beat()
        why = daemon.why_not_ready() or ""
        assert "the API's server" in why
        await harness.beat(3)
        assert daemon.why_not_ready() == why
        clock.set_by(-10 * MINUTE)
        await harness.beat()
        later = f"{clock.wall:%Y-%m-%d %H:%M}"
        assert later in (daemon.why_not_ready() or "")
        await harness.until(clock.wall + 16 * MINUTE)
        assert f"{clock.wall:%Y-%m-%d %H:%M}" in (daemon.why_not_ready() or "")
        assert later not in (daemon.why_not_ready() or "")

    assert served.api.requests == len(SYMBOLS)


async def test_after_a_boot_without_network_what_is_due_is_collected_once_there_is_one(
    database: Path, served: Served, clock: DaemonClock
) -> None:
    harness = DaemonHarness(database, served.base_url, clock, limits=("3/day",))
    async with harness.running():
        pass
    clock.advance(25 * HOUR)
    clock.machine_reboots()
    offline = DaemonHarness(database, "http://127.0.0.1:9/query", clock, limits=("3/day",))
    async with offline.running() as daemon:
        assert "is not reached" in (daemon.why_not_ready() or "")
        offline.config = harness.config
        daemon.reload()
        await offline.beat(2)

    assert served.api.requests == 2 * len(SYMBOLS)
    assert [status for (status,) in runs(database, "status")] == ["complete", "complete"]


async def test_clients_are_told_that_the_clock_is_wrong(database: Path, served: Served, clock: DaemonClock) -> None:
    harness = DaemonHarness(database, served.base_url, clock, limits=("25/day",))
    async with harness.running() as daemon:
        clock.set_by(-HOUR)
        why = await daemon.on_demand.collect(Symbol("MSFT"))

    assert isinstance(why, NotCollected)
    assert "this machine's clock shows" in why.reason
    assert served.api.requests == len(SYMBOLS)


async def test_where_the_server_says_no_time_a_step_forward_makes_no_run_that_gets_no_slot(
    database: Path, clock: DaemonClock
) -> None:
    """The quota is read with the ledger's time: else the daemon would try again and again."""
    api = SandboxApi(companies=COMPANIES, limits=(), day=FIRST.date, wall=lambda: None, now=clock.server_time)
    async with api.serve() as base_url:
        harness = DaemonHarness(database, base_url, clock, limits=("3/day",))
        async with harness.running():
            clock.set_by(DAY)
            await harness.beat(5)
            resumes_at = harness.daemon.status.resumes_at

    assert runs(database, "status", "detail")[0] == ("complete", None)
    assert [status for (status,) in runs(database, "status")] == ["complete", "quota_exhausted"]
    assert resumes_at is not None
    assert timedelta() <= resumes_at - (FIRST + 2 * DAY) < MINUTE
    assert api.requests == 3
