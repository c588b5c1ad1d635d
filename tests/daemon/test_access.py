"""Access: runs wait for the lock and the disk, and notice what has changed meanwhile."""

import asyncio
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from pipeline.collect.halt import Halt, Halted
from pipeline.collect.order import Order
from pipeline.collect.run import collect
from pipeline.daemon.loop import Daemon
from pipeline.model.symbols import Symbol
from pipeline.store import lock, migration_steps
from pipeline.store.reader import Reader
from pipeline.store.schema import HalfMigrated
from tests.support.daemons import (
    FIRST,
    SYMBOLS,
    DaemonClock,
    DaemonHarness,
    collect_by_hand,
    runs,
    waits_for_the_lock,
)
from tests.support.database import earlier_migrations
from tests.support.disk import no_file_larger_than
from tests.support.migrations import with_positional_digests
from tests.support.observations import database_of, seen
from tests.support.sandbox import Served

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def test_a_full_disk_blocks_runs_and_is_the_reason_of_those_missed_meanwhile(
    database: Path, served: Served
) -> None:
    clock = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, clock)
    async with harness.running() as daemon:
        with no_file_larger_than(4096):
            await harness.until(FIRST + DAY)
            assert re.search(r"overviews\.db: the disk .*full", daemon.why_not_ready() or "")
            assert daemon.status.heartbeat.state == "waiting"
            await harness.until(FIRST + 2 * DAY)
        await harness.beat()
        assert daemon.why_not_ready() is None

    (_, missed, ran) = runs(database, "status", "detail")
    assert missed[0] == "missed"
    assert re.search(r"overviews\.db: the disk .*full", missed[1])
    assert ran == ("complete", None)


async def test_a_run_waits_for_a_manual_collect_and_requests_only_what_that_did_not(
    database: Path, served: Served
) -> None:
    clock = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, clock)
    async with harness.running() as daemon:
        async with lock.hold_lock(
            database, "collect", max_wait=None, now=lambda: clock.wall, sleep=clock.sleep, on_wait=lambda _text: None
        ):
            clock.advance(DAY)
            await clock.beat()
            while daemon.why_not_ready() is None:
                await asyncio.sleep(0.001)
            assert re.match(r"waiting for collect, process \d+, since ", daemon.why_not_ready() or "")
            order = Order(SYMBOLS[:2], observed_since=None)
            await collect(database, harness.config.source, order, halt=Halt(), clock=clock.as_clock())
        await harness.settled()

    assert runs(database, "trigger", "due") == [("schedule", 3), ("manual", 2), ("schedule", 1)]


async def test_a_blocker_is_cleared_once_the_database_can_be_read_again_though_nothing_is_due(
    database: Path, served: Served
) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))
    async with harness.running() as daemon:
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            harness.clock.advance(DAY - 2 * HOUR)  # tidying is due, and nothing else
            await harness.beat()
            assert "locked by another program" in (daemon.why_not_ready() or "")
            other.execute("ROLLBACK")
        await harness.beat()
        assert daemon.why_not_ready() is None
        assert daemon.status.heartbeat.state == "idle"


async def test_a_reload_while_it_waits_for_the_lock_applies_to_the_next_run(database: Path, served: Served) -> None:
    clock = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, clock)
    async with harness.running() as daemon:
        async with collect_by_hand(database, clock):
            clock.advance(DAY)
            await clock.beat()
            await waits_for_the_lock(daemon)
            harness.config = replace(harness.config, symbols=(*SYMBOLS, Symbol("TSLA")))
            daemon.reload()
        await harness.settled()

    assert runs(database, "symbols")[-1] == (4,)
    assert "TSLA" in served.api.seen


async def test_a_clock_corrected_while_it_waits_for_the_lock_is_noticed(database: Path, served: Served) -> None:
    clock = DaemonClock(FIRST + 2 * DAY)  # two days ahead
    harness = DaemonHarness(database, served.base_url, clock)
    async with collect_by_hand(database, clock):
        begun = asyncio.create_task(harness.begin())
        while not hasattr(harness, "daemon"):
            await asyncio.sleep(0)
        await waits_for_the_lock(harness.daemon)
        clock.set_by(-2 * DAY)
        await clock.beat()
    await begun
    await harness.until(FIRST + DAY)
    harness.daemon.stop()
    await harness.ended()

    assert [at for (at,) in runs(database, "scheduled_for")] == ["2026-03-14T18:30:00.000Z", "2026-03-15T18:30:00.000Z"]


async def test_a_stop_before_a_run_has_started_starts_none(database: Path, served: Served) -> None:
    clock = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, clock)
    async with collect_by_hand(database, clock):
        begun = asyncio.create_task(harness.begin())
        while not hasattr(harness, "daemon"):
            await asyncio.sleep(0)
        await waits_for_the_lock(harness.daemon)
        harness.daemon.stop()
        await harness.ended()
    await begun

    assert runs(database, "id") == []


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a database that takes several transactions to bring up to date."""
    monkeypatch.setattr(migration_steps, "BATCH_ROWS", 1)
    monkeypatch.setattr("pipeline.store.migrate.TRANSACTION_ROWS", 1)
    path = tmp_path / "old.db"
    observed = [seen(hours - 99, EBITDA=str(hours), Name=str(hours)) for hours in range(5)]
    with_positional_digests(database_of(observed), path, earlier_migrations(tmp_path, 11))
    return path


async def test_a_long_migration_blocks_runs_and_is_logged_and_then_the_run_begins(old: Path, served: Served) -> None:
    structlog.reset_defaults()  # a command called by another test may have set a level
    with capture_logs() as logs:
        async with DaemonHarness(old, served.base_url, DaemonClock(FIRST)).running():
            pass

    (line,) = [entry for entry in logs if entry["event"] == "migrating"]
    assert (line["migration"], line["rows"], line["of"]) == ("digests_by_name", 1, 10)
    assert [entry["reason"] for entry in logs if entry["event"] == "runs are blocked"] == [
        "the database is being migrated (digests_by_name)"
    ]
    assert runs(old, "status") == [("complete",)]


async def test_a_daemon_that_is_stopped_while_it_migrates_leaves_the_rest_to_the_next(
    old: Path, served: Served
) -> None:
    harness = DaemonHarness(old, served.base_url, DaemonClock(FIRST))
    stopped = Daemon(old, harness.config, reload_config=harness.reload_config, reporter=harness.reporter)
    stopped.status.is_stopping = True
    with pytest.raises(Halted):
        await stopped._access.prepare(())
    assert stopped.status.heartbeat.blocked_by == "the database is being migrated (digests_by_name)"
    with pytest.raises(HalfMigrated, match="1 of 10 rows"), Reader.open(old):
        pass

    async with harness.running():
        pass

    assert runs(old, "status") == [("complete",)]
