import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from pipeline import instants
from pipeline.daemon.blockers import NOT_RUNNING
from pipeline.daemon.config import DaemonConfig
from pipeline.model.renames import ConfiguredRenames
from pipeline.model.symbols import Symbol
from pipeline.quota.keys import ApiKey
from pipeline.quota.limits import Limit
from pipeline.schedule.cron import Schedule
from pipeline.settings.errors import SettingsError
from pipeline.store.database import DatabaseError, RecordGone
from pipeline.store.migrate import migrate
from tests.support.daemons import FIRST, SYMBOLS, DaemonClock, DaemonHarness, rows, runs
from tests.support.renames import rename
from tests.support.sandbox import Served

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)


async def test_the_newest_fire_time_before_the_first_start_is_run_at_once(database: Path, served: Served) -> None:
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


async def test_only_the_newest_missed_fire_time_is_run_and_the_others_are_recorded_with_a_reason(
    database: Path, served: Served
) -> None:
    clock = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, clock)
    async with harness.running():
        pass
    clock.advance(3 * DAY + HOUR)

    async with harness.running():
        pass

    assert runs(database, "trigger", "status", "scheduled_for", "detail") == [
        ("schedule", "complete", "2026-03-14T18:30:00.000Z", None),
        ("schedule", "missed", "2026-03-15T18:30:00.000Z", NOT_RUNNING),
        ("schedule", "missed", "2026-03-16T18:30:00.000Z", NOT_RUNNING),
        ("catch_up", "complete", "2026-03-17T18:30:00.000Z", None),
    ]
    assert served.api.requests == 6


async def test_a_run_cut_short_by_the_quota_is_resumed_when_the_window_frees(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST), limits=("2/hour",))
    async with harness.running() as daemon:
        assert daemon.status.heartbeat.resumes_at is not None
        await harness.beat(4)
        assert len(runs(database, "id")) == 1
        await harness.until(FIRST + HOUR + 2 * MINUTE)

    assert runs(database, "trigger", "status", "scheduled_for", "stored", "deferred") == [
        ("schedule", "quota_exhausted", "2026-03-14T18:30:00.000Z", 2, 1),
        ("continue", "complete", "2026-03-14T18:30:00.000Z", 1, 0),
    ]
    assert sorted(served.api.seen) == sorted(SYMBOLS)


async def test_with_several_keys_a_run_is_resumed_when_the_first_of_them_has_a_slot(
    database: Path, served: Served
) -> None:
    keys = tuple(ApiKey(text, f"key-{text}", (Limit.parse(text),)) for text in ("1/day", "1/hour"))
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST), keys=keys)
    async with harness.running() as daemon:
        assert daemon.status.heartbeat.resumes_at is not None
        assert abs(daemon.status.heartbeat.resumes_at - FIRST - HOUR) < 2 * MINUTE
        await harness.until(FIRST + HOUR + 2 * MINUTE)

    assert runs(database, "status") == [("quota_exhausted",), ("complete",)]


async def test_nothing_is_resumed_if_the_configuration_says_so(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST), limits=("2/hour",), resumes=False)
    async with harness.running():
        await harness.until(FIRST + 3 * HOUR)

    assert runs(database, "status") == [("quota_exhausted",)]


async def test_a_run_in_which_all_companies_are_denied_is_resumed_and_never_ends_as_if_all_were_well(
    database: Path, served: Served
) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))
    async with harness.running():
        for symbol in SYMBOLS:
            served.api.says(symbol, "{}", times=4)
        day = FIRST + DAY
        for minutes in (0, 16, 33, 47, 80, 108, 170, 230):  # resumed after 15 minutes, 30, an hour, two
            await harness.until(day + minutes * MINUTE)

    started = [instants.from_text(at) for (at,) in runs(database, "started_at")]
    assert [round((at - day) / MINUTE) for at in started[1:]] == [0, 16, 47, 108, 230]
    assert runs(database, "trigger", "status", "due", "uncovered") == [
        ("schedule", "complete", 3, 0),
        ("schedule", "failed", 3, 3),
        ("continue", "failed", 3, 3),
        ("continue", "failed", 3, 3),
        ("continue", "failed", 3, 3),
        ("continue", "complete", 3, 0),
    ]


