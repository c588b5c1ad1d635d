"""Stored quotas: what the database knows to be used of each key's plan."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pipeline.model.slots import EVERY_KEY, Block, KeyId, SpentSlot
from pipeline.quota.estimate import KeyQuota
from pipeline.quota.keys import ApiKey, KeyPlan, all_limits
from pipeline.quota.ledger_time import Shift, by_wall
from pipeline.quota.limits import longest_window
from pipeline.store.blocks import A_MARGIN
from pipeline.store.reader import Reader
from pipeline.uptime import Uptime


def shift_of(reader: Reader, *, wall: datetime, uptime: Uptime | None) -> Shift | None:
    """Return by how much what the ledger has is newer or older by the wall clock, which was set; None: it was not."""
    mark = reader.ledger_mark()
    return None if mark is None else by_wall(mark, wall=wall, uptime=uptime)


def quotas_of(reader: Reader, keys: Sequence[ApiKey], *, now: datetime, shift: Shift | None = None) -> list[KeyQuota]:
    """Return what is used of the plans of these keys, for a process that starts now. Raise DatabaseError.

    `shift`: of the ledger, where `now` is the wall clock's.
    """
    ids = [key.id for key in keys]
    return list(_quotas(reader, [key.plan for key in keys], ids, now, shift))


def quotas_named(
    reader: Reader, plans: Sequence[KeyPlan], *, now: datetime, shift: Shift | None = None
) -> list[KeyQuota]:
    """Return what is used of these plans, by the keys that last had their names. Raise DatabaseError.

    For those who may not have the keys. What was used before keys had names counts for each.
    """
    ids = [reader.key_named(plan.name) or EVERY_KEY for plan in plans]
    return list(_quotas(reader, plans, ids, now, shift))


def presumed_requests(reader: Reader, plans: Sequence[KeyPlan], *, now: datetime, shift: Shift | None = None) -> int:
    """Return how many of the requests that count in these plans may never have been sent. Raise DatabaseError.

    A run without limits notes how many it may have out at most: if it is killed, nobody knows how many it sent.
    """
    return reader.presumed_requests(_earliest(plans, now, shift))


def _earliest(plans: Sequence[KeyPlan], now: datetime, shift: Shift | None) -> datetime:
    """Return the instant since which what is dated may count."""
    later = max(shift.by, timedelta()) if shift else timedelta()
    return now - later - longest_window(all_limits(plans))


def _quotas(
    reader: Reader, plans: Sequence[KeyPlan], ids: Sequence[KeyId], now: datetime, shift: Shift | None
) -> Iterator[KeyQuota]:
    """Yield the quotas. Of an only key everything that was used counts: by its forerunners, too."""
    since = _earliest(plans, now, shift)
    for plan, key in zip(plans, ids, strict=True):
        own = key if len(plans) > 1 else None
        state, lost = reader.quota_state(since, own), [SpentSlot(now, retry=False)] * reader.in_flight(own)
        blocks, spent = reader.blocks(own), state.spent
        if shift is not None:
            blocks, spent = [_moved_block(one, shift) for one in blocks], [_moved(one, shift) for one in spent]
        block = _in_force(blocks, longest_window(plan.limits), now)
        yield KeyQuota(plan.name, plan.limits, replace(state, spent=[*spent, *lost], block=block))


def _in_force(blocks: Iterable[Block], longest: timedelta, now: datetime) -> Block | None:
    """Return the block that ends last.

    The API's word counts always. Where requests are not known, they count for as long as the plan's longest window is:
    the plan may have changed since. Without limits they do not matter.
    """
    by_api = [one for one in blocks if one.reason is None]
    unknown = [replace(one, until=_plus(one.since, longest + A_MARGIN)) for one in blocks if one.reason is not None]
    counting = [one for one in unknown if longest and one.until > now]
    return max(by_api + counting, key=lambda one: one.until, default=None)


def _moved(slot: SpentSlot, shift: Shift) -> SpentSlot:
    return replace(slot, at=_plus(slot.at, shift.by)) if slot.at >= shift.since else slot


def _moved_block(block: Block, shift: Shift) -> Block:
    if block.since < shift.since:
        return block
    return replace(block, since=_plus(block.since, shift.by), until=_plus(block.until, shift.by))


def _plus(at: datetime, by: timedelta) -> datetime:
    try:
        return at + by
    except OverflowError:  # damaged, or from a clock at the end of time: later than now as it is
        return at
