"""A run that a process does alone, while PostgreSQL forgets that it has begun, or takes it for dead."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pipeline.collect.halt import Halt
from pipeline.collect.order import Order
from pipeline.collect.summary import Summary
from pipeline.fleet import alone
from pipeline.fleet.connection import FleetError, connected
from pipeline.fleet.members import NameTaken
from pipeline.fleet.pool import Pool, fetch, open_pool
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.sandbox.server import SandboxApi
from pipeline.store.runs import ABANDONED
from tests.support.companies import COMPANIES
from tests.support.daemons import runs
from tests.support.fleet_log import follow
from tests.support.fleet_members import PATIENCE, quick, until
from tests.support.fleet_work import DAILY, SYMBOLS, ended, source
from tests.support.postgres import Databases, dump


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    monkeypatch.setattr(alone, "BEAT_EVERY", timedelta(seconds=0.05))


@dataclass
class UnderWay:
    """A run that a process does alone: its first answer is not there before it may be."""

    task: "asyncio.Task[Summary]"
    may_answer: asyncio.Event
    halt: Halt


@asynccontextmanager
async def collecting(url: str) -> AsyncIterator[UnderWay]:
    """Let a run begin, and yield it when it waits for the API."""
    may_answer, has_begun, halt = asyncio.Event(), asyncio.Event(), Halt()
    api = SandboxApi(
        companies=COMPANIES,
        limits=(),
        day=lambda: date(2026, 3, 13),
        latency=timedelta(1),
        sleep=lambda _seconds: may_answer.wait(),
    )
    async with api.serve() as base_url, asyncio.timeout(PATIENCE):
        task = asyncio.create_task(
            alone.collect_alone(
                url,
                "alpha",
                replace(source(base_url), timeout=timedelta(seconds=PATIENCE)),
                Order(SYMBOLS, observed_since=None),
                schedules=[DAILY],
                symbols=SYMBOLS,
                plans=(),
                halt=halt,
                on_start=lambda _run: has_begun.set(),
            )
        )
        beginning = asyncio.create_task(has_begun.wait())
        await asyncio.wait({task, beginning}, return_when=asyncio.FIRST_COMPLETED)
        try:
            yield UnderWay(task, may_answer, halt)
        finally:
            may_answer.set()
            await asyncio.wait({task})


async def has_joined(url: str) -> None:
    """Return once the process is listed."""

    async def is_so() -> bool:
        try:
            with connected(url) as db:
                return bool(db.execute("SELECT 1 FROM fleet.members WHERE name = 'alpha.collect'").fetchall())
        except FleetError:  # there is no database for a moment
            return False

    await until(is_so)


@pytest.mark.process
async def test_a_run_goes_on_over_a_dump_that_was_restored_and_is_in_the_record(
    database: Path, postgres: Databases, fleet_url: str
) -> None:
    dumped = dump(fleet_url)
    async with collecting(fleet_url) as run:
        postgres.replace(fleet_url, dumped)
        await has_joined(fleet_url)
        run.may_answer.set()
        summary = await run.task

    assert (summary.status, summary.counts[Outcome.STORED]) == (RunStatus.COMPLETE, 3)
    async with open_pool(fleet_url) as pool:
        await follow(database, pool)
    assert runs(database, "id", "trigger", "status", "stored", "due") == [(summary.run, "manual", "complete", 3, 3)]


async def test_a_run_that_was_taken_for_abandoned_ends_as_it_did(fleet_url: str, pool: Pool) -> None:
    async with collecting(fleet_url) as run:
        await fetch(pool, "DELETE FROM fleet.members")  # as after an outage: its last sign of life is long ago
        await fetch(pool, "SELECT fleet.end_run(id, 'interrupted', %s) FROM fleet.runs", ABANDONED)
        await has_joined(fleet_url)
        run.may_answer.set()
        await run.task

    assert await ended(pool) == [("complete", 3, 0, 0, 0, 0, 0)]


async def test_a_run_ends_where_another_process_has_taken_its_name(fleet_url: str, pool: Pool) -> None:
    async with collecting(fleet_url) as run:
        await fetch(pool, "UPDATE fleet.members SET instance = gen_random_uuid()")

        async def is_halted() -> bool:
            await fetch(pool, "UPDATE fleet.members SET beat_at = clock_timestamp()")  # the other one lives
            return bool(run.halt.reasons)

        await until(is_halted)
        run.may_answer.set()
        with pytest.raises(NameTaken):
            await run.task

    assert await ended(pool) == [("failed", 3, 0, 0, 0, 0, 0)]


async def test_a_run_goes_on_although_the_fleet_has_agreed_about_something_else(fleet_url: str, pool: Pool) -> None:
    async with collecting(fleet_url) as run:
        with capture_logs() as lines:
            await fetch(pool, "UPDATE fleet.agreed SET settings = replace(settings, '30 18', '31 18'), at = now()")
            async with asyncio.timeout(PATIENCE):
                while not lines:
                    await fetch(pool, "SELECT 1")
            await fetch(pool, "SELECT pg_sleep(0.2)")
        run.may_answer.set()
        await run.task

    assert [line["event"] for line in lines] == ["the fleet has agreed about something else"]
    assert await ended(pool) == [("complete", 3, 0, 0, 0, 0, 0)]
