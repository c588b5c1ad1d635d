"""Alone: one run that this process does by itself, within the fleet's quota and into its log: `pipeline collect`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import structlog

from pipeline.clock import REAL_CLOCK, Clock
from pipeline.collect.active_run import ActiveRun
from pipeline.collect.halt import Halt
from pipeline.collect.order import Order, Source
from pipeline.collect.run import collect_with
from pipeline.collect.summary import Summary
from pipeline.fleet.agreement import Disagreement
from pipeline.fleet.clock import FleetClock
from pipeline.fleet.connection import FleetError
from pipeline.fleet.engine import open_fleet_engine
from pipeline.fleet.install import check_fleet
from pipeline.fleet.invented import refuse_mixing
from pipeline.fleet.joining import join
from pipeline.fleet.members import BEAT_EVERY, COLLECTOR, Membership, NameTaken
from pipeline.fleet.pool import open_pool
from pipeline.fleet.tasks import end
from pipeline.model.symbols import Symbol
from pipeline.quota.keys import KeyPlan
from pipeline.schedule.cron import Schedule
from pipeline.store.database import StorageError


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
    kind is done on this machine, or takes over while PostgreSQL has forgotten this one: then the run ends first.
    Raise InventedFleet, and StorageError if the run cannot begin. Any other failure is in the summary.
    """
    await asyncio.to_thread(check_fleet, url)
    name, fleet_clock = f"{machine}.collect", FleetClock(clock)
    async with open_pool(url) as pool:
        await refuse_mixing(pool, source.base_url)
        membership = Membership(pool, clock)
        joining = partial(
            join,
            pool,
            membership,
            name,
            role=COLLECTOR,
            keys=source.keys,
            schedules=tuple(schedules),
            symbols=symbols,
            plans=tuple(plans),
        )
        await joining()
        async with (
            _living(membership, joining, halt, clock),
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
async def _living(
    membership: Membership, join_again: Callable[[], Awaitable[None]], halt: Halt, clock: Clock
) -> AsyncIterator[None]:
    """Give signs of life while the block runs, so that its run is not taken for abandoned. Leave at the end.

    Where another process has taken the name meanwhile, halt the run, and raise NameTaken once it has ended.
    """
    beats = asyncio.create_task(_beat(membership, join_again, clock), name="signs of life")
    beats.add_done_callback(partial(_halt_if_taken, halt))
    try:
        yield
    finally:
        await end(beats)
        await membership.leave_soon()
    if not beats.cancelled():
        beats.result()


async def _beat(membership: Membership, join_again: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Give signs of life, and join again where PostgreSQL has forgotten this process. Raise NameTaken."""
    reason: str | None = None
    while True:
        await clock.sleep(BEAT_EVERY.total_seconds())
        try:
            if not await membership.beat(followed=0):
                await join_again()
            reason = None
        except FleetError:
            pass  # what the run needs PostgreSQL for says so
        except Disagreement as error:  # the limits are PostgreSQL's, so the run may end
            if str(error) != reason:
                reason = str(error)
                structlog.get_logger().warning("the fleet has agreed about something else", reason=reason)


def _halt_if_taken(halt: Halt, beats: "asyncio.Task[None]") -> None:
    if not beats.cancelled() and isinstance(error := beats.exception(), NameTaken):
        halt(StorageError(str(error)))
