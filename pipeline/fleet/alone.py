"""Alone: one run that this process does by itself, within the fleet's quota and into its log: `pipeline collect`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress

from pipeline.clock import REAL_CLOCK, Clock
from pipeline.collect.active_run import ActiveRun
from pipeline.collect.halt import Halt
from pipeline.collect.order import Order, Source
from pipeline.collect.run import collect_with
from pipeline.collect.summary import Summary
from pipeline.fleet.clock import FleetClock
from pipeline.fleet.connection import FleetError
from pipeline.fleet.engine import open_fleet_engine
from pipeline.fleet.install import check_fleet
from pipeline.fleet.invented import refuse_mixing
from pipeline.fleet.joining import join
from pipeline.fleet.members import BEAT_EVERY, COLLECTOR, Membership
from pipeline.fleet.pool import open_pool
from pipeline.fleet.tasks import end
from pipeline.model.symbols import Symbol
from pipeline.quota.keys import KeyPlan
from pipeline.schedule.cron import Schedule


async def collect_alone(
    url: str,
    machine: str,
    source: Source,
    order: Order,
    *,
    schedules: Iterable[Schedule],
    symbols: Sequence[Symbol],
    plans: Iterable[KeyPlan],
    halt: Halt,
    on_start: Callable[[ActiveRun], None] = lambda _run: None,
    clock: Clock = REAL_CLOCK,
) -> Summary:
    """Do one run, and return how it ended. No file is written: who follows the fleet has what came of it.

    `schedules`, `symbols`, `plans`: those that are configured. Raise FleetError if PostgreSQL cannot be used,
    Disagreement if this machine is configured otherwise than the members that live, NameTaken while another run of its
    kind is done on this machine, InventedFleet, StorageError if the run cannot begin. Any other failure is in the
    summary.
    """
    await asyncio.to_thread(check_fleet, url)
    name, fleet_clock = f"{machine}.collect", FleetClock(clock)
    async with open_pool(url) as pool:
        await refuse_mixing(pool, source.base_url)
        membership = Membership(pool, clock)
        await join(
            pool,
            membership,
            name,
            role=COLLECTOR,
            keys=source.keys,
            schedules=schedules,
            symbols=symbols,
            plans=plans,
        )
        async with (
            _living(membership, clock),
            open_fleet_engine(
                pool,
                source,
                member=name,
                instance=membership.instance,
                clock=fleet_clock,
                max_requests=order.max_requests,
            ) as engine,
        ):
            return await collect_with(engine, source, order, halt=halt, on_start=on_start, clock=fleet_clock.as_clock())


@asynccontextmanager
async def _living(membership: Membership, clock: Clock) -> AsyncIterator[None]:
    """Give signs of life while the block runs, so that its run is not taken for abandoned. Leave at the end."""
    beats = asyncio.create_task(_beat(membership, clock), name="signs of life")
    try:
        yield
    finally:
        await end(beats)
        await membership.leave_soon()


async def _beat(membership: Membership, clock: Clock) -> None:
    while True:
        await clock.sleep(BEAT_EVERY.total_seconds())
        with suppress(FleetError):
            await membership.beat(followed=0)