async def test_companies_that_were_denied_for_weeks_are_still_requested_when_their_run_is_resumed(
    database: Path, served: Served
) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))
    async with harness.running():
        for symbol in SYMBOLS:
            served.api.says(symbol, "{}", times=None)
        for day in range(1, 12):
            await harness.until(FIRST + day * DAY)
            await harness.until(FIRST + day * DAY + 20 * MINUTE)

    assert all(due for trigger, due in runs(database, "trigger", "due") if trigger == "continue")
    asking = [(at, status) for at, due, status in runs(database, "scheduled_for", "due", "status") if due][1:]
    assert {status for _, status in asking} == {"failed"}
    asked = sorted({date.fromisoformat(at[:10]).day - FIRST.day for at, _ in asking})
    assert asked[:8] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert len(asked) < 11


async def test_a_failed_run_is_resumed_after_ever_longer_pauses(database: Path, served: Served) -> None:
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


async def test_a_run_cut_short_by_a_kill_is_resumed_at_the_next_start(database: Path, served: Served) -> None:
    clock = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, clock)
    async with harness.running():
        pass
    with closing(sqlite3.connect(database)) as db, db:  # as a kill leaves it: running, one symbol not observed
        db.execute("UPDATE runs SET status = 'running', finished_at = NULL")
        db.execute("DELETE FROM symbols WHERE symbol = 'PEP'")
        db.execute("DELETE FROM outcomes WHERE symbol = 'PEP'")
    clock.advance(10 * MINUTE)

    async with harness.running():
        pass

    assert runs(database, "trigger", "status", "due") == [("schedule", "interrupted", 3), ("continue", "complete", 1)]
    assert served.api.seen.count("PEP") == 2


async def test_a_run_cut_short_by_a_kill_is_interrupted_though_nothing_resumes_it(
    database: Path, served: Served
) -> None:
    clock = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, clock, resumes=False)
    async with harness.running():
        pass
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE runs SET status = 'running', finished_at = NULL")
    clock.advance(10 * MINUTE)

    async with harness.running():
        assert runs(database, "status", "finished_at") == [("interrupted", "2026-03-14T18:40:00.000Z")]


async def test_a_changed_schedule_has_missed_nothing_before_the_change(database: Path, served: Served) -> None:
    clock = DaemonClock(FIRST + HOUR)
    harness = DaemonHarness(database, served.base_url, clock)
    async with harness.running() as daemon:
        harness.config = DaemonHarness(
            database, served.base_url, clock, schedules=(Schedule("0 19 * * *", "UTC", 36 * HOUR, None),)
        ).config
        daemon.reload()
        await harness.settled()
        await harness.beat()
        assert len(runs(database, "id")) == 1
        await harness.until(FIRST + DAY + HOUR)

    assert [at for (at,) in runs(database, "scheduled_for")] == ["2026-03-14T18:30:00.000Z", "2026-03-15T19:00:00.000Z"]
    assert rows(database, "SELECT schedule FROM schedules") == [("0 19 * * * UTC",)]


async def test_each_of_two_days_of_missed_minutes_is_recorded(database: Path, served: Served) -> None:
    clock = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, clock, schedules=(Schedule("* * * * *", "UTC", HOUR, None),))
    async with harness.running():
        pass
    clock.advance(2 * DAY)

    async with harness.running():
        pass

    assert rows(database, "SELECT status, count(*) FROM runs GROUP BY 1") == [("complete", 2), ("missed", 2879)]


async def test_a_file_that_is_not_a_database_ends_the_daemon(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))
    database.write_bytes(b"no database" * 1000)

    with pytest.raises(DatabaseError, match="not a database"):
        async with harness.running():
            pass


