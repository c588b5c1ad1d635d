"""Runner: a crash, a full disk or a stop costs no request and no symbol."""

import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.model.symbols import Symbol
from pipeline.schedule.cron import Schedule
from pipeline.store.database import DatabaseError
from pipeline.store.lock import lock_path
from tests.support.daemons import DAILY, FIRST, SYMBOLS, DaemonClock, DaemonHarness, runs
from tests.support.disk import no_file_larger_than
from tests.support.sandbox import Served

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)


async def test_a_crash_fails_the_run_and_not_the_daemon(database: Path, served: Served) -> None:
    served.api.says("AAPL", "{", times=1)  # no JSON: rejected, and so counted
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))
    faults = iter([True])

    def requested(_outcome: str, _seconds: float) -> None:
        if next(faults, False):
            raise RuntimeError("a fault")

    harness.reporter.request_ended = requested  # type: ignore[assignment, method-assign] # stands for any bug deep inside a run
    async with harness.running() as daemon:
        ((status, detail),) = runs(database, "status", "detail")
        assert status == "failed"
        assert re.match(r"crashed: RuntimeError in test_runner\.py:\d+", detail)
        assert "2026-03-14 18:45:00 UTC" in (daemon.why_not_ready() or "")
        assert daemon.status.why_unhealthy() is None
        await harness.until(FIRST + 20 * MINUTE)

    assert runs(database, "trigger", "status") == [("schedule", "failed"), ("continue", "complete")]


async def test_a_damaged_file_ends_the_daemon_before_it_spends_the_quota(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST - HOUR))
    async with harness.running():
        pass
    with closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'profiles'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with database.open("r+b") as file:  # runs and slots can still be written, snapshots cannot
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    requested = served.api.requests
    harness.clock.advance(DAY)

    with pytest.raises(DatabaseError, match="damaged"):
        async with harness.running():
            pass

    assert served.api.requests - requested <= 3
    assert runs(database, "status")[-1] == ("failed",)


async def test_while_nothing_can_be_stored_runs_pause(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST - HOUR))
    async with harness.running() as daemon:
        requested = served.api.requests
        for symbol in SYMBOLS:
            served.api.knows(symbol, {"Symbol": symbol, "Description": symbol * 100_000})
        with no_file_larger_than(200_000):  # enough for a run and its slots, not for what it brings
            await harness.until(FIRST)
            await harness.beat(10)
            assert served.api.requests - requested <= 3
            assert "disk" in (daemon.why_not_ready() or "")
        await harness.until(FIRST + 30 * MINUTE)
        assert daemon.why_not_ready() is None

    assert runs(database, "trigger", "status")[-1] == ("continue", "complete")


async def test_a_run_whose_lock_file_is_removed_fails_and_the_daemon_goes_on(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))
    requested: list[str] = []

    def remove(outcome: str, _seconds: float) -> None:
        requested.append(outcome)
        if len(requested) == 1:
            lock_path(database).unlink()

    harness.reporter.request_ended = remove  # type: ignore[assignment, method-assign] # where somebody tidies up
    async with harness.running() as daemon:
        assert "was removed or replaced" in (daemon.why_not_ready() or "")
        assert len(served.api.seen) <= 3
        await harness.until(FIRST + 20 * MINUTE)
        assert daemon.why_not_ready() is None

    assert runs(database, "trigger", "status") == [("schedule", "interrupted"), ("continue", "complete")]


async def test_stopping_defers_the_rest_and_the_next_daemon_resumes_it(database: Path, served: Served) -> None:
    symbols = tuple(map(Symbol, (f"S{number}" for number in range(40))))
    clock = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, clock, symbols=symbols, limits=("4/minute",))
    requested: list[str] = []

    def stop_after_some(outcome: str, _seconds: float) -> None:
        requested.append(outcome)
        if len(requested) == 6:
            harness.daemon.stop()

    harness.reporter.request_ended = stop_after_some  # type: ignore[assignment, method-assign] # where a signal may come in
    async with harness.running():
        pass
    ((status, stored, deferred),) = runs(database, "status", "stored + unchanged + unknown", "deferred")
    assert status == "interrupted"
    assert stored + deferred == 40
    assert 6 <= stored <= 8

    harness.reporter.request_ended = lambda _outcome, _seconds: None  # type: ignore[assignment, method-assign] # no more
    async with harness.running():
        await harness.settled()
    assert runs(database, "trigger", "status")[1] == ("continue", "complete")
    assert len(served.api.seen) == len(set(served.api.seen)) == 40


async def test_symbols_observed_since_the_fire_time_are_not_requested_again(database: Path, served: Served) -> None:
    clock = DaemonClock(FIRST)
    one = DaemonHarness(
        database, served.base_url, clock, schedules=(Schedule("0 18 * * *", "UTC", 36 * HOUR, SYMBOLS[:2]),)
    )
    async with one.running():
        pass
    both = DaemonHarness(
        database,
        served.base_url,
        clock,
        schedules=(Schedule("15 18 * * *", "UTC", 36 * HOUR, None), *one.config.schedules),
    )
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("DELETE FROM schedules")

    async with both.running():
        pass

    assert runs(database, "scheduled_for", "symbols", "due") == [
        ("2026-03-14T18:00:00.000Z", 2, 2),
        ("2026-03-14T18:15:00.000Z", 3, 1),
    ]


async def test_a_schedule_with_its_own_symbols_requests_these(database: Path, served: Served) -> None:
    own = Schedule("0 18 * * *", "UTC", 36 * HOUR, (Symbol("TSLA"),))
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST), schedules=(own, DAILY))
    async with harness.running():
        pass

    assert runs(database, "schedule", "symbols") == [(str(own), 1), (str(DAILY), 3)]
    assert served.api.seen[0] == "TSLA"
