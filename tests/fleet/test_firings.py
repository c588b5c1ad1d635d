import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from pipeline import instants
from pipeline.fleet.firings import BATCH, Firings, activate, fire, read_firings, record_missed
from pipeline.fleet.pool import Pool, fetch, now
from pipeline.model.firings import Firing
from pipeline.model.outcomes import RunStatus, Trigger
from pipeline.model.symbols import Symbol
from pipeline.schedule.cron import Schedule
from pipeline.schedule.next_run import ScheduledRun

DAILY = Schedule("30 18 * * *", "UTC", timedelta(hours=36), None)
NAME = str(DAILY)
SYMBOLS = tuple(map(Symbol, ("AAPL", "IBM", "PEP")))
MINUTE = timedelta(minutes=1)


async def runs(pool: Pool, columns: str) -> list[tuple[Any, ...]]:
    return await fetch(pool, f"SELECT {columns} FROM fleet.runs ORDER BY id".encode())  # type: ignore[arg-type]


@pytest.fixture
async def at(pool: Pool) -> datetime:
    """Return an instant a minute ago, by PostgreSQL's clock; the schedule is in force since a day before."""
    at = instants.in_milliseconds(await now(pool)) - MINUTE
    await activate(pool, {NAME: at - timedelta(days=1)}, since=at)
    return at


async def fires(
    pool: Pool, at: datetime, *, trigger: Trigger = Trigger.SCHEDULE, firings: Firings | None = None,
    symbols: tuple[Symbol, ...] = SYMBOLS, member: str = "alpha",
) -> int | None:  # fmt: skip
    firings = firings or await read_firings(pool)
    return await fire(pool, ScheduledRun(DAILY, at, trigger), firings, symbols, member=member)


async def test_of_members_that_fire_at_the_same_time_one_does(pool: Pool, at: datetime) -> None:
    firings = await read_firings(pool)

    fired = await asyncio.gather(*(fires(pool, at, firings=firings, member=str(number)) for number in range(8)))

    assert len([run for run in fired if run is not None]) == 1
    assert await runs(pool, "trigger, scheduled_for, status, symbols, due") == [("schedule", at, "running", 3, 3)]
    assert await fetch(pool, "SELECT task_name, args->'number' FROM procrastinate_jobs") == [("collect_batch", 0)]
    assert await fires(pool, at) is None


async def test_nothing_fires_before_its_time_by_postgresqls_clock_or_that_is_not_in_force(
    pool: Pool, at: datetime
) -> None:
    assert await fires(pool, at + 2 * MINUTE) is None
    await activate(pool, {"0 6 * * * UTC": at}, since=at)
    assert await fires(pool, at) is None
    assert await runs(pool, "id") == []


async def test_a_run_is_divided_into_batches_in_the_order_in_which_symbols_are_due(pool: Pool, at: datetime) -> None:
    symbols = tuple(Symbol(f"S{number:03}") for number in range(2 * BATCH + 1))
    add = (
        "INSERT INTO fleet.symbols (symbol, last_look, last_overview, last_try)"
        " SELECT %s, at, at, at FROM (SELECT %s) AS a (at)"
    )
    await fetch(pool, add, "S000", at)
    await fetch(pool, add, "S001", at - timedelta(days=2))

    assert await fires(pool, at, symbols=symbols) is not None

    batches = await fetch(pool, "SELECT symbols FROM fleet.batches ORDER BY number")
    assert [len(batch) for (batch,) in batches] == [BATCH, BATCH]
    assert batches[0][0][0] == "S002"
    assert batches[1][0][-1] == "S001", "the one that was observed before comes last"


async def test_a_newer_fire_time_ends_the_older_run_as_superseded(pool: Pool, at: datetime) -> None:
    first = await fires(pool, at - MINUTE)

    with capture_logs() as lines:
        await fires(pool, at)

    assert [(line["run"], line["status"]) for line in lines if line["event"] == "run ended"] == [(first, "interrupted")]
    (old, new) = await runs(pool, "status, detail, deferred, finished_at IS NULL")
    assert old == ("interrupted", "superseded: the next fire time came before it had ended", 3, False)
    assert new == ("running", None, 0, True)
    assert await fetch(pool, "SELECT done_at IS NULL FROM fleet.batches ORDER BY run_id") == [(False,), (True,)]


@pytest.mark.parametrize("is_missed", [False, True], ids=["run", "missed"])
async def test_after_a_takeover_no_run_has_an_id_that_the_server_before_may_have_given(
    pool: Pool, at: datetime, *, is_missed: bool
) -> None:
    before = await fires(pool, at - MINUTE)
    await fetch(pool, "UPDATE fleet.log_head SET timeline = timeline + 7")

    if is_missed:
        await record_missed(pool, NAME, [(at, "off")], member="alpha")
    else:
        await fires(pool, at)

    ((after,),) = await fetch(pool, "SELECT max(id) FROM fleet.runs")
    assert after > (before or 0) + 100_000
    assert await fires(pool, at + MINUTE) == after + 1, "once"


