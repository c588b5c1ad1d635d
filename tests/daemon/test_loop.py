import asyncio
import os
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import instants
from pipeline.collect.halt import Halt
from pipeline.collect.order import Order
from pipeline.collect.run import collect
from pipeline.daemon.loop import Daemon, DaemonConfig
from pipeline.model.symbols import Symbol
from pipeline.monitoring import heartbeat
from pipeline.quota.limits import Limit
from pipeline.sandbox.companies import Companies
from pipeline.sandbox.server import SandboxApi
from pipeline.schedule.cron import Schedule
from pipeline.settings.errors import SettingsError
from pipeline.store import lock
from pipeline.store.database import DatabaseError
from pipeline.store.lock import hold_daemon_lock
from pipeline.store.migrate import migrate
from pipeline.store.reader import Reader
from pipeline.store.runs import Store
from pipeline.store.schedules import CLOCK_TOLERANCE
from pipeline.store.writer import StorageError, open_writer
from tests.support.clocks import START
from tests.support.daemons import DAILY, SYMBOLS, DaemonClock, DaemonHarness, rows, runs
from tests.support.disk import no_file_larger_than
from tests.support.sandbox import Served

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
FIRST = START  # 18:30 on 14 March 2026, a fire time of the daily schedule


async def test_the_newest_fire_time_before_the_very_first_start_is_run_at_once(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST + 5 * HOUR))

    async with harness.running():
        assert runs(database, "trigger", "status", "scheduled_for", "stored") == [
            ("catch_up", "complete", "2026-03-14T18:30:00.000Z", 3)
        ]


async def test_a_first_start_too_late_to_catch_up_waits_for_the_next_fire_time(database: Path, served: Served) -> None:
    weekly = Schedule("30 18 * * 6", "UTC", timedelta(hours=36), None)  # 14 March is a Saturday
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST + 3 * DAY), schedules=(weekly,))

    async with harness.running():
        assert runs(database, "id") == []
        await harness.until(FIRST + 7 * DAY)
        assert runs(database, "trigger", "status", "scheduled_for") == [
            ("schedule", "complete", "2026-03-21T18:30:00.000Z")
        ]


async def test_each_fire_time_is_run_once(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST + HOUR))

    async with harness.running():
        for day in (1, 2, 3):
            await harness.until(FIRST + day * DAY)
            await harness.beat(3)

    assert runs(database, "trigger", "scheduled_for") == [
        ("catch_up", "2026-03-14T18:30:00.000Z"),
        ("schedule", "2026-03-15T18:30:00.000Z"),
        ("schedule", "2026-03-16T18:30:00.000Z"),
        ("schedule", "2026-03-17T18:30:00.000Z"),
    ]
    assert served.api.requests == 12


async def test_only_the_newest_of_the_missed_is_run_and_the_others_say_why(database: Path, served: Served) -> None:
    hands = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, hands)
    async with harness.running():
        pass
    hands.passes(3 * DAY + HOUR)

    async with harness.running():
        pass

    assert runs(database, "trigger", "status", "scheduled_for", "detail") == [
        ("schedule", "complete", "2026-03-14T18:30:00.000Z", None),
        ("schedule", "missed", "2026-03-15T18:30:00.000Z", "the daemon was not running"),
        ("schedule", "missed", "2026-03-16T18:30:00.000Z", "the daemon was not running"),
        ("catch_up", "complete", "2026-03-17T18:30:00.000Z", None),
    ]
    assert served.api.requests == 6


async def test_what_the_machine_slept_through_is_caught_up_with_at_the_next_heartbeat(
    database: Path, served: Served
) -> None:
    hands = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, hands)
    async with harness.running():
        hands.is_set_by(2 * DAY + HOUR)  # asleep: the process's own clock stands still meanwhile
        await harness.beat()

    assert runs(database, "trigger", "status", "scheduled_for", "detail")[1:] == [
        ("schedule", "missed", "2026-03-15T18:30:00.000Z", "the machine slept, or its clock was set forward"),
        ("catch_up", "complete", "2026-03-16T18:30:00.000Z", None),
    ]


