"""Joining: how a process that requests something becomes a member, and makes its keys known to the fleet."""

from collections.abc import Iterable, Sequence

from pipeline.fleet.agreement import Agreement
from pipeline.fleet.members import Candidate, Membership
from pipeline.fleet.pool import Pool
from pipeline.fleet.quota import declare_key
from pipeline.model.symbols import Symbol
from pipeline.quota.keys import ApiKey
from pipeline.schedule.cron import Schedule


async def join(
    pool: Pool,
    membership: Membership,
    name: str,
    *,
    role: str = "member",
    keys: Sequence[ApiKey],
    schedules: Iterable[Schedule],
    symbols: Sequence[Symbol],
) -> None:
    """Join with what is configured here, or change it. Raise Disagreement, NameTaken, FleetError."""
    limits = {key.id: key.limits for key in keys}
    agreement = Agreement.of(limits, schedules)
    await membership.join(Candidate(name, role, tuple(limits), agreement, symbols))
    for key in keys:
        await declare_key(pool, key.id, key.plan)
