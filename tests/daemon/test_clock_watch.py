"""Clock watch: whatever the clock is set by, fire times run once and windows hold."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import instants
from pipeline.daemon.blockers import CLOCK_STEPPED, NOTICED_LATE, Blockers
from pipeline.daemon.clock_watch import ClockWatch
from pipeline.daemon.timer import Timer
from pipeline.model.symbols import Symbol
from pipeline.quota.limits import Limit
from pipeline.sandbox.server import SandboxApi
from pipeline.schedule.cron import Schedule
from pipeline.store.reader import Reader
from pipeline.store.schedules import CLOCK_TOLERANCE
from tests.support.clocks import ManualClock
from tests.support.companies import COMPANIES
from tests.support.daemons import DAILY, FIRST, SYMBOLS, DaemonClock, DaemonHarness, runs
from tests.support.sandbox import Served

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)


def clock_watch(clock: ManualClock) -> ClockWatch:
    return ClockWatch(clock.as_clock(), Timer(lambda: None), Blockers(clock.wall))


@pytest.mark.parametrize(
    "step", [timedelta(hours=1), -timedelta(hours=1), timedelta(seconds=3), timedelta(days=20_000)]
)
async def test_a_step_of_the_clock_is_detected_once(clock: ManualClock, step: timedelta) -> None:
    watch = clock_watch(clock)
    clock.advance(MINUTE)
    clock.set_by(step)
    assert watch.check_for_step() == step
    clock.advance(MINUTE)
    assert watch.check_for_step() == timedelta()


async def test_a_clock_that_is_slewed_is_not_stepped(clock: ManualClock) -> None:
    watch = clock_watch(clock)
    for _ in range(100):
        clock.advance(MINUTE)
        clock.set_by(timedelta(milliseconds=30))
        assert watch.check_for_step() == timedelta()


async def test_fire_times_that_the_machine_slept_through_are_caught_up_at_the_next_heartbeat(
    database: Path, served: Served
) -> None:
    clock = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, clock)
    async with harness.running():
        clock.set_by(2 * DAY + HOUR)  # asleep: the process's own clock stands still meanwhile
        await harness.beat()

    assert runs(database, "trigger", "status", "scheduled_for", "detail")[1:] == [
        ("schedule", "missed", "2026-03-15T18:30:00.000Z", CLOCK_STEPPED),
        ("catch_up", "complete", "2026-03-16T18:30:00.000Z", None),
    ]


async def test_an_hour_repeated_because_the_clock_was_set_back_fires_nothing_twice(
    database: Path, served: Served
) -> None:
    clock = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, clock)
    async with harness.running():
        clock.set_by(-HOUR)
        await harness.beat(2)
        await harness.until(FIRST)
        await harness.until(FIRST + DAY)

    assert runs(database, "trigger", "scheduled_for") == [
        ("schedule", "2026-03-14T18:30:00.000Z"),
        ("schedule", "2026-03-15T18:30:00.000Z"),
    ]


async def test_fire_times_recorded_by_a_clock_a_day_ahead_fire_again_once_it_is_right(
    database: Path, served: Served
) -> None:
    clock = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, clock)
    async with harness.running():
        clock.set_by(DAY)
        await harness.beat()
        clock.set_by(-DAY)
        await harness.beat()
        await harness.until(FIRST + DAY)

    assert runs(database, "schedule", "trigger", "scheduled_for") == [
        (str(DAILY), "schedule", "2026-03-14T18:30:00.000Z"),
        (None, "schedule", "2026-03-15T18:30:00.000Z"),
        (str(DAILY), "schedule", "2026-03-15T18:30:00.000Z"),
    ]
    assert DAY > CLOCK_TOLERANCE


async def test_nothing_runs_until_the_clock_is_set(database: Path, served: Served) -> None:
    clock = DaemonClock(datetime(1970, 1, 1, tzinfo=UTC))
    harness = DaemonHarness(database, served.base_url, clock)
    async with harness.running() as daemon:
        assert daemon.why_not_ready() == "the clock is not set: it says 1970-01-01"
        clock.set_by(FIRST + HOUR - clock.wall)
        await harness.beat()
        assert daemon.why_not_ready() is None

    assert runs(database, "trigger", "status", "scheduled_for") == [
        ("catch_up", "complete", "2026-03-14T18:30:00.000Z")
    ]


@pytest.mark.parametrize("step", [-HOUR, HOUR, DAY], ids=["an hour back", "an hour on", "a day on"])
async def test_however_far_the_clock_is_set_each_fire_time_is_one_row_and_requests_no_symbol_twice(
    database: Path, served: Served, monkeypatch: pytest.MonkeyPatch, step: timedelta
) -> None:
    clock = DaemonClock(FIRST)
    clock.drive_apscheduler(monkeypatch)
    hourly = Schedule("30 */6 * * *", "UTC", 5 * HOUR, None)
    harness = DaemonHarness(database, served.base_url, clock, schedules=(hourly,))
    async with harness.running():
        await harness.through(FIRST + 7 * HOUR)
        clock.set_by(step)
        await harness.beat(2)
        await harness.through(FIRST + 38 * HOUR)

    due = [FIRST + 6 * hours * HOUR for hours in range(7)]
    assert [at for (at,) in runs(database, "scheduled_for")] == list(map(instants.to_text, due))
    statuses = [status for (status,) in runs(database, "status")]
    assert statuses.count("complete") == (7 if step < DAY else 4)
    assert served.api.requests == len(SYMBOLS) * statuses.count("complete")


async def test_a_clock_set_back_makes_no_run_repeat_the_requests_of_its_fire_time(
    database: Path, served: Served
) -> None:
    clock = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, clock, limits=("2/hour", "1/second"))
    requested: list[str] = []

    def set_back_after_the_first(outcome: str, _seconds: float) -> None:
        requested.append(outcome)
        if len(requested) == 1:
            clock.set_by(-HOUR)

    harness.reporter.request_ended = set_back_after_the_first  # type: ignore[assignment, method-assign] # where time passes too
    async with harness.running():
        await harness.beat()
        for quarters in range(1, 12):
            await harness.until(FIRST - HOUR + quarters * 15 * MINUTE)

    assert sorted(served.api.seen) == sorted(SYMBOLS)
    assert [status for (status,) in runs(database, "status")] == ["quota_exhausted", "complete"]


async def test_a_clock_set_forward_frees_no_window_early(database: Path) -> None:
    """A machine without a clock of its own begins in the past, and is put right when it has found a time server."""
    clock = DaemonClock(FIRST)
    plan = [Limit.parse("3/hour")]
    api = SandboxApi(companies=COMPANIES, limits=plan, day=FIRST.date, wall=lambda: None, now=lambda: clock.monotonic)
    async with api.serve() as base_url:
        harness = DaemonHarness(database, base_url, clock, limits=("3/hour",))
        async with harness.running():
            clock.set_by(DAY)
            await harness.beat()
            assert runs(database, "status") == [("complete",), ("quota_exhausted",)]
            await harness.until(clock.wall + HOUR + 2 * MINUTE)

    assert runs(database, "trigger", "status")[2:] == [("continue", "complete")]
    assert (api.requests, api.refused) == (6, 0)


async def test_after_the_clock_was_set_back_failed_runs_keep_their_pauses(database: Path, served: Served) -> None:
    for symbol in SYMBOLS:
        served.api.says(symbol, "down", status=503, times=None)
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST + 3 * HOUR))
    async with harness.running():
        harness.clock.set_by(-2 * HOUR)
        await harness.beat(10)
        assert len(runs(database, "id")) == 1
        await harness.until(harness.clock.wall + 20 * MINUTE)
        assert len(runs(database, "id")) == 2


@pytest.mark.parametrize("boots_at", [datetime(1970, 1, 1, tzinfo=UTC), FIRST + 10 * MINUTE])
async def test_slots_of_an_earlier_process_stay_as_they_are_when_the_clock_is_corrected(
    database: Path, served: Served, boots_at: datetime
) -> None:
    """A board without a clock of its own, switched off for longer than a day: its quota is free again."""
    clock = DaemonClock(FIRST)
    harness = DaemonHarness(database, served.base_url, clock, limits=("3/day",))
    async with harness.running():
        pass
    clock.advance(30 * HOUR)
    clock.machine_reboots()
    right, clock.wall = clock.wall, boots_at
    async with harness.running():
        clock.set_by(right - boots_at)
        await harness.beat(2)

    assert runs(database, "trigger", "status", "requests")[-1] == ("catch_up", "complete", 3)


async def test_a_clock_set_forward_between_two_runs_frees_no_window(database: Path) -> None:
    """Of a server that does not say its time, as one that does would have refused one of the two times."""
    weekly = Schedule("30 18 * * 6", "UTC", 36 * HOUR, (Symbol("MSFT"), Symbol("KO")))
    clock = DaemonClock(FIRST - 2 * DAY)
    api = SandboxApi(companies=COMPANIES, limits=[], day=FIRST.date, wall=lambda: None)
    async with api.serve() as base_url:
        harness = DaemonHarness(database, base_url, clock, schedules=(DAILY, weekly), limits=("3/day",))
        async with harness.running():
            clock.advance(2 * DAY - timedelta(seconds=30))
            requested, ended = api.requests, harness.reporter.run_ended

            def set_forward(*arguments: Any, **named: Any) -> None:
                ended(*arguments, **named)
                if clock.wall < FIRST + HOUR:
                    clock.set_by(25 * HOUR)

            harness.reporter.run_ended = set_forward  # type: ignore[method-assign] # right after a run
            await harness.beat()

    assert api.requests - requested == 3


async def test_reasons_and_counts_are_right_again_once_the_clock_is(database: Path, served: Served) -> None:
    hourly = Schedule("0 * * * *", "UTC", timedelta())
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST), schedules=(hourly,))
    async with harness.running():
        harness.clock.set_by(10 * DAY)
        await harness.beat()
        harness.clock.set_by(-10 * DAY)
        await harness.beat(2)
        harness.clock.machine_sleeps(5 * HOUR)
        await harness.beat(2)
        with Reader.open(database) as record:
            missed = record.missed_fire_times(harness.clock.wall - 7 * DAY)

    # The first two were noted while the clock was ahead, and hold: they might have come, had it been an hour's error.
    ahead, slept = CLOCK_STEPPED, NOTICED_LATE
    assert [((run.scheduled_for or "")[11:16], run.detail) for run in missed] == [
        ("19:00", ahead), ("20:00", ahead), ("21:00", slept), ("22:00", slept), ("23:00", slept),
    ]  # fmt: skip