async def test_an_hour_that_the_clock_is_set_back_over_fires_nothing_twice(database: Path, served: Served) -> None:
    hands = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, hands)
    async with harness.running():
        hands.is_set_by(-HOUR)
        await harness.beat(2)
        await harness.until(FIRST)
        await harness.until(FIRST + DAY)

    assert runs(database, "trigger", "scheduled_for") == [
        ("schedule", "2026-03-14T18:30:00.000Z"),
        ("schedule", "2026-03-15T18:30:00.000Z"),
    ]


async def test_fire_times_noted_by_a_clock_a_day_ahead_come_again_when_it_is_right(
    database: Path, served: Served
) -> None:
    hands = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, hands)
    async with harness.running():
        hands.is_set_by(DAY)
        await harness.beat()
        hands.is_set_by(-DAY)
        await harness.beat()
        await harness.until(FIRST + DAY)

    assert runs(database, "schedule", "trigger", "scheduled_for") == [
        (str(DAILY), "schedule", "2026-03-14T18:30:00.000Z"),
        (None, "schedule", "2026-03-15T18:30:00.000Z"),
        (str(DAILY), "schedule", "2026-03-15T18:30:00.000Z"),
    ]
    assert DAY > CLOCK_TOLERANCE


async def test_a_clock_that_is_not_set_yet_is_waited_for(database: Path, served: Served) -> None:
    hands = DaemonClock(datetime(1970, 1, 1, tzinfo=UTC))
    harness = DaemonHarness(database, served.base_url, hands)
    async with harness.running() as daemon:
        assert daemon.why_not_ready() == "the clock is not set: it says 1970-01-01"
        hands.is_set_by(FIRST + HOUR - hands.wall)
        await harness.beat()
        assert daemon.why_not_ready() is None

    assert runs(database, "trigger", "status", "scheduled_for") == [
        ("catch_up", "complete", "2026-03-14T18:30:00.000Z")
    ]


async def test_a_run_cut_short_by_the_quota_goes_on_when_the_window_frees(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST), limits=("2/hour",))
    async with harness.running() as daemon:
        assert daemon.last_heartbeat.continues_at is not None
        await harness.beat(4)
        assert len(runs(database, "id")) == 1
        await harness.until(FIRST + HOUR + 2 * MINUTE)

    assert runs(database, "trigger", "status", "scheduled_for", "stored", "deferred") == [
        ("schedule", "quota_exhausted", "2026-03-14T18:30:00.000Z", 2, 1),
        ("continue", "complete", "2026-03-14T18:30:00.000Z", 1, 0),
    ]
    assert sorted(served.api.seen) == sorted(SYMBOLS)


async def test_it_does_not_go_on_where_it_is_told_not_to(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST), limits=("2/hour",), goes_on=False)
    async with harness.running():
        await harness.until(FIRST + 3 * HOUR)

    assert runs(database, "status") == [("quota_exhausted",)]


async def test_a_run_that_failed_is_gone_on_with_after_ever_longer_pauses(database: Path, served: Served) -> None:
    for symbol in SYMBOLS:
        served.api.says(symbol, "down", status=503, times=2)
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))
    async with harness.running():
        await harness.until(FIRST + 14 * MINUTE)
        assert runs(database, "status") == [("failed",)]
        await harness.until(FIRST + 16 * MINUTE)
        assert runs(database, "status") == [("failed",), ("failed",)]
        await harness.until(FIRST + 45 * MINUTE)
        assert len(runs(database, "id")) == 2
        await harness.until(FIRST + 50 * MINUTE)
        await harness.until(FIRST + 5 * HOUR)

    assert runs(database, "trigger", "status") == [
        ("schedule", "failed"),
        ("continue", "failed"),
        ("continue", "complete"),
    ]


async def test_a_run_that_a_kill_cut_short_is_gone_on_with_at_the_next_start(database: Path, served: Served) -> None:
    hands = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, hands)
    async with harness.running():
        pass
    with closing(sqlite3.connect(database)) as db, db:  # as a kill leaves it: under way, one symbol not looked at
        db.execute("UPDATE runs SET status = 'running', finished_at = NULL")
        db.execute("DELETE FROM symbols WHERE symbol = 'PEP'")
        db.execute("DELETE FROM outcomes WHERE symbol = 'PEP'")
    hands.passes(10 * MINUTE)

    async with harness.running():
        pass

    assert runs(database, "trigger", "status", "due") == [("schedule", "interrupted", 3), ("continue", "complete", 1)]
    assert served.api.seen.count("PEP") == 2


