"""A fleet's parts, each in a process of its own: who begins a run, a member, a follower. Each prints one JSON object.

They run the real code over a real PostgreSQL; but answers are invented, and no request leaves.
"""

import asyncio
import json
import logging
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog

from benchmarks.documents import Documents, symbols
from benchmarks.processes import cpu_seconds, peak_megabytes
from pipeline.clock import REAL_CLOCK
from pipeline.collect.due import Selection
from pipeline.collect.order import Order, Source
from pipeline.collect.ports import Engine
from pipeline.fleet.batches import Batches
from pipeline.fleet.clock import FleetClock
from pipeline.fleet.firings import activate, fire, read_firings
from pipeline.fleet.follow import open_follower
from pipeline.fleet.jobs import Jobs
from pipeline.fleet.log import open_log
from pipeline.fleet.pool import Pool, fetch, now, open_pool
from pipeline.fleet.quota import declare_key
from pipeline.fleet.results import FleetResults
from pipeline.fleet.slots import open_slots
from pipeline.instants import utc_now
from pipeline.model.document import Overview
from pipeline.model.outcomes import Trigger
from pipeline.model.slots import KeyId
from pipeline.model.symbols import Symbol
from pipeline.quota.keys import ApiKey
from pipeline.quota.limits import Limit
from pipeline.schedule.cron import Schedule
from pipeline.schedule.next_run import ScheduledRun
from pipeline.store.migrate import migrate

_SCHEDULE = Schedule(cron="0 0 * * *", timezone="UTC", catch_up=timedelta(hours=12))
_MINUTE = timedelta(seconds=2)
"""The largest plan's minute is made shorter: its windows hold as many slots, and a day takes a minute."""
_KEYS = tuple(ApiKey(f"key{n}", f"INVENTED0000KEY{n}", (Limit(1_200, _MINUTE),)) for n in range(4))
_SOURCE = Source("", _KEYS, concurrency=64, timeout=timedelta(seconds=10), wait=timedelta(minutes=1), attempts=1)
_STATUS = "SELECT status FROM fleet.runs WHERE id = %s"
_POLL = 0.5
"""Seconds between two looks whether the run has ended."""


async def _begin(pool: Pool, count: str) -> dict[str, float]:
    """Begin the run of a day."""
    for key in _KEYS:
        await declare_key(pool, key.id, key.plan)
    await activate(pool, {str(_SCHEDULE): await now(pool)}, since=await now(pool))
    listed, firings = symbols(int(count)), await read_firings(pool)
    began = time.monotonic()
    scheduled = ScheduledRun(_SCHEDULE, firings.at, Trigger.SCHEDULE)
    run = await fire(pool, scheduled, firings, listed, member="first")
    return {"seconds": time.monotonic() - began, "run": run or 0}


async def _work(pool: Pool, name: str, day: str, run: str) -> dict[str, float]:
    """Do batches, until the run has ended."""
    clock, request = FleetClock(REAL_CLOCK), _Requests(date.fromisoformat(day))
    plans = {key.id: key.plan for key in _KEYS}
    async with (
        open_log(pool, name, clock=REAL_CLOCK) as log,
        open_slots(
            pool,
            plans,
            member=name,
            timeout=_SOURCE.timeout,
            max_wait=_SOURCE.wait,
            max_requests=None,
            clock=clock,
            on_retry=structlog.get_logger().error,
        ) as slots,
    ):
        results = FleetResults(log, pool, member=name, instance=uuid4(), clock=REAL_CLOCK)
        batches = Batches(pool, Engine(_select_nothing, request, slots, results), _SOURCE, clock=clock.as_clock())
        jobs = Jobs(pool, batches.do, name=name, now=clock.now, clock=REAL_CLOCK)
        began = time.monotonic()
        working = asyncio.create_task(jobs.run())
        while (await fetch(pool, _STATUS, int(run)))[0][0] == "running":  # noqa: ASYNC110 - another process ends it
            await asyncio.sleep(_POLL)
        seconds = time.monotonic() - began
        jobs.stop()
        await working
    return {"seconds": seconds, "answers": request.count}


class _Requests:
    """Answers at once."""

    def __init__(self, day: date) -> None:
        self._documents = Documents(day)
        self.count = 0

    async def __call__(self, symbol: Symbol, *, key: KeyId, within: timedelta) -> Overview:  # noqa: ARG002 - of the port
        self.count += 1
        return Overview(symbol, json.loads(self._documents.body(symbol.encode())))


async def _select_nothing(order: Order, *, now: object) -> Selection:  # noqa: ARG001 - of the port
    raise AssertionError("a member does batches: what is due was decided when the run began")


async def _follow(pool: Pool, database: str) -> dict[str, float]:
    """Bring a record up to date."""
    migrate(Path(database), now=utc_now())
    async with open_follower(Path(database), pool, clock=REAL_CLOCK) as follower:
        began = time.monotonic()
        entries = await follower.catch_up()
        return {"seconds": time.monotonic() - began, "entries": entries}


_PARTS: dict[str, Callable[..., Awaitable[dict[str, float]]]] = {"begin": _begin, "work": _work, "follow": _follow}


async def _main(part: str, url: str, *arguments: str) -> dict[str, Any]:
    async with open_pool(url, size=6) as pool:
        return await _PARTS[part](pool, *arguments)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    figures = asyncio.run(_main(*sys.argv[1:]))
    print(json.dumps(figures | {"cpu_seconds": cpu_seconds(resource.RUSAGE_SELF), "megabytes": peak_megabytes()}))
