"""Joining: how a process that requests something becomes a member, and makes its keys known to the fleet."""

from collections.abc import Iterable, Sequence

from pipeline.fleet.agreement import Agreement
from pipeline.fleet.members import Candidate, Membership
from pipeline.fleet.pool import Pool, fetch
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
    agreement = Agreement.of({key.id: key.plan for key in keys}, schedules)
    await membership.join(Candidate(name, role, tuple(agreement.limits), agreement, symbols))
    for key in keys:
        await declare_key(pool, key.id, key.plan)


async def with_other_symbols(pool: Pool, name: str) -> list[str]:
    """Return the members that live and are configured with other symbols than this one. Raise FleetError."""
    return [other for (other,) in await fetch(pool, _WITH_OTHER_SYMBOLS, name)]


_WITH_OTHER_SYMBOLS = """
    SELECT o.name FROM fleet.members o JOIN fleet.members m ON m.name = %s
     WHERE o.symbols_digest <> m.symbols_digest AND o.role = 'member' AND o.left_at IS NULL
       AND o.beat_at > clock_timestamp() - fleet.lives() ORDER BY o.name
"""