async def test_a_run_that_a_kill_cut_short_is_none_under_way_though_nothing_goes_on_with_it(
    database: Path, served: Served
) -> None:
    hands = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, hands, goes_on=False)
    async with harness.running():
        pass
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE runs SET status = 'running', finished_at = NULL")
    hands.passes(10 * MINUTE)

    async with harness.running():
        assert runs(database, "status", "finished_at") == [("interrupted", "2026-03-14T18:40:00.000Z")]


async def test_what_was_looked_at_since_the_fire_time_is_not_asked_again(database: Path, served: Served) -> None:
    hands = DaemonClock(FIRST)
    one = DaemonHarness(
        database, served.base_url, hands, schedules=(Schedule("0 18 * * *", "UTC", 36 * HOUR, SYMBOLS[:2]),)
    )
    async with one.running():
        pass
    both = DaemonHarness(
        database,
        served.base_url,
        hands,
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


async def test_a_schedule_of_its_own_symbols_asks_for_these(database: Path, served: Served) -> None:
    own = Schedule("0 18 * * *", "UTC", 36 * HOUR, (Symbol("TSLA"),))
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST), schedules=(own, DAILY))
    async with harness.running():
        pass

    assert runs(database, "schedule", "symbols") == [(str(own), 1), (str(DAILY), 3)]
    assert served.api.seen[0] == "TSLA"


async def test_a_schedule_that_is_changed_has_missed_nothing_before(database: Path, served: Served) -> None:
    hands = DaemonClock(FIRST + HOUR)
    harness = DaemonHarness(database, served.base_url, hands)
    async with harness.running() as daemon:
        harness.config = DaemonHarness(
            database, served.base_url, hands, schedules=(Schedule("0 19 * * *", "UTC", 36 * HOUR, None),)
        ).config
        daemon.reload()
        await harness.settled()
        await harness.beat()
        assert len(runs(database, "id")) == 1
        await harness.until(FIRST + DAY + HOUR)

    assert [at for (at,) in runs(database, "scheduled_for")] == ["2026-03-14T18:30:00.000Z", "2026-03-15T19:00:00.000Z"]
    assert rows(database, "SELECT schedule FROM schedules") == [("0 19 * * * UTC",)]


async def test_two_days_of_missed_minutes_are_recorded_each(database: Path, served: Served) -> None:
    hands = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, hands, schedules=(Schedule("* * * * *", "UTC", HOUR, None),))
    async with harness.running():
        pass
    hands.passes(2 * DAY)

    async with harness.running():
        pass

    assert rows(database, "SELECT status, count(*) FROM runs GROUP BY 1") == [("complete", 2), ("missed", 2879)]


async def test_the_heartbeat_tells_how_things_stand_and_goes_with_the_daemon(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))
    async with harness.running() as daemon:
        await harness.beat()
        beat = heartbeat.read(database)
        assert beat is not None
        assert (beat.state, beat.last_run, beat.last_status) == ("idle", 1, "complete")
        assert beat.next_fire == FIRST + DAY
        assert beat.is_fresh(harness.hands.wall)
        assert daemon.why_unhealthy() is None

    assert heartbeat.read(database) is None


async def test_a_fault_of_ours_fails_the_run_and_not_the_daemon(database: Path, served: Served) -> None:
    served.api.says("AAPL", "{", times=1)  # no JSON: rejected, and so counted
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))
    faults = iter([True])

    def asked(_outcome: str, _seconds: float) -> None:
        if next(faults, False):
            raise RuntimeError("a fault")

    harness.reporter.request_ended = asked  # type: ignore[assignment, method-assign] # stands for any fault of ours, deep inside a run
    async with harness.running() as daemon:
        ((status, detail),) = runs(database, "status", "detail")
        assert status == "failed"
        assert re.match(r"crashed: RuntimeError in test_loop\.py:\d+; the log has the whole of it", detail)
        assert "a run crashed: nothing is tried before" in (daemon.why_not_ready() or "")
        assert daemon.why_unhealthy() is None
        await harness.until(FIRST + 20 * MINUTE)

    assert runs(database, "trigger", "status") == [("schedule", "failed"), ("continue", "complete")]