async def test_a_run_that_was_cut_short_is_continued_once(pool: Pool, at: datetime) -> None:
    run = await fires(pool, at)
    under_way = await read_firings(pool)
    assert under_way.last[NAME].status is None, "nobody resumes it"
    assert await fires(pool, at, trigger=Trigger.CONTINUE) is None
    await fetch(pool, "SELECT fleet.end_run(%s, 'quota_exhausted', 'used up')", run)
    firings = await read_firings(pool)

    first, second = [await fires(pool, at, trigger=Trigger.CONTINUE, firings=firings) for _ in range(2)]

    assert firings.last[NAME].status is RunStatus.QUOTA_EXHAUSTED
    assert first is not None
    assert second is None
    assert await runs(pool, "trigger, status") == [("schedule", "quota_exhausted"), ("continue", "running")]


async def test_runs_in_a_row_that_observed_nothing_are_counted(pool: Pool, at: datetime) -> None:
    run = await fires(pool, at)
    await fetch(
        pool,
        "INSERT INTO fleet.outcomes (run_id, symbol, outcome, attempts, at, member)"
        " VALUES (%s, 'IBM', 'stored', 1, %s, 'alpha')",
        run,
        at,
    )
    empties = []
    for _ in range(3):
        await fetch(pool, "SELECT fleet.end_run(max(id), 'failed', 'why') FROM fleet.runs")
        empties.append((await read_firings(pool)).last[NAME].empty_runs)
        await fires(pool, at, trigger=Trigger.CONTINUE)

    assert empties == [0, 1, 2]
    assert (await runs(pool, "stored, deferred, requests"))[0] == (1, 2, 1)


async def test_missed_fire_times_are_recorded_once_each_with_its_reason(pool: Pool, at: datetime) -> None:
    missed = [(at - 2 * MINUTE, "off"), (at - MINUTE, "cut off")]

    assert await record_missed(pool, NAME, missed, member="alpha") == 2
    assert await record_missed(pool, NAME, [*missed, (at, "late")], member="beta") == 1

    assert await runs(pool, "status, detail, member") == [
        ("missed", "off", "alpha"),
        ("missed", "cut off", "alpha"),
        ("missed", "late", "beta"),
    ]
    assert (await read_firings(pool)).last[NAME].scheduled_for == at
    assert await fires(pool, at) is None


async def test_schedules_that_are_added_count_from_then_on_and_others_keep_their_time(pool: Pool, at: datetime) -> None:
    await activate(pool, {NAME: at, "0 6 * * * UTC": at - timedelta(days=9)}, since=at + timedelta(hours=1))

    firings = await read_firings(pool)

    assert firings.last[NAME] == Firing(at - timedelta(days=1))
    assert at < firings.last["0 6 * * * UTC"].since <= firings.at, "not in the future"


async def test_followers_are_told_of_schedules_and_of_each_run_when_it_begins_and_ends(
    pool: Pool, at: datetime
) -> None:
    run = await fires(pool, at)
    await activate(pool, {NAME: at}, since=at)
    await fetch(pool, "SELECT fleet.end_run(%s, 'failed', 'why')", run)
    await fetch(pool, "SELECT fleet.end_run(%s, 'complete', NULL)", run)

    logged = await fetch(pool, "SELECT kind, body::jsonb->>'status' FROM fleet.log ORDER BY seq")

    assert logged == [("schedules", None), ("run", "running"), ("run", "failed")]


async def test_fire_times_of_a_clock_that_was_ahead_are_still_to_come(pool: Pool, at: datetime) -> None:
    ahead = at + timedelta(days=400)
    await fetch(
        pool,
        "INSERT INTO fleet.runs (trigger, schedule, scheduled_for, status, member)"
        " VALUES ('schedule', %s, %s, 'missed', 'a'), ('schedule', %s, %s, 'complete', 'a')",
        NAME, ahead - MINUTE, NAME, ahead,
    )  # fmt: skip
    assert (await read_firings(pool)).last[NAME].scheduled_for == ahead

    assert await fetch(pool, "SELECT fleet.forget_future('2 hours', 1000)") == [(2,)]

    assert (await read_firings(pool)).last[NAME].scheduled_for is None

    assert await fires(pool, at) is not None
    assert await fetch(pool, "SELECT fleet.forget_future('2 hours', 1000)") == [(0,)]
    logged = await fetch(pool, "SELECT body::json->>'schedule' FROM fleet.log WHERE kind = 'run' ORDER BY seq")
    assert logged == [(None,), (None,), (NAME,)]


async def test_what_every_member_asks_every_few_seconds_reads_no_old_runs(pool: Pool) -> None:
    await fetch(pool, "INSERT INTO fleet.schedules VALUES ('daily', now())")
    await fetch(
        pool,
        "INSERT INTO fleet.runs (trigger, schedule, scheduled_for, status, stored, member)"
        " SELECT 'schedule', 'daily', now() - i * interval '1 minute', 'complete', 1, 'alpha'"
        " FROM generate_series(1, 3000) AS i",
    )
    await fetch(pool, "ANALYZE fleet.runs")

    plan = await fetch(pool, "EXPLAIN SELECT * FROM fleet.firings()")
    plan += await fetch(pool, "EXPLAIN SELECT id FROM fleet.runs WHERE status = 'running'")

    assert not [line for (line,) in plan if "Seq Scan on runs" in line]
