"""The fleet's storage engine of a run: slots and results in PostgreSQL, overviews from the API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from uuid import UUID

import structlog

from pipeline.api.client import open_api
from pipeline.collect.due import Selection, select_all, select_due
from pipeline.collect.order import Order, Source
from pipeline.collect.ports import Engine
from pipeline.fleet.clock import FleetClock
from pipeline.fleet.firings import freshness
from pipeline.fleet.log import open_log
from pipeline.fleet.pool import Pool
from pipeline.fleet.results import FleetResults
from pipeline.fleet.slots import open_slots


@asynccontextmanager
async def open_fleet_engine(
    pool: Pool, source: Source, *, member: str, instance: UUID, clock: FleetClock, max_requests: int | None = None
) -> AsyncIterator[Engine]:
    """Open the engine of a process that has joined as this member. Raise FleetError if PostgreSQL cannot be asked.

    On leaving, what came of requests is handed over first.
    """
    log = structlog.get_logger()
    async with (
        open_api(
            source.base_url,
            {key.id: key.secret for key in source.keys},
            concurrency=source.concurrency,
            reuse=not source.limits,
            proxy=source.proxy,
            clock=clock.as_clock(),
        ) as api,
        open_log(pool, member, clock=clock.own, on_retry=log.warning) as fleet_log,
        open_slots(
            pool,
            {key.id: key.plan for key in source.keys},
            member=member,
            timeout=source.timeout,
            max_wait=source.wait,
            max_requests=max_requests,
            clock=clock,
            on_retry=log.warning,
        ) as slots,
    ):
        results = FleetResults(fleet_log, pool, member=member, instance=instance, clock=clock.own)
        yield Engine(partial(_select, pool), api.overview, slots, results)


async def _select(pool: Pool, order: Order, *, now: datetime) -> Selection:
    """Return the symbols of an order that are due, as PostgreSQL has it. Raise FleetError."""
    known = await freshness(pool, order.symbols)
    if order.observed_since is None:
        return select_all(order.symbols, known)
    return select_due(order.symbols, known, observed_since=order.observed_since, now=now, fire_time=order.scheduled_for)