async def test_a_full_disk_is_waited_for_and_what_was_missed_meanwhile_says_so(database: Path, served: Served) -> None:
    hands = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, hands)
    async with harness.running() as daemon:
        with no_file_larger_than(4096):
            await harness.until(FIRST + DAY)
            assert re.search(r"overviews\.db: the disk .*full", daemon.why_not_ready() or "")
            assert daemon.last_heartbeat.state == "waiting"
            await harness.until(FIRST + 2 * DAY)
        await harness.beat()
        assert daemon.why_not_ready() is None

    (_, missed, ran) = runs(database, "status", "detail")
    assert missed[0] == "missed"
    assert re.search(r"overviews\.db: the disk .*full", missed[1])
    assert ran == ("complete", None)


async def test_a_file_that_is_none_of_ours_ends_the_daemon(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))
    database.write_bytes(b"no database" * 1000)

    with pytest.raises(DatabaseError, match="not a database"):
        async with harness.running():
            pass


async def test_a_run_waits_for_a_collect_by_hand_and_asks_only_what_that_did_not(
    database: Path, served: Served
) -> None:
    hands = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, hands)
    async with harness.running() as daemon:
        async with lock.hold_lock(
            database, "collect", max_wait=None, now=lambda: hands.wall, sleep=hands.sleep, on_wait=lambda _text: None
        ):
            hands.passes(DAY)
            await hands.swing()
            while daemon.why_not_ready() is None:
                await asyncio.sleep(0)
            assert re.match(r"waiting for collect, process \d+, since ", daemon.why_not_ready() or "")
            order = Order(SYMBOLS[:2], observed_since=None)
            await collect(database, harness.config.source, order, halt=Halt(), clock=hands.clock())
        await harness.settled()

    assert runs(database, "trigger", "due") == [("schedule", 3), ("manual", 2), ("schedule", 1)]


async def test_a_second_daemon_is_refused_and_the_first_one_named(database: Path) -> None:
    with (
        hold_daemon_lock(database, now=START),
        pytest.raises(lock.Busy, match=rf"another daemon runs .*: run, process {os.getpid()}, since 2026-03-14"),
        hold_daemon_lock(database, now=START),
    ):
        pass


async def test_stopping_defers_the_rest_and_the_next_daemon_goes_on_with_it(database: Path, served: Served) -> None:
    symbols = tuple(map(Symbol, (f"S{number}" for number in range(200))))
    hands = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, hands, symbols=symbols, limits=("4/minute",))
    asked: list[str] = []

    def stop_after_some(outcome: str, _seconds: float) -> None:
        asked.append(outcome)
        if len(asked) == 6:
            harness.daemon.stop()

    harness.reporter.request_ended = stop_after_some  # type: ignore[assignment, method-assign] # where a signal may come in
    async with harness.running():
        pass
    ((status, stored, deferred),) = runs(database, "status", "stored + unchanged + unknown", "deferred")
    assert status == "interrupted"
    assert stored + deferred == 200
    assert 6 <= stored <= 8

    harness.reporter.request_ended = lambda _outcome, _seconds: None  # type: ignore[assignment, method-assign] # no more
    async with harness.running():
        await harness.settled()
    assert runs(database, "trigger", "status")[1] == ("continue", "complete")
    assert len(served.api.seen) == len(set(served.api.seen)) == 200


async def test_a_configuration_that_is_wrong_is_told_and_not_taken_over(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))

    def wrong() -> DaemonConfig:
        raise SettingsError("config/pipeline.toml: source.plan: 'fre' is no plan")

    async with harness.running() as daemon:
        before = harness.config
        daemon._reload_config = wrong
        daemon.reload()
        assert daemon.last_heartbeat.refused == "config/pipeline.toml: source.plan: 'fre' is no plan"
        await harness.until(FIRST + DAY)
        daemon._reload_config = lambda: before
        daemon.reload()
        assert daemon.last_heartbeat.refused is None

    assert runs(database, "status") == [("complete",), ("complete",)]


async def test_a_refused_key_is_tried_again_when_the_configuration_is_read_again(
    database: Path, served: Served
) -> None:
    refusal = '{"Error Message": "the parameter apikey is invalid or missing."}'
    served.api.says("AAPL", refusal)
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST), symbols=(SYMBOLS[0],))
    async with harness.running() as daemon:
        assert runs(database, "status") == [("failed",)]
        await harness.beat(3)
        assert len(runs(database, "id")) == 1
        harness.hands.passes(MINUTE)
        daemon.reload()
        await harness.settled()

    assert runs(database, "trigger", "status") == [("schedule", "failed"), ("continue", "complete")]


