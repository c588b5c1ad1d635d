"""Stored quotas: what the database knows to be used of each key's plan."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from pipeline.model.slots import EVERY_KEY, KeyId, SpentSlot
from pipeline.quota.estimate import KeyQuota
from pipeline.quota.keys import ApiKey, KeyPlan, all_limits
from pipeline.quota.limits import longest_window
from pipeline.store.reader import Reader


def quotas_of(reader: Reader, keys: Sequence[ApiKey], *, now: datetime) -> list[KeyQuota]:
    """Return what is used of the plans of these keys, for a process that starts now. Raise DatabaseError."""
    ids = [key.id for key in keys]
    return list(_quotas(reader, [key.plan for key in keys], ids, now))


def quotas_named(reader: Reader, plans: Sequence[KeyPlan], *, now: datetime) -> list[KeyQuota]:
    """Return what is used of these plans, by the keys that last had their names. Raise DatabaseError.

    For those who may not have the keys. What was used before keys had names counts for each.
    """
    ids = [reader.key_named(plan.name) or EVERY_KEY for plan in plans]
    return list(_quotas(reader, plans, ids, now))


def _quotas(reader: Reader, plans: Sequence[KeyPlan], ids: Sequence[KeyId], now: datetime) -> Iterator[KeyQuota]:
    """Yield the quotas. Of an only key everything that was used counts: by its forerunners, too."""
    since = now - longest_window(all_limits(plans))
    for plan, key in zip(plans, ids, strict=True):
        own = key if len(plans) > 1 else None
        state, lost = reader.quota_state(since, own), [SpentSlot(now, retry=False)] * reader.in_flight(own)
        yield KeyQuota(plan.name, plan.limits, replace(state, spent=[*state.spent, *lost]))
