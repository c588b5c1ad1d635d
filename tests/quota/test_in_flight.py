"""Without limits, slots are written after their requests: what a kill can lose is bounded, and counted afterwards."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline import instants
from pipeline.model.outcomes import RunId, RunStatus
from pipeline.quota.account import MOST_UNSTORED
from pipeline.quota.keys import ApiKey, KeyPlan, fingerprint
from pipeline.quota.ledger import GRACE
from pipeline.quota.stored import quotas_named
from pipeline.sandbox.server import SandboxApi
from pipeline.store.in_flight import InFlight, note_in_flight
from pipeline.store.reader import Reader
from pipeline.store.restore import restore
from pipeline.store.writer import open_writer
from tests.support.clocks import START, ManualClock
from tests.support.companies import COMPANIES
from tests.support.daemons import rows
from tests.support.ledgers import KEY, ledger_of_a_process, stored_requests, take
from tests.support.runs import Runs, ended, limits
from tests.support.sandbox import Served

DAY = timedelta(days=1)
NOTED = "SELECT run_id, key, requests FROM in_flight"
SECRET = "S3CR3TK3Y"


@pytest.fixture
def runs(database: Path, served: Served, clock: ManualClock) -> Runs:
    return Runs(database, served, clock)


async def killed_in_flight(database: Path, key: str = SECRET, requests: int = 3) -> None:
    async with open_writer(database) as writer:
        await writer.write(note_in_flight, InFlight(RunId(1), fingerprint(key), START, requests))


def execute(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as db, db:
        db.execute(statement)


async def test_what_may_be_in_flight_is_in_the_database_before_a_request_leaves(
    database: Path, clock: ManualClock
) -> None:
    async with ledger_of_a_process(database, clock) as ledger:
        await asyncio.gather(take(ledger), take(ledger))
        assert rows(database, NOTED) == [(1, KEY, MOST_UNSTORED)]
        assert stored_requests(database) == []


async def test_no_more_are_out_or_unstored_than_was_noted(database: Path, clock: ManualClock) -> None:
    async with ledger_of_a_process(database, clock) as ledger:
        slots = [await take(ledger) for _ in range(MOST_UNSTORED)]
        next_one = asyncio.create_task(take(ledger))
        for slot in slots[1:]:
            ledger.close(slot, "answered")
        ledger.give_back(slots[0])
        await next_one
        assert len(stored_requests(database)) == MOST_UNSTORED


async def test_a_run_that_ended_leaves_nothing_in_flight(database: Path, clock: ManualClock) -> None:
    noted: list[object] = []

    async def look(_seconds: float) -> None:
        noted.extend(rows(database, NOTED))

    api = SandboxApi(companies=COMPANIES, limits=(), day=START.date, latency=DAY, wall=lambda: clock.wall, sleep=look)
    async with api.serve() as base_url:
        await Runs(database, Served(api, base_url), clock).collect(5)

    assert noted == [(1, fingerprint(SECRET), MOST_UNSTORED)] * 5
    assert rows(database, NOTED) == []
    assert rows(database, "SELECT count(*) FROM requests WHERE finished_at IS NOT NULL") == [(5,)]


async def test_what_a_killed_run_may_have_sent_counts_for_a_plan_with_limits(
    runs: Runs, database: Path, clock: ManualClock
) -> None:
    await killed_in_flight(database)
    clock.advance(timedelta(hours=1))

    summary = await runs.collect(5, limits=limits("4/day"))
    assert summary.status is RunStatus.QUOTA_EXHAUSTED
    assert runs.served.api.requests == 1
    assert rows(database, NOTED) == []

    clock.advance(DAY - timedelta(minutes=5))  # from when it was found, not from when it was noted
    assert (await runs.collect(1, limits=limits("3/day"))).status is RunStatus.QUOTA_EXHAUSTED
    clock.advance(timedelta(minutes=10))
    assert (await runs.collect(1, limits=limits("3/day"))).status is RunStatus.COMPLETE


async def test_it_counts_for_its_own_key_alone_where_there_are_several(runs: Runs, database: Path) -> None:
    await killed_in_flight(database)
    first, second = ApiKey("a", SECRET, limits("3/day")), ApiKey("b", "S3C0NDK3Y", limits("3/day"))

    await runs.collect(5, keys=(first, second))

    sent = "SELECT key, count(*) FROM requests WHERE outcome = 'answered' GROUP BY key"
    assert rows(database, sent) == [(second.id, 3)]


async def test_it_counts_for_the_only_key_whichever_key_had_sent_it(runs: Runs, database: Path) -> None:
    await killed_in_flight(database, key="ANOTHER1")
    assert (await runs.collect(1, limits=limits("3/day"))).status is RunStatus.QUOTA_EXHAUSTED


async def test_it_is_no_request_of_the_killed_run(runs: Runs, database: Path) -> None:
    """Nobody knows how many of them left."""
    await runs.collect(1)
    await killed_in_flight(database)
    execute(database, "UPDATE runs SET status = 'running'")
    with Reader.open(database) as reader:
        assert [run.requests for run in reader.runs(1)] == [1]

    await runs.collect(1)

    assert rows(database, "SELECT status, requests FROM runs WHERE id = 1") == [("interrupted", 1)]


async def test_status_counts_it_before_the_next_run_does(database: Path, clock: ManualClock) -> None:
    await killed_in_flight(database)
    with Reader.open(database) as reader:
        (quota,) = quotas_named(reader, [KeyPlan("", limits("25/day"))], now=clock.wall)
    assert len(quota.state.spent) == 3


async def test_a_restored_database_counts_what_the_replaced_one_may_have_sent(
    database: Path, tmp_path: Path, clock: ManualClock
) -> None:
    backup = tmp_path / "backup.db"
    backup.write_bytes(database.read_bytes())
    await killed_in_flight(database, requests=5)

    restored = restore(backup, database, longest_window=DAY, is_idle=False, now=clock.wall)

    assert restored.carried == 5
    carried = rows(database, "SELECT DISTINCT key, coalesce(finished_at, deadline_at) FROM requests")
    assert carried == [(fingerprint(SECRET), instants.to_text(clock.wall + GRACE))], (
        "what it sent last may still arrive"
    )


async def test_of_a_backup_made_during_a_run_what_is_known_does_not_count_twice(
    runs: Runs, database: Path, tmp_path: Path, clock: ManualClock
) -> None:
    await killed_in_flight(database)  # as during the run
    backup = tmp_path / "backup.db"
    backup.write_bytes(database.read_bytes())
    execute(database, "DELETE FROM in_flight")

    restore(backup, database, longest_window=DAY, is_idle=False, now=clock.wall)

    assert ended(await runs.collect(3, limits=limits("3/day"))) == (RunStatus.COMPLETE, 0)