async def test_what_is_too_old_is_deleted_once_a_day_and_snapshots_never(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST), limits=("25/day",), outcomes_kept=10 * DAY)
    async with harness.running():
        for day in range(1, 31):
            await harness.until(FIRST + day * DAY)
            await harness.beat(2)

    runs_kept = {run for (run,) in rows(database, "SELECT DISTINCT run_id FROM outcomes")}
    assert runs_kept == set(range(21, 32))
    assert rows(database, "SELECT count(*) FROM requests") == [(9,)]
    assert (
        rows(database, "SELECT count(*) FROM looks")[0][0] + rows(database, "SELECT count(*) FROM snapshots")[0][0]
        == 93
    )
    assert (
        not database.with_name("overviews.db-wal").exists() or not database.with_name("overviews.db-wal").stat().st_size
    )


async def test_a_store_that_does_not_answer_makes_it_unwell(database: Path, served: Served) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))
    async with harness.running() as daemon:
        harness.hands.passes(DAY)  # asleep: nobody asked
        assert daemon.why_unhealthy() is None
        await harness.answered()
        daemon._clock_watch.ask(never)
        harness.hands.passes(timedelta(seconds=100))
        assert daemon.why_unhealthy() == "the store has not answered for 100 s"
        assert daemon._clock_watch._asking is not None
        daemon._clock_watch._asking.cancel()


async def test_the_store_check_of_a_run_that_has_just_ended_is_answered(database: Path) -> None:
    """A write that a writer takes after its end would never be answered, and the daemon be unwell for good."""
    async with open_writer(database) as writer:
        store = Store(writer)
    async with asyncio.timeout(5):
        with pytest.raises(StorageError, match="closed, as the run has ended"):
            await store.ping()


async def test_what_hindered_is_over_once_the_record_can_be_read_again_though_nothing_is_due(
    database: Path, served: Served
) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))
    async with harness.running() as daemon:
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            harness.hands.passes(DAY - 2 * HOUR)  # tidying is due, and nothing else
            await harness.beat()
            assert "locked by another program" in (daemon.why_not_ready() or "")
            other.execute("ROLLBACK")
        await harness.beat()
        assert daemon.why_not_ready() is None
        assert daemon.last_heartbeat.state == "idle"


@asynccontextmanager
async def collect_by_hand(database: Path, hands: DaemonClock) -> AsyncIterator[None]:
    """Another process holds the lock."""
    async with lock.hold_lock(
        database, "collect", max_wait=None, now=lambda: hands.wall, sleep=hands.sleep, on_wait=lambda _text: None
    ):
        yield


async def waits(daemon: Daemon) -> None:
    async with asyncio.timeout(10):
        while daemon.why_not_ready() is None or "waiting for" not in (daemon.why_not_ready() or ""):
            await asyncio.sleep(0)


async def test_a_reload_while_it_waits_for_the_lock_is_what_then_runs(database: Path, served: Served) -> None:
    hands = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, hands)
    async with harness.running() as daemon:
        async with collect_by_hand(database, hands):
            hands.passes(DAY)
            await hands.swing()
            await waits(daemon)
            harness.config = replace(harness.config, symbols=(*SYMBOLS, Symbol("TSLA")))
            daemon.reload()
        await harness.settled()

    assert runs(database, "symbols")[-1] == (4,)
    assert "TSLA" in served.api.seen


async def test_a_clock_set_right_while_it_waits_for_the_lock_is_heeded(database: Path, served: Served) -> None:
    hands = DaemonClock(FIRST + 2 * DAY)  # two days ahead
    harness = DaemonHarness(database, served.base_url, hands)
    async with collect_by_hand(database, hands):
        begun = asyncio.create_task(harness.begin())
        while not hasattr(harness, "daemon"):
            await asyncio.sleep(0)
        await waits(harness.daemon)
        hands.is_set_by(-2 * DAY)
        await hands.swing()
    await begun
    await harness.until(FIRST + DAY)
    harness.daemon.stop()
    await harness.ended()

    assert [at for (at,) in runs(database, "scheduled_for")] == ["2026-03-14T18:30:00.000Z", "2026-03-15T18:30:00.000Z"]


