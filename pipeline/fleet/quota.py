"""The quota as PostgreSQL holds it: the limits of each key, and what of them is used."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString

from psycopg import Connection

from pipeline.fleet.pool import Pool, fetch
from pipeline.model.slots import Block, KeyId, QuotaState, SpentSlot
from pipeline.quota.estimate import KeyQuota
from pipeline.quota.keys import ApiKey, KeyPlan
from pipeline.quota.limits import Limit, retry_limits

DECLARE: LiteralString = "SELECT fleet.declare_key(%s, %s, %b::int[], %b::int[], %b::int[])"


_DECLARE_AGREED: LiteralString = "SELECT fleet.declare_agreed(%s, %s, %s, %b::int[], %b::int[], %b::int[])"


async def declare_key(pool: Pool, key: KeyId, plan: KeyPlan) -> None:
    """Write a key's name and limits, in place of what is there. Raise FleetError."""
    await fetch(pool, DECLARE, *declaration(key, plan))


async def declare_agreed(pool: Pool, key: ApiKey, *, agreed_at: datetime | None) -> bool:
    """Do the same, if what was agreed about at that instant still is. Return whether it is. Raise FleetError."""
    ((is_so,),) = await fetch(pool, _DECLARE_AGREED, agreed_at, *declaration(key.id, key.plan))
    return bool(is_so)


def declaration(key: KeyId, plan: KeyPlan) -> list[Any]:
    """Return the values of DECLARE."""
    shares = {limit.period: limit.count for limit in retry_limits(plan.limits)}
    limits = sorted(plan.limits, key=lambda limit: (limit.period, limit.count))
    return [
        key,
        plan.name,
        [limit.count for limit in limits],
        [round(limit.period.total_seconds()) for limit in limits],
        [shares.get(limit.period) for limit in limits],
    ]


_STATE: LiteralString = """
    SELECT k.blocked_since, k.blocked_until, k.blocked_by, coalesce((SELECT max(s.id) FROM fleet.slots s), 0),
           array_agg(s.counts_from) FILTER (WHERE s.id IS NOT NULL), array_agg(s.retry) FILTER (WHERE s.id IS NOT NULL)
      FROM fleet.keys k
      LEFT JOIN fleet.slots s ON s.key_id = k.id AND s.counts_from > fleet.now()
                - (SELECT max(l.period) FROM fleet.limits l WHERE l.key_id = k.id) - interval '1 second'
     WHERE k.id = %s
     GROUP BY k.id
"""


async def quota_state(pool: Pool, key: KeyId) -> QuotaState:
    """Return what is used of a key, by PostgreSQL's clock; nothing if the fleet does not know it. Raise FleetError."""
    return _state(await fetch(pool, _STATE, key))


def key_quotas(db: Connection[Any], keys: Mapping[str, str]) -> list[KeyQuota]:
    """Return what is used of the plans of these keys, given with their names, by PostgreSQL's clock.

    Raise psycopg.Error.
    """
    limits: dict[str, list[Limit]] = {}
    for key, count, period in db.execute(_LIMITS):
        limits.setdefault(key, []).append(Limit(count, period))
    quotas = []
    for key, name in keys.items():
        state = _state(db.execute(_STATE, [key]).fetchall())
        quotas.append(KeyQuota(name if len(keys) > 1 else "", tuple(limits.get(key, ())), state))
    return quotas


_LIMITS = "SELECT key_id, count, period FROM fleet.limits WHERE NOT is_for_retries ORDER BY period DESC"


def _state(rows: Sequence[tuple[Any, ...]]) -> QuotaState:
    if not rows:
        return QuotaState()
    ((since, until, reason, last_id, instants, retries),) = rows
    spent = [SpentSlot(at, is_retry) for at, is_retry in zip(instants or (), retries or (), strict=True)]
    return QuotaState(spent, _block(since, until, reason), last_id)


def _block(since: datetime | None, until: datetime | None, reason: str | None) -> Block | None:
    return None if since is None or until is None else Block(since, until, reason)
