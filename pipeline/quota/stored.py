"""Stored quotas: what the database knows to be used of each key's plan."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pipeline.model.slots import EVERY_KEY, KeyId, QuotaState, SpentSlot
from pipeline.quota.estimate import KeyQuota
from pipeline.quota.keys import ApiKey, KeyPlan, all_limits
from pipeline.quota.ledger_time import AGREES_WITHIN, known_now
from pipeline.quota.limits import longest_window
from pipeline.store.reader import Reader
from pipeline.uptime import Uptime

_NO_LAG = timedelta()


def lag_of(reader: Reader, *, wall: datetime, uptime: Uptime | None) -> timedelta:
    """Return how far the ledger's time is behind the wall clock, which was set: slots are newer by as much."""
    mark = reader.ledger_mark()
    known = None if mark is None else known_now(mark, uptime)
    return wall - known if known is not None and wall - known > AGREES_WITHIN else _NO_LAG


def quotas_of(reader: Reader, keys: Sequence[ApiKey], *, now: datetime, lag: timedelta = _NO_LAG) -> list[KeyQuota]:
    """Return what is used of the plans of these keys, for a process that starts now. Raise DatabaseError.

    `lag`: of the ledger's time, where `now` is the wall clock's.
    """
    ids = [key.id for key in keys]
    return list(_quotas(reader, [key.plan for key in keys], ids, now, lag))


def quotas_named(
    reader: Reader, plans: Sequence[KeyPlan], *, now: datetime, lag: timedelta = _NO_LAG
) -> list[KeyQuota]:
    """Return what is used of these plans, by the keys that last had their names. Raise DatabaseError.

    For those who may not have the keys. What was used before keys had names counts for each.
    """
    ids = [reader.key_named(plan.name) or EVERY_KEY for plan in plans]
    return list(_quotas(reader, plans, ids, now, lag))


def _quotas(
    reader: Reader, plans: Sequence[KeyPlan], ids: Sequence[KeyId], now: datetime, lag: timedelta
) -> Iterator[KeyQuota]:
    """Yield the quotas. Of an only key everything that was used counts: by its forerunners, too."""
    since = now - lag - longest_window(all_limits(plans))
    for plan, key in zip(plans, ids, strict=True):
        own = key if len(plans) > 1 else None
        state, lost = reader.quota_state(since, own), [SpentSlot(now, retry=False)] * reader.in_flight(own)
        later = _later(state, lag) if lag else state
        # Without limits it does not matter that requests are not known; the API's word counts always.
        block = later.block if plan.limits or (later.block and later.block.reason is None) else None
        yield KeyQuota(plan.name, plan.limits, replace(later, spent=[*later.spent, *lost], block=block))


def _later(state: QuotaState, by: timedelta) -> QuotaState:
    block = state.block and replace(state.block, since=_plus(state.block.since, by), until=_plus(state.block.until, by))
    return replace(state, spent=[replace(one, at=_plus(one.at, by)) for one in state.spent], block=block)


def _plus(at: datetime, by: timedelta) -> datetime:
    try:
        return at + by
    except OverflowError:  # damaged, or from a clock at the end of time: later than now as it is
        return at