async def test_a_line_added_during_a_run_counts_from_then_and_not_from_the_end_of_the_run(
    database: Path, served: Served
) -> None:
    hands = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, hands)
    more = Schedule("*/10 * * * *", "UTC", HOUR, None)
    reloaded = False

    def reload_once(_outcome: str, _seconds: float) -> None:
        nonlocal reloaded
        if not reloaded:
            reloaded = True
            harness.config = replace(harness.config, schedules=(*harness.config.schedules, more))
            harness.daemon.reload()
            hands.passes(2 * HOUR)  # so long does the rest of the run take

    harness.reporter.request_ended = reload_once  # type: ignore[assignment, method-assign] # the middle of a run
    async with harness.running():
        pass

    fired = rows(
        database, "SELECT scheduled_for, status FROM runs WHERE schedule = ? ORDER BY scheduled_for", str(more)
    )
    assert [at[11:16] for at, _ in fired] == [
        "18:40", "18:50", "19:00", "19:10", "19:20", "19:30", "19:40", "19:50", "20:00", "20:10", "20:20", "20:30",
    ]  # fmt: skip
    assert [status for _, status in fired] == ["missed"] * 11 + ["complete"]
    ((why,),) = rows(database, "SELECT DISTINCT detail FROM runs WHERE status = 'missed'")
    assert why == "run 1 was still going"


async def test_stopped_before_a_run_has_begun_it_begins_none(database: Path, served: Served) -> None:
    hands = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, hands)
    async with collect_by_hand(database, hands):
        begun = asyncio.create_task(harness.begin())
        while not hasattr(harness, "daemon"):
            await asyncio.sleep(0)
        await waits(harness.daemon)
        harness.daemon.stop()
        await harness.ended()
    await begun

    assert runs(database, "id") == []


async def test_a_database_that_is_taken_away_ends_the_daemon_rather_than_begin_another(
    database: Path, served: Served
) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))
    await harness.begin()
    database.unlink()
    with pytest.raises(DatabaseError, match=r"overviews\.db is gone: put it back"):
        await harness.beat()

    assert not database.exists()


async def test_a_backup_put_in_the_place_of_the_file_is_taken_up(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))
    async with harness.running():
        backup = database.with_name("backup.db")
        migrate(backup, now=FIRST)
        backup.replace(database)
        for beside in ("-wal", "-shm"):
            database.with_name(database.name + beside).unlink(missing_ok=True)
        await harness.beat()
        await harness.until(FIRST + DAY)

    assert runs(database, "scheduled_for", "status") == [
        ("2026-03-14T18:30:00.000Z", "complete"),
        ("2026-03-15T18:30:00.000Z", "complete"),
    ]


# Clocks that change, and clocks that are set


IN_SPRING, IN_AUTUMN = "*/30 1,2,3 * * *", "*/30 2 * * *"
NIGHTS: list[tuple[str, str, dict[str, str]]] = [
    ("America/New_York", "2026-03-08", {"30 2 * * *": "07:00", IN_SPRING: "06:00 06:30 07:00 07:30"}),
    ("America/New_York", "2026-11-01", {"30 1 * * *": "05:30", "*/30 1 * * *": "05:00 05:30 06:00 06:30"}),
    ("Europe/Berlin", "2026-03-29", {"30 2 * * *": "01:00", IN_SPRING: "00:00 00:30 01:00 01:30"}),
    ("Europe/Berlin", "2026-10-25", {"30 2 * * *": "00:30", IN_AUTUMN: "00:00 00:30 01:00 01:30"}),
    ("Australia/Sydney", "2026-10-03", {"30 2 * * *": "16:00", IN_SPRING: "15:00 15:30 16:00 16:30"}),
    ("Australia/Sydney", "2026-04-04", {"30 2 * * *": "15:30", IN_AUTUMN: "15:00 15:30 16:00 16:30"}),
    ("Australia/Lord_Howe", "2026-10-03", {"15 2 * * *": "15:30", "*/15 2 * * *": "15:30 15:45"}),
    (
        "Australia/Lord_Howe",
        "2026-04-04",
        {"45 1 * * *": "14:45", "*/15 1 * * *": "14:00 14:15 14:30 14:45 15:00 15:15"},
    ),
]
"""Where clocks change and on which day in UTC, in spring and in autumn; and when lines fire then."""


