"""Schedules: since when each is in force, and the last firing of each."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from pipeline.model.firings import Firing
from pipeline.model.outcomes import Outcome, RunResult, RunStatus, Trigger
from pipeline.store.reader import Reader
from pipeline.store.runs import Store
from pipeline.store.schedules import CLOCK_TOLERANCE, activate, last_firings, record_crash, record_missed
from pipeline.store.writer import Writer, open_writer
from tests.support.clocks import START
from tests.support.store import HOUR

DAILY, HOURLY = "30 18 * * * UTC", "0 * * * * UTC"
DAY = timedelta(days=1)


@asynccontextmanager
async def active(database: Path, *schedules: str) -> AsyncIterator[Writer]:
    """A writer after these schedules were put in force for the first time."""
    async with open_writer(database) as writer:
        await activate(writer, dict.fromkeys(schedules, START - DAY), since=START, now=START)
        yield writer


async def fired(writer: Writer, hour: int, *runs: tuple[RunStatus, int], schedule: str = DAILY) -> None:
    """Store runs for a fire time, each with its status and how many overviews it stored."""
    store = Store(writer)
    for number, (status, stored) in enumerate(runs):
        at = START + hour * HOUR
        trigger = Trigger.CONTINUE if number else Trigger.SCHEDULE
        run = await store.begin(trigger, at=at, symbols=9, due=9, schedule=schedule, scheduled_for=at)
        if status is not RunStatus.RUNNING:
            await store.finish(run, RunResult(status, {Outcome.STORED: stored}, 9, 1.0, None), at=at)


async def test_the_very_first_schedules_count_from_their_own_instants(database: Path) -> None:
    async with active(database, DAILY):
        pass
    assert last_firings(database, now=START) == {DAILY: Firing(START - DAY)}


async def test_a_new_schedule_counts_from_its_activation_and_a_removed_one_is_forgotten(database: Path) -> None:
    async with active(database, DAILY) as writer:
        now = START + HOUR
        await activate(writer, {HOURLY: START - DAY, DAILY: START}, since=now, now=now)
        assert last_firings(database, now=now) == {DAILY: Firing(START - DAY), HOURLY: Firing(now)}
        await activate(writer, {HOURLY: START}, since=now + HOUR, now=now + HOUR)
    assert last_firings(database, now=now) == {HOURLY: Firing(now)}


async def test_the_last_firing_has_its_last_run_and_the_runs_since_one_that_observed_something(database: Path) -> None:
    async with active(database, DAILY) as writer:
        await fired(writer, 1, (RunStatus.COMPLETE, 9))
        await fired(writer, 2, (RunStatus.PARTIAL, 3), (RunStatus.FAILED, 0), (RunStatus.FAILED, 0))
    firing = last_firings(database, now=START + 2 * HOUR)[DAILY]
    at = START + 2 * HOUR
    assert firing == Firing(START - DAY, scheduled_for=at, status=RunStatus.FAILED, finished_at=at, empty_runs=2)


async def test_a_fire_time_far_ahead_of_the_clock_is_still_to_come(database: Path) -> None:
    async with active(database, DAILY) as writer:
        await fired(writer, 1, (RunStatus.COMPLETE, 9))
        await fired(writer, 1 + 24 * 365, (RunStatus.COMPLETE, 9))
        now = START + 2 * HOUR
        assert last_firings(database, now=now)[DAILY].scheduled_for == START + HOUR
        await activate(writer, {DAILY: START}, since=now, now=now)
    later = START + (1 + 24 * 365) * HOUR
    assert later - now > CLOCK_TOLERANCE
    assert last_firings(database, now=later)[DAILY].scheduled_for == START + HOUR


async def test_missed_fire_times_are_stored_once_each_with_its_reason(database: Path) -> None:
    missed = [(START + n * HOUR, "the machine slept") for n in range(2_500)]
    async with active(database, HOURLY) as writer:
        assert await record_missed(writer, HOURLY, missed, now=START + 9_000 * HOUR) == 2_500
        await record_missed(writer, HOURLY, missed[:5], now=START + 9_000 * HOUR)
    with Reader.open(database) as reader:
        found = reader.missed_fire_times(START)
    assert len(found) == 2_500
    assert {(one.schedule, one.detail) for one in found} == {(HOURLY, "the machine slept")}


async def test_a_crash_is_stored_in_the_run_under_way(database: Path) -> None:
    async with active(database, DAILY) as writer:
        await fired(writer, 1, (RunStatus.RUNNING, 0))
        await record_crash(writer, "crashed: KeyError", now=START + 2 * HOUR)
    with Reader.open(database) as reader:
        (run,) = reader.runs(9)
    assert (run.status, run.detail) == ("failed", "crashed: KeyError")


async def test_activation_closes_a_run_whose_process_died(database: Path) -> None:
    async with active(database, DAILY) as writer:
        await fired(writer, 1, (RunStatus.RUNNING, 0))
        await activate(writer, {DAILY: START}, since=START, now=START + 2 * HOUR)
    assert last_firings(database, now=START + 2 * HOUR)[DAILY].status is RunStatus.INTERRUPTED
