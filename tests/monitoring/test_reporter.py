"""Reporter: problems arrive over real HTTP, at apprise's json:// service and at an address that is pinged."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from pipeline.daemon.config import DaemonConfig
from pipeline.fleet import look
from pipeline.model.symbols import Symbol
from pipeline.monitoring.metrics import Metrics
from pipeline.monitoring.notify import Notifier, Sender
from pipeline.monitoring.ping import Ping
from pipeline.monitoring.recipients import read_recipients
from pipeline.monitoring.reporter import Reporter
from pipeline.schedule.cron import Schedule
from pipeline.settings.errors import SettingsError
from pipeline.store.database import DatabaseError, RecordGone, StorageError
from tests.support.clocks import START
from tests.support.daemons import DAILY, SYMBOLS, DaemonClock, DaemonHarness, runs
from tests.support.disk import no_file_larger_than
from tests.support.fleets import tables
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
        """Return the next message: what kind it is, its title without the sender, its text."""
        async with asyncio.timeout(20):
            kind, title, text = await self.messages.get()
        assert title.startswith("pipeline on nas: ")
        assert text.endswith(" on nas, database /data/overviews.db")
        return kind, title.removeprefix("pipeline on nas: "), text


@pytest.fixture
async def audience() -> AsyncIterator[Audience]:
    audience = Audience()
    runner = web.ServerRunner(web.Server(audience.take, access_log=None), shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    audience.url = f"127.0.0.1:{runner.addresses[0][1]}"
    yield audience
    await runner.cleanup()


async def at_once(_seconds: float) -> None:
    """Let the others run, instead of waiting for an address that is down."""
    await asyncio.sleep(0)


def reporting_to(harness: DaemonHarness, audience: Audience) -> DaemonHarness:
    """Let the daemon report to this audience."""
    harness.reporter = Reporter(
        harness.database,
        harness.reporter.scope,
        metrics=Metrics(),
        notifier=Notifier(
            read_recipients([f"json://{audience.url}/notified"]),
            Sender("nas", Path("/data/overviews.db")),
            sleep=at_once,
        ),
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


async def test_a_failed_fire_time_whose_retries_fail_too_is_one_alert_and_one_recovery_once_a_run_succeeds(
    database: Path, served: Served, audience: Audience
) -> None:
    for symbol in SYMBOLS:
        served.api.says(symbol, "no JSON", times=5)
    harness = reporting_to(DaemonHarness(database, served.base_url, DaemonClock(START)), audience)
    async with harness.running():
        kind, title, text = await audience.hears()
        assert (kind, title) == ("failure", "A run failed")
        assert "run 1 for 2026-03-14 18:30:00 UTC, failed: 3 rejected" in text
        for hours in (1, 2, 4, 8, DAY / HOUR, 26):  # four retries, the next fire time, and its retry, which succeeds
            await harness.until(START + hours * HOUR)
        kind, title, text = await audience.hears()
        assert (kind, title) == ("success", "Recovered")
        assert f"runs succeed again: {DAILY}" in text

    assert [status for (status,) in runs(database, "status")] == ["failed"] * 5 + ["complete"]
    assert audience.messages.empty()


async def test_restarts_and_runs_that_show_nothing_neither_repeat_an_alert_nor_end_it(
    database: Path, served: Served, audience: Audience
) -> None:
    for symbol in SYMBOLS:
        served.api.says(symbol, "no JSON", times=2)
    clock = DaemonClock(START)
    async with reporting_to(DaemonHarness(database, served.base_url, clock), audience).running():
        assert (await audience.hears())[1] == "A run failed"
    clock.advance(HOUR)
    async with reporting_to(DaemonHarness(database, served.base_url, clock), audience).running():
        pass  # the retry at its start fails
    clock.advance(HOUR)
    none_left = DaemonHarness(database, served.base_url, clock, limits=("1/day",))
    async with reporting_to(none_left, audience).running():
        pass
    assert [status for (status,) in runs(database, "status")] == ["failed", "failed", "quota_exhausted"]
    assert audience.messages.empty()

    harness = reporting_to(DaemonHarness(database, served.base_url, clock), audience)
    async with harness.running():
        await harness.until(START + 4 * HOUR)
        assert (await audience.hears())[1] == "Recovered"


async def test_an_alert_of_a_schedule_that_was_removed_is_forgotten(
    database: Path, served: Served, audience: Audience
) -> None:
    served.api.says("PEP", "no JSON", times=2)
    clock = DaemonClock(START)
    hourly = Schedule("0 * * * *", "UTC", timedelta(hours=36), None)
    async with reporting_to(DaemonHarness(database, served.base_url, clock), audience).running():
        assert (await audience.hears())[1] == "A run ended partial"
    harness = reporting_to(DaemonHarness(database, served.base_url, clock, schedules=(hourly,)), audience)
    async with harness.running():
        await harness.until(START + 40 * MINUTE)
        assert (await audience.hears())[1] == "A run ended partial"
        await harness.until(START + 100 * MINUTE)
        assert (await audience.hears())[1] == "Recovered", "all of it"

    assert audience.messages.empty()


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
        kind, title, text = await audience.hears()

    assert (kind, title) == ("warning", "A run ended partial; fire times were missed")
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


async def test_fire_times_missed_before_a_run_that_goes_well_are_reported_together_with_that(
    database: Path, served: Served, audience: Audience
) -> None:
    clock = DaemonClock(START)
    async with DaemonHarness(database, served.base_url, clock).running():
        pass
    clock.advance(3 * DAY)
    async with reporting_to(DaemonHarness(database, served.base_url, clock), audience).running():
        kind, title, text = await audience.hears()

    assert (kind, title) == ("warning", "Fire times were missed")
    assert f"runs take place again: {DAILY}" in text
    assert audience.messages.empty()


async def test_a_full_disk_is_reported_once_until_a_run_could_store_everything(
    database: Path, served: Served, audience: Audience
) -> None:
    harness = reporting_to(DaemonHarness(database, served.base_url, DaemonClock(START)), audience)
    async with harness.running():
        with no_file_larger_than(4096):
            await harness.until(START + DAY)
            for minutes in (20, 40, 60, 80, 100):
                await harness.until(START + DAY + minutes * MINUTE)
            kind, title, _ = await audience.hears()
            assert kind == "failure"
            assert title.startswith("Nothing can be stored")
        await harness.until(START + DAY + 6 * HOUR)
        kind, title, text = await audience.hears()
        assert (kind, title) == ("success", "Recovered")
        assert "data can be stored again" in text

    assert audience.messages.empty()


async def test_that_the_database_can_be_opened_ends_a_failure_to_read_but_not_one_to_write(
    database: Path, served: Served, audience: Audience
) -> None:
    for failure, is_over in ((DatabaseError("disk I/O error"), True), (StorageError("disk full"), False)):
        reporter = reporting_to(DaemonHarness(database, served.base_url, DaemonClock(START)), audience).reporter
        reporter.storage_failed(failure)
        reporter.check()
        assert (await audience.hears())[1] == "Nothing can be stored"
        reporter.database_opened()
        await reporter.close()
        assert audience.messages.empty() != is_over
        if is_over:
            assert (await audience.hears())[1] == "Recovered"

    restarted = reporting_to(DaemonHarness(database, served.base_url, DaemonClock(START)), audience).reporter
    restarted.database_opened()
    await restarted.close()
    assert audience.messages.empty()


async def test_a_rejected_configuration_is_over_when_one_is_accepted_be_it_at_a_restart(
    database: Path, served: Served, audience: Audience
) -> None:
    def wrong() -> DaemonConfig:
        raise SettingsError("config/pipeline.toml: source.plan: unknown plan 'fre'")

    clock = DaemonClock(START)
    harness = reporting_to(DaemonHarness(database, served.base_url, clock), audience)
    async with harness.running() as daemon:
        daemon._reload_config = wrong
        for _ in range(2):
            daemon.reload()
            await harness.beat()
        kind, title, text = await audience.hears()
        assert (kind, title) == ("failure", "The new configuration is rejected")
        assert "unknown plan" in text
        daemon._reload_config = harness.reload_config
        daemon.reload()
        await harness.beat()
        assert (await audience.hears())[1] == "Recovered"
        daemon._reload_config = wrong
        daemon.reload()
        await harness.beat()
        assert (await audience.hears())[1] == "The new configuration is rejected"
    async with reporting_to(DaemonHarness(database, served.base_url, clock), audience).running():
        assert (await audience.hears())[1] == "Recovered"

    assert audience.messages.empty()


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


async def test_companies_that_the_api_denies_are_reported_and_so_is_their_return(
    database: Path, served: Served, audience: Audience
) -> None:
    harness = reporting_to(DaemonHarness(database, served.base_url, DaemonClock(START)), audience)
    async with harness.running():
        for symbol in SYMBOLS:
            served.api.says(symbol, "{}", times=3)
        await harness.until(START + DAY)
        kind, title, text = await audience.hears()
        assert (kind, title) == ("failure", "A run failed; the API denies 3 companies")
        assert "IBM has snapshots, but the API answers {}" in text
        await harness.until(START + DAY + 20 * MINUTE)  # the run is resumed, and fails again
        await harness.until(START + DAY + HOUR)
        assert audience.messages.empty()
        await harness.until(START + DAY + 3 * HOUR)
        kind, title, text = await audience.hears()

    assert (kind, title) == ("success", "Recovered")
    assert "covered by the API again: AAPL, IBM, PEP" in text
    assert audience.messages.empty()


async def test_a_record_that_begins_is_reported_once(tmp_path: Path, served: Served, audience: Audience) -> None:
    database = tmp_path / "overviews.db"
    for _ in range(2):
        harness = reporting_to(DaemonHarness(database, served.base_url, DaemonClock(START)), audience)
        async with harness.running():
            await harness.beat()

    kind, title, text = await audience.hears()
    assert (kind, title) == ("warning", "A new record has begun")
    assert f"{database} did not exist, and a new record has begun in it: if there was one, stop and mount" in text
    assert audience.messages.empty()


async def test_a_vanished_record_is_reported_once_however_often_the_daemon_is_restarted(
    database: Path, served: Served, audience: Audience
) -> None:
    database.unlink()
    for _ in range(3):
        harness = reporting_to(DaemonHarness(database, served.base_url, DaemonClock(START)), audience)
        with pytest.raises(RecordGone):
            async with harness.running():
                pass

    kind, title, text = await audience.hears()
    assert (kind, title) == ("failure", "Nothing can be stored")
    assert "overviews.db is gone, but a record was kept there" in text
    assert audience.messages.empty()
    assert served.api.seen == []


async def test_a_message_that_could_not_be_sent_is_sent_after_a_restart_and_then_no_more(
    database: Path, served: Served, audience: Audience
) -> None:
    database.unlink()
    with pytest.raises(RecordGone):
        async with reporting_to(
            DaemonHarness(database, served.base_url, DaemonClock(START)), Audience("127.0.0.1:1")
        ).running():
            pass

    for _ in range(3):
        harness = reporting_to(DaemonHarness(database, served.base_url, DaemonClock(START)), audience)
        with pytest.raises(RecordGone):
            async with harness.running():
                pass

    kind, title, _ = await audience.hears()
    assert (kind, title) == ("failure", "Nothing can be stored")
    assert audience.messages.empty()


async def test_what_a_client_causes_pings_nothing_and_notifies_only_what_is_no_fault_of_the_clients(
    database: Path, served: Served, audience: Audience
) -> None:
    """A misspelled symbol is not: a value that jumps and a refused key are."""
    ko, misspelled = Symbol("KO"), Symbol("X")
    served.api.says("X", "no JSON", times=None)
    document = {
        "Symbol": "KO", "MarketCapitalization": "250000000000", "SharesOutstanding": "900000000",
        "50DayMovingAverage": "280.1", "200DayMovingAverage": "260.2",
    }  # fmt: skip
    served.api.knows("KO", document)
    harness = reporting_to(DaemonHarness(database, served.base_url, DaemonClock(START), schedules=()), audience)

    async def collect(*symbols: Symbol) -> None:
        for symbol in symbols:
            await harness.daemon.on_demand.collect(symbol)
        await harness.settled()

    async with harness.running():
        await collect(ko, misspelled)
        await harness.until(START + 2 * HOUR)
        assert "fields have changed" in (await audience.hears())[1]  # most are absent
        served.api.knows("KO", document | {"MarketCapitalization": "900000000000"})
        await harness.until(START + DAY)
        await collect(ko)
        await harness.until(START + DAY + 2 * HOUR)
        _, title, text = await audience.hears()
        assert "suspicious" in title
        assert "KO market_capitalization: unexplained_jump" in text
        served.api.says("KO", KEY_REFUSED)
        await harness.until(START + 2 * DAY)
        await collect(ko)
        await harness.beat(2)
        kind, title, text = await audience.hears()
        assert (kind, title) == ("failure", "The API key is refused")
        assert "on demand" in text

    assert audience.messages.empty()
    assert audience.pings == []


async def test_a_member_that_dies_is_reported_by_the_one_that_reports_and_its_return_too(
    database: Path, served: Served, audience: Audience, fleet_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "VALID", timedelta())
    harness = DaemonHarness(database, served.base_url, DaemonClock(START))
    scope = replace(harness.reporter.scope, lookout=look.Lookout(lambda: fleet_url, "alpha"))
    silent, reporter = (reporting_to(harness, audience).reporter for _ in range(2))
    silent.scope = reporter.scope = scope
    with tables(fleet_url) as fleet:
        fleet.agree()
        fleet.member("alpha")
        fleet.member("beta", beat=5 * MINUTE)

        silent.check(of_record=False)
        await silent.close()
        assert audience.messages.empty()
        reporter.check()
        kind, title, text = await audience.hears()
        assert (kind, title) == ("warning", "Something is stuck in the fleet")
        assert "beta has died" in text

        fleet.db.execute("UPDATE fleet.members SET beat_at = clock_timestamp()")
        reporter.check()
        kind, title, text = await audience.hears()
        assert (kind, title) == ("success", "Recovered")
        assert "no longer stuck" in text
    await reporter.close()
    assert audience.messages.empty()