@pytest.mark.parametrize("asleep", [False, True], ids=["awake", "asleep"])
@pytest.mark.parametrize(("zone", "day", "lines"), NIGHTS, ids=[f"{zone} {day}" for zone, day, _ in NIGHTS])
async def test_each_fire_time_of_a_night_on_which_clocks_change_is_one_row(
    database: Path,
    served: Served,
    monkeypatch: pytest.MonkeyPatch,
    *,
    zone: str,
    day: str,
    lines: dict[str, str],
    asleep: bool,
) -> None:
    start = datetime.fromisoformat(f"{day}T00:00Z") - 3 * HOUR
    end = start + 22 * HOUR
    hands = DaemonClock(start)
    hands.drive_apscheduler(monkeypatch)
    schedules = tuple(Schedule(cron, zone, 36 * HOUR, SYMBOLS[:1]) for cron in lines)
    harness = DaemonHarness(database, served.base_url, hands, schedules=schedules)
    async with harness.running():
        before = len(runs(database, "id"))
        if asleep:
            hands.sleeps(end - hands.wall - MINUTE)
        else:
            await harness.through(end - 2 * MINUTE)
        await harness.beat(2)

    for schedule, times in zip(schedules, lines.values(), strict=True):
        *others, last = (f"{day}T{time}:00.000Z" for time in times.split())
        status = "missed" if asleep else "complete"
        trigger = "catch_up" if asleep else "schedule"
        query = "SELECT scheduled_for, status, trigger FROM runs WHERE id > ? AND schedule = ? ORDER BY scheduled_for"
        assert rows(database, query, before, str(schedule)) == [
            *((at, status, "schedule") for at in others),
            (last, "complete", trigger),
        ]


@pytest.mark.parametrize("step", [-HOUR, HOUR, DAY], ids=["an hour back", "an hour on", "a day on"])
async def test_whatever_the_clock_is_set_by_each_fire_time_is_one_row_and_asks_no_symbol_twice(
    database: Path, served: Served, monkeypatch: pytest.MonkeyPatch, step: timedelta
) -> None:
    hands = DaemonClock(FIRST)
    hands.drive_apscheduler(monkeypatch)
    hourly = Schedule("30 */6 * * *", "UTC", 5 * HOUR, None)
    harness = DaemonHarness(database, served.base_url, hands, schedules=(hourly,))
    async with harness.running():
        await harness.through(FIRST + 7 * HOUR)
        hands.is_set_by(step)
        await harness.beat(2)
        await harness.through(FIRST + 50 * HOUR)

    due = [FIRST + 6 * hours * HOUR for hours in range(9)]
    assert [at for (at,) in runs(database, "scheduled_for")] == list(map(instants.to_text, due))
    statuses = [status for (status,) in runs(database, "status")]
    assert statuses.count("complete") == (9 if step < DAY else 6)
    assert served.api.requests == len(SYMBOLS) * statuses.count("complete")


async def test_a_clock_set_back_makes_no_run_ask_again_what_was_asked_for_its_fire_time(
    database: Path, served: Served
) -> None:
    hands = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, hands, limits=("2/hour", "1/second"))
    asked: list[str] = []

    def set_back_after_the_first(outcome: str, _seconds: float) -> None:
        asked.append(outcome)
        if len(asked) == 1:
            hands.is_set_by(-HOUR)

    harness.reporter.request_ended = set_back_after_the_first  # type: ignore[assignment, method-assign] # where time passes too
    async with harness.running():
        await harness.beat()
        for quarters in range(1, 12):
            await harness.until(FIRST - HOUR + quarters * 15 * MINUTE)

    assert sorted(served.api.seen) == sorted(SYMBOLS)
    assert [status for (status,) in runs(database, "status")] == ["quota_exhausted", "complete"]


async def test_a_clock_set_forward_frees_no_window_early(database: Path) -> None:
    """A machine without a clock of its own begins in the past, and is put right when it has found a time server."""
    hands = DaemonClock(FIRST)
    plan = [Limit.parse("3/hour")]
    api = SandboxApi(companies=Companies(), limits=plan, day=FIRST.date, now=lambda: hands.monotonic)
    async with api.serve() as base_url:
        harness = DaemonHarness(database, base_url, hands, limits=("3/hour",))
        async with harness.running():
            hands.is_set_by(DAY)
            await harness.beat()
            assert runs(database, "status") == [("complete",), ("quota_exhausted",)]
            await harness.until(hands.wall + HOUR + 2 * MINUTE)

    assert runs(database, "trigger", "status")[2:] == [("continue", "complete")]
    assert (api.requests, api.refused) == (6, 0)


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
    asked = served.api.requests
    harness.hands.passes(DAY)

    with pytest.raises(DatabaseError, match="damaged"):
        async with harness.running():
            pass

    assert served.api.requests - asked <= 3
    assert runs(database, "status")[-1] == ("failed",)


