"""A member that does batches, without the loop that makes it fire."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pipeline import instants
from pipeline.clock import REAL_CLOCK
from pipeline.collect.order import Source
from pipeline.fleet.batches import Batches
from pipeline.fleet.clock import FleetClock
from pipeline.fleet.engine import open_fleet_engine
from pipeline.fleet.firings import activate, fire, read_firings
from pipeline.fleet.joining import join
from pipeline.fleet.members import Membership
from pipeline.fleet.pool import Pool, fetch, now
from pipeline.model.outcomes import Trigger
from pipeline.model.symbols import Symbol
from pipeline.quota.keys import ApiKey
from pipeline.quota.limits import Limit
from pipeline.schedule.cron import Schedule
from pipeline.schedule.next_run import ScheduledRun

DAILY = Schedule("30 18 * * *", "UTC", timedelta(hours=36), None)
SYMBOLS = tuple(map(Symbol, ("AAPL", "IBM", "PEP")))


def source(
    base_url: str, *limits: str, key: str = "a-key-for-tests", wait: timedelta = timedelta(seconds=1), name: str = ""
) -> Source:
    keys = (ApiKey(name, key, tuple(map(Limit.parse, limits))),)
    return Source(base_url, keys, 4, timedelta(seconds=5), wait, 1)


@dataclass(frozen=True)
class Worker:
    """A member of a fleet, and the batches that it does."""

    membership: Membership
    batches: Batches
    clock: FleetClock
    aside: list[bool]
    """One for each time that it left jobs to others."""


@asynccontextmanager
async def working(pool: Pool, name: str, source: Source) -> AsyncIterator[Worker]:
    """Let a member join, and be there while the block runs."""
    membership, clock = Membership(pool, REAL_CLOCK), FleetClock(REAL_CLOCK)
    await join(pool, membership, name, keys=source.keys, schedules=[DAILY], symbols=SYMBOLS)
    aside: list[bool] = []
    async with open_fleet_engine(pool, source, member=name, instance=membership.instance, clock=clock) as engine:
        batches = Batches(pool, engine, source, clock=clock.as_clock(), step_aside=lambda: aside.append(True))
        yield Worker(membership, batches, clock, aside)
    await membership.leave()


async def fired(
    pool: Pool,
    symbols: tuple[Symbol, ...] = SYMBOLS,
    *,
    trigger: Trigger = Trigger.SCHEDULE,
    schedule: Schedule | None = None,
) -> int:
    """Let a run for these symbols begin, and return its id. `schedule`: one that is in force already."""
    at = instants.in_milliseconds(await now(pool))
    if schedule is None:
        await activate(pool, {str(DAILY): at - timedelta(days=1)}, since=at)
    firings = await read_firings(pool)
    if trigger is Trigger.CONTINUE:
        at = firings.last[str(DAILY)].scheduled_for or at
    run = await fire(pool, ScheduledRun(schedule or DAILY, at, trigger), firings, symbols, member="alpha")
    assert run is not None
    return run


async def jobs(pool: Pool) -> list[tuple[int, int, str]]:
    """Return the jobs there are: run, number, and status."""
    query = "SELECT (args->>'run')::int, (args->>'number')::int, status::text FROM procrastinate_jobs ORDER BY 1, 2"
    return [(run, number, status) for run, number, status in await fetch(pool, query)]


async def ended(pool: Pool) -> list[tuple[Any, ...]]:
    """Return how the runs ended that have: status, stored, unchanged, unknown, failed, rejected, deferred."""
    return await fetch(
        pool,
        "SELECT status, stored, unchanged, unknown, failed, rejected, deferred FROM fleet.runs"
        " WHERE status <> 'running' ORDER BY id",
    )