async def test_a_wrong_configuration_is_reported_and_not_applied(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))

    def wrong() -> DaemonConfig:
        raise SettingsError("config/pipeline.toml: source.plan: unknown plan 'fre'")

    async with harness.running() as daemon:
        before = harness.config
        daemon._reload_config = wrong
        daemon.reload()
        assert daemon.status.heartbeat.refused == "config/pipeline.toml: source.plan: unknown plan 'fre'"
        await harness.until(FIRST + DAY)
        daemon._reload_config = lambda: before
        daemon.reload()
        assert daemon.status.heartbeat.refused is None

    assert runs(database, "status") == [("complete",), ("complete",)]


async def test_a_refused_key_is_tried_again_after_a_reload(database: Path, served: Served) -> None:
    refusal = '{"Error Message": "the parameter apikey is invalid or missing."}'
    served.api.says("AAPL", refusal)
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST), symbols=(SYMBOLS[0],))
    async with harness.running() as daemon:
        assert runs(database, "status") == [("failed",)]
        await harness.beat(3)
        assert len(runs(database, "id")) == 1
        harness.clock.advance(MINUTE)
        daemon.reload()
        await harness.settled()

    assert runs(database, "trigger", "status") == [("schedule", "failed"), ("continue", "complete")]


async def test_a_schedule_added_during_a_run_counts_from_then_and_not_from_the_end_of_the_run(
    database: Path, served: Served
) -> None:
    clock = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, clock)
    more = Schedule("*/10 * * * *", "UTC", HOUR, None)
    reloaded = False

    def reload_once(_outcome: str, _seconds: float) -> None:
        nonlocal reloaded
        if not reloaded:
            reloaded = True
            harness.config = replace(harness.config, schedules=(*harness.config.schedules, more))
            harness.daemon.reload()
            clock.advance(2 * HOUR)  # so long does the rest of the run take

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
    assert why == "run 1 was still in progress"


async def test_a_removed_database_ends_the_daemon_instead_of_starting_a_new_one(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))
    await harness.begin()
    database.unlink()
    with pytest.raises(RecordGone, match=r"overviews\.db is gone, but a record was kept there: "):
        await harness.beat()
    with pytest.raises(RecordGone):  # nor does a restart
        await DaemonHarness(database, served.base_url, DaemonClock(FIRST)).begin()

    assert not database.exists()


async def test_a_folder_that_vanished_ends_the_daemon_even_before_it_has_looked(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST))
    await harness.begin()
    for file in database.parent.iterdir():
        file.unlink()
    harness.daemon.reload()  # which prepares the database before anything is read from it
    with pytest.raises(RecordGone):
        await harness.beat()

    assert not database.exists()


async def test_a_backup_put_in_place_of_the_file_is_continued(database: Path, served: Served) -> None:
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


async def test_a_rename_configured_in_advance_is_loaded_when_it_comes_into_force(
    database: Path, served: Served
) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST + HOUR))
    later = harness.config
    on = FIRST + 5 * HOUR
    harness.config = replace(later, renames=ConfiguredRenames("", (rename("FB", "META", on),)), changes_at=on)
    async with harness.running():
        harness.config = replace(harness.config, changes_at=None, symbols=(Symbol("META"),))
        await harness.until(on - MINUTE)
        assert harness.daemon._config.symbols == later.symbols
        await harness.until(on)
        assert harness.daemon._config.symbols == ("META",)

    assert rows(database, "SELECT symbol, renamed_to FROM renames") == [("FB", "META")]


async def test_a_configuration_refused_at_a_rename_is_read_once(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST + HOUR))
    harness.config = replace(harness.config, changes_at=FIRST + 5 * HOUR)
    reads = []

    def wrong() -> DaemonConfig:
        reads.append(1)
        raise SettingsError("wrong")

    async with harness.running() as daemon:
        daemon._reload_config = wrong
        await harness.until(FIRST + 5 * HOUR)
        await harness.beat(3)

    assert len(reads) == 1
