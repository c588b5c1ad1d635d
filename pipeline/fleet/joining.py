"""Joining: how a process that requests something becomes a member, and makes its keys known to the fleet."""

from collections.abc import Iterable, Sequence

from pipeline.fleet.agreement import Agreement
from pipeline.fleet.members import Candidate, Membership
from pipeline.fleet.pool import Pool, fetch
from pipeline.fleet.quota import declare_agreed
from pipeline.model.symbols import Symbol
from pipeline.quota.keys import ApiKey, KeyPlan
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
    plans: Iterable[KeyPlan] = (),
) -> None:
    """Join with what is configured here, or change it. Raise Disagreement, NameTaken, FleetError.

    `plans`: of all keys that are configured, also those that this machine does not hold.
    """
    agreement = Agreement.of(keys, schedules, plans=plans)
    candidate = Candidate(name, role, tuple(key.id for key in keys), agreement, symbols)
    await membership.join(candidate)
    while not all([await declare_agreed(pool, key, agreed_at=membership.agreed_at) for key in keys]):
        await membership.join(candidate)


async def with_other_symbols(pool: Pool, name: str) -> list[str]:
    """Return the members that live and are configured with other symbols than this one. Raise FleetError."""
    return [other for (other,) in await fetch(pool, _WITH_OTHER_SYMBOLS, name)]


_WITH_OTHER_SYMBOLS = """
    SELECT o.name FROM fleet.members o JOIN fleet.members m ON m.name = %s
     WHERE o.symbols_digest <> m.symbols_digest AND o.role = 'member' AND o.left_at IS NULL
       AND o.beat_at > clock_timestamp() - fleet.lives() ORDER BY o.name
"""