async def test_while_nothing_can_be_stored_no_run_follows_upon_another(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST - HOUR))
    async with harness.running() as daemon:
        asked = served.api.requests
        for symbol in SYMBOLS:
            served.api.knows(symbol, {"Symbol": symbol, "Description": symbol * 100_000})
        with no_file_larger_than(200_000):  # enough for a run and its slots, not for what it brings
            await harness.until(FIRST)
            await harness.beat(10)
            assert served.api.requests - asked <= 3
            assert "disk" in (daemon.why_not_ready() or "")
        await harness.until(FIRST + 30 * MINUTE)
        assert daemon.why_not_ready() is None

    assert runs(database, "trigger", "status")[-1] == ("continue", "complete")


async def test_after_the_clock_was_set_back_failed_runs_keep_their_pauses(database: Path, served: Served) -> None:
    for symbol in SYMBOLS:
        served.api.says(symbol, "down", status=503, times=None)
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST + 3 * HOUR))
    async with harness.running():
        harness.hands.is_set_by(-2 * HOUR)
        await harness.beat(10)
        assert len(runs(database, "id")) == 1
        await harness.until(harness.hands.wall + 20 * MINUTE)
        assert len(runs(database, "id")) == 2


@pytest.mark.parametrize("boots_at", [datetime(1970, 1, 1, tzinfo=UTC), FIRST + 10 * MINUTE])
async def test_slots_of_an_earlier_process_are_left_alone_when_the_clock_is_put_right(
    database: Path, served: Served, boots_at: datetime
) -> None:
    """A board without a clock of its own, switched off for longer than a day: its quota is free again."""
    hands = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, hands, limits=("3/day",))
    async with harness.running():
        pass
    hands.passes(30 * HOUR)
    hands.reboots()
    right, hands.wall = hands.wall, boots_at
    async with harness.running():
        hands.is_set_by(right - boots_at)
        await harness.beat(2)

    assert runs(database, "trigger", "status", "requests")[-1] == ("catch_up", "complete", 3)


async def test_a_clock_set_forward_between_two_runs_frees_no_window(database: Path, served: Served) -> None:
    weekly = Schedule("30 18 * * 6", "UTC", 36 * HOUR, (Symbol("MSFT"), Symbol("KO")))
    hands = DaemonClock(FIRST - 2 * DAY)
    harness = DaemonHarness(database, served.base_url, hands, schedules=(DAILY, weekly), limits=("3/day",))
    async with harness.running():
        hands.passes(2 * DAY - timedelta(seconds=30))
        asked, ended = served.api.requests, harness.reporter.run_ended

        def set_forward(*arguments: Any, **named: Any) -> None:
            ended(*arguments, **named)
            if hands.wall < FIRST + HOUR:
                hands.is_set_by(25 * HOUR)

        harness.reporter.run_ended = set_forward  # type: ignore[method-assign] # right after a run
        await harness.beat()

    assert served.api.requests - asked == 3


async def test_reasons_and_counts_are_right_again_once_the_clock_is(database: Path, served: Served) -> None:
    hourly = Schedule("0 * * * *", "UTC", timedelta())
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST), schedules=(hourly,))
    async with harness.running():
        harness.hands.is_set_by(10 * DAY)
        await harness.beat()
        harness.hands.is_set_by(-10 * DAY)
        await harness.beat(2)
        harness.hands.sleeps(5 * HOUR)
        await harness.beat(2)
        with Reader.open(database) as record:
            missed = record.missed_fire_times(harness.hands.wall - 7 * DAY)

    # The first two were noted while the clock was ahead, and hold: they might have come, had it been an hour's error.
    ahead, slept = "the machine slept, or its clock was set forward", "the machine slept, or the daemon was held up"
    assert [((run.scheduled_for or "")[11:16], run.detail) for run in missed] == [
        ("19:00", ahead), ("20:00", ahead), ("21:00", slept), ("22:00", slept), ("23:00", slept),
    ]  # fmt: skip
