"""On demand, in a fleet: what clients of this machine wait for is requested by this machine alone, in its own run.

The quota is the fleet's. Clients go on once the file here has the answer.
"""

from dataclasses import replace

from pipeline.collect.halt import Halt, Interrupted
from pipeline.collect.on_demand import SLOT_WITHIN
from pipeline.collect.order import Order
from pipeline.collect.run import collect_with, log_end
from pipeline.daemon.config import DaemonConfig
from pipeline.daemon.member_file import Following
from pipeline.daemon.on_demand import OnDemand
from pipeline.fleet.clock import FleetClock
from pipeline.fleet.engine import open_fleet_engine
from pipeline.fleet.members import Membership
from pipeline.fleet.pool import Pool, fetch
from pipeline.model.outcomes import Outcome, Trigger
from pipeline.model.symbols import Symbol
from pipeline.monitoring.reporter import Reporter


class OnDemandRuns:
    """Does runs for what clients wait for."""

    def __init__(
        self,
        pool: Pool,
        config: DaemonConfig,
        on_demand: OnDemand,
        following: Following,
        *,
        member: str,
        membership: Membership,
        reporter: Reporter,
        fleet_clock: FleetClock,
    ) -> None:
        self._pool = pool
        self._config = config
        self._on_demand = on_demand
        self._following = following
        self._member = member
        self._membership = membership
        self._reporter = reporter
        self._fleet_clock = fleet_clock
        self._halt = Halt()

    def stop(self) -> None:
        """End the run under way."""
        self._halt(Interrupted("this member was stopped"))

    async def run(self) -> bool:
        """Do one run, if a client waits for anything. Return whether one did. Raise FleetError, DatabaseError."""
        if not self._on_demand.is_wanted:
            return False
        await self._follow()  # another member may have requested it
        due = await self._on_demand.next()
        if due:
            await self._collect(tuple(due))
        return True

    async def _collect(self, due: tuple[Symbol, ...]) -> None:
        """Request each symbol once: the client may ask again, and the schedules need the quota too."""
        began = self._fleet_clock.now()
        configured = self._config.source
        source = replace(configured, wait=min(configured.wait, SLOT_WITHIN), attempts=1)
        order = Order(due, observed_since=began - self._config.fresh_for, trigger=Trigger.ON_DEMAND)
        ended: list[tuple[Symbol, Outcome, str]] = []
        async with open_fleet_engine(
            self._pool, source, member=self._member, instance=self._membership.instance, clock=self._fleet_clock
        ) as engine:
            summary = await collect_with(
                engine,
                source,
                order,
                halt=self._halt,
                on_request=self._reporter.request_ended,
                on_outcome=lambda *one: ended.append(one),
                clock=self._fleet_clock.as_clock(),
            )
        log_end(summary)
        await self._follow()
        for one in ended:
            self._on_demand.observed(*one)
        self._reporter.run_on_demand_ended(summary, began=began)
        self._on_demand.ended(summary)

    async def _follow(self) -> None:
        """Wait until the file has what the log has by now."""
        ((head,),) = await fetch(self._pool, "SELECT seq FROM fleet.log_head")
        await self._following.reach(head)
