"""Reporter: problems arrive over real HTTP, at apprise's json:// service and at an address that is pinged."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from pipeline.monitoring.metrics import Metrics
from pipeline.monitoring.notify import Notifier
from pipeline.monitoring.ping import Ping
from pipeline.monitoring.reporter import Reporter
from pipeline.settings.errors import SettingsError
from tests.support.clocks import START
from tests.support.daemons import DAILY, SYMBOLS, DaemonClock, DaemonHarness
from tests.support.disk import no_file_larger_than
from tests.support.sandbox import Served

pytest.importorskip("apprise", reason="the extra `notify` is not installed")

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
KEY_REFUSED = '{"Error Message": "the parameter apikey is invalid or missing."}'


@dataclass
class Audience:
    """A server that takes notifications and pings."""

    url: str = ""
    messages: asyncio.Queue[tuple[str, str, str]] = field(default_factory=asyncio.Queue)
    pings: list[tuple[str, str]] = field(default_factory=list)

    async def take(self, request: web.BaseRequest) -> web.Response:
        body = await request.text()
        if request.path.startswith("/notified"):
            message = json.loads(body)
            self.messages.put_nowait((message["type"], message["title"], message["message"]))
        else:
            self.pings.append((request.path, body))
        return web.Response()

    async def hears(self) -> tuple[str, str, str]:
        """Return the next message: what kind it is, its title, its text."""
        async with asyncio.timeout(20):
            return await self.messages.get()


@pytest.fixture
async def audience() -> AsyncIterator[Audience]:
    audience = Audience()
    runner = web.ServerRunner(web.Server(audience.take, access_log=None), shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    audience.url = f"127.0.0.1:{runner.addresses[0][1]}"
    yield audience
    await runner.cleanup()


def reporting_to(harness: DaemonHarness, audience: Audience) -> DaemonHarness:
    """Let the daemon report to this audience."""
    harness.reporter = Reporter(
        harness.database,
        harness.reporter.scope,
        metrics=Metrics(),
        notifier=Notifier((f"json://{audience.url}/notified",)),
        ping=Ping(f"http://{audience.url}/ping/secret"),
        clock=harness.clock.as_clock(),
    )
    return harness


async def test_a_partial_run_is_one_message_and_the_next_good_run_reports_the_recovery(
    database: Path, served: Served, audience: Audience
) -> None:
    served.api.says("PEP", "no JSON")
    harness = reporting_to(DaemonHarness(database, served.base_url, DaemonClock(START)), audience)
    async with harness.running():
        kind, title, text = await audience.hears()
        assert (kind, title) == ("warning", "A run ended partial")
        assert "run 1 for 2026-03-14 18:30:00 UTC, partial: 2 stored, 1 rejected" in text
        await harness.until(START + DAY)
        kind, title, text = await audience.hears()
        assert (kind, title) == ("success", "Recovered")

    assert audience.messages.empty()
    assert [path for path, _ in audience.pings] == [
        "/ping/secret/start", "/ping/secret/fail", "/ping/secret/start", "/ping/secret",
    ]  # fmt: skip


async def test_missed_fire_times_are_reported_together_with_the_run_that_catches_up(
    database: Path, served: Served, audience: Audience
) -> None:
    clock = DaemonClock(START)
    async with DaemonHarness(database, served.base_url, clock).running():
        pass
    clock.advance(3 * DAY)
    served.api.says("PEP", "no JSON")
    harness = reporting_to(DaemonHarness(database, served.base_url, clock), audience)

    async with harness.running():
        _, title, text = await audience.hears()

    assert title == "A run ended partial; fire times were missed"
    assert f"2 fire times of {DAILY}, up to 2026-03-17 18:30:00 UTC: the daemon was not running" in text
    assert audience.messages.empty()


async def test_a_refused_key_is_reported_once_while_it_lasts_and_not_again_after_a_restart(
    database: Path, served: Served, audience: Audience
) -> None:
    served.api.says("AAPL", KEY_REFUSED, times=3)
    clock = DaemonClock(START)
    harness = reporting_to(DaemonHarness(database, served.base_url, clock, symbols=SYMBOLS[:1]), audience)
    async with harness.running():
        _, title, _ = await audience.hears()
        assert title == "The API key is refused"
        await harness.until(START + 20 * MINUTE)
    assert database.with_name(f"{database.name}.told.json").is_file(), "where an earlier version left it, too"
    clock.advance(HOUR)
    harness = reporting_to(DaemonHarness(database, served.base_url, clock, symbols=SYMBOLS[:1]), audience)
    async with harness.running():
        assert audience.messages.empty()
        await harness.until(START + DAY)
        kind, title, text = await audience.hears()

    assert (kind, title) == ("success", "Recovered")
    assert "accepted" in text


async def test_a_symbol_that_goes_stale_is_reported_though_nothing_runs(
    database: Path, served: Served, audience: Audience
) -> None:
    clock = DaemonClock(START)
    harness = reporting_to(DaemonHarness(database, served.base_url, clock, schedules=(DAILY,), resumes=False), audience)
    async with harness.running():
        served.api.says("AAPL", KEY_REFUSED, times=None)
        served.api.says("IBM", KEY_REFUSED, times=None)
        served.api.says("PEP", KEY_REFUSED, times=None)
        for day in (1, 2, 3, 4):
            await harness.until(START + day * DAY)
        assert (await audience.hears())[1] == "The API key is refused"
        await harness.until(START + 4 * DAY + 2 * HOUR)
        _, title, text = await audience.hears()

    assert "3 symbols are stale" in title.lower() + text.lower()


async def test_a_full_disk_and_a_wrong_configuration_are_reported_while_they_last(
    database: Path, served: Served, audience: Audience
) -> None:
    def wrong() -> None:
        raise SettingsError("config/pipeline.toml: source.plan: unknown plan 'fre'")

    harness = reporting_to(DaemonHarness(database, served.base_url, DaemonClock(START)), audience)
    async with harness.running() as daemon:
        with no_file_larger_than(4096):
            await harness.until(START + DAY)
            await harness.beat()
            assert (await audience.hears())[1] == "Nothing can be stored"
        daemon._reload_config = wrong  # type: ignore[assignment] # returns nothing, since it raises
        daemon.reload()
        await harness.settled()
        await harness.beat()
        text = " ".join((await audience.hears())[1:])
        assert "new configuration is rejected" in text


async def test_a_new_field_and_a_value_that_jumps_are_reported(
    database: Path, served: Served, audience: Audience
) -> None:
    document = {
        "Symbol": "IBM", "MarketCapitalization": "250000000000", "SharesOutstanding": "900000000",
        "50DayMovingAverage": "280.1", "200DayMovingAverage": "260.2",
    }  # fmt: skip
    served.api.knows("IBM", document)
    harness = reporting_to(DaemonHarness(database, served.base_url, DaemonClock(START), symbols=SYMBOLS[1:2]), audience)
    async with harness.running():
        assert "fields have changed" in (await audience.hears())[1].lower()  # most are absent
        served.api.knows("IBM", document | {"MarketCapitalization": "900000000000", "Mood": "fine"})
        await harness.until(START + DAY)
        _, title, text = await audience.hears()

    assert "suspicious" in title
    assert "IBM market_capitalization: unexplained_jump" in text
    assert "Mood: " in text
