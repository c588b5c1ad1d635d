"""On demand: whether a symbol that a client asks for is requested now, by what is stored of it and of the quota."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pipeline import instants
from pipeline.collect.due import NEVER, select_due
from pipeline.model.outcomes import RunId
from pipeline.model.symbols import Symbol, SymbolFreshness
from pipeline.quota.block import BY_THE_API
from pipeline.quota.estimate import KeyQuota, finish_at, used_up
from pipeline.quota.keys import ApiKey
from pipeline.quota.stored import quotas_of, shift_of
from pipeline.store.reader import Reader
from pipeline.uptime import Uptime

SLOT_WITHIN = timedelta(seconds=10)
"""How long a request waits for a free slot: a client waits for it."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=15), timedelta(hours=4)
"""Before a symbol is requested again whose request brought no overview; doubled with each further such request."""
_MOST_DOUBLINGS = 8


@dataclass(frozen=True, slots=True)
class NotCollected:
    """Why a symbol was not collected, in one line."""

    reason: str
    is_quota: bool = False
    """Whether the quota has ended."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What is to be done with symbols that clients ask for."""

    due: Sequence[Symbol]
    """To be requested, stalest first."""
    refused: Mapping[Symbol, NotCollected]
    settled: Mapping[Symbol, datetime]
    """Those that need not be requested, as they are fresh or not covered, and until when."""
    observed: frozenset[Symbol]
    """Those of all that have an overview, however old."""


def pause_after(fruitless: int) -> timedelta:
    """Return how long to wait after a number of requests in a row that brought nothing."""
    doublings: int = 2 ** min(max(fruitless - 1, 0), _MOST_DOUBLINGS)
    return min(FIRST_PAUSE * doublings, LONGEST_PAUSE)


def examine(
    database: Path,
    symbols: Sequence[Symbol],
    *,
    keys: Sequence[ApiKey],
    fresh_for: timedelta,
    fruitless: Mapping[Symbol, int],
    active_run: RunId | None = None,
    now: datetime,
    uptime: Uptime | None = None,
) -> Examined:
    """Return which of the symbols to request now, and why not the others that are not fresh.

    `fruitless`: how many requests in a row brought no overview of a symbol. `active_run`: the run under way, whose
    requests may still bring one. Raise DatabaseError.
    """
    with Reader.open(database) as reader:
        known = {one.symbol: one for one in reader.freshness(symbols)}
        stale = select_due(symbols, known.values(), observed_since=now - fresh_for, now=now).due
        shift = shift_of(reader, wall=now, uptime=uptime)
        quotas = quotas_of(reader, keys, now=now, shift=shift) if stale else []
        requested = reader.last_requests(stale, but_of=active_run) if stale else {}
    ended = _quota_ended(quotas, now) if stale else None
    due, refused = [], {}
    for symbol in stale:
        why = ended or _requested_lately(known.get(symbol), requested.get(symbol), fruitless.get(symbol, 1), now)
        if why is None:
            due.append(symbol)
        else:
            refused[symbol] = why
    settled = {
        symbol: one.next_try_at or (one.last_observed_at or now) + fresh_for
        for symbol, one in known.items()
        if symbol not in stale
    }
    return Examined(due, refused, settled, frozenset(symbol for symbol, one in known.items() if _has_overview(one)))


def _quota_ended(keys: Sequence[KeyQuota], now: datetime) -> NotCollected | None:
    at, first = min(((finish_at([key], requests=1, now=now) or now, key) for key in keys), key=lambda found: found[0])
    if at - now <= SLOT_WITHIN:
        return None
    block = first.state.block
    blocked_by = (block.reason or BY_THE_API) if block is not None and block.until >= at else None
    why = used_up(first.limits, at, blocked_by=blocked_by, key=first.name if len(keys) > 1 else "")
    return NotCollected(why, is_quota=True)


def _requested_lately(
    one: SymbolFreshness | None, requested_at: datetime | None, fruitless: int, now: datetime
) -> NotCollected | None:
    """Return that the last request brought no overview, and was not long ago; None otherwise.

    The ledger also knows a request whose process was killed before it could store the answer.
    """
    tried_at = (one and one.last_tried_at) or NEVER
    last = max(tried_at, requested_at or NEVER)
    if last <= ((one and one.last_observed_at) or NEVER) or not timedelta() <= now - last < pause_after(fruitless):
        return None
    sent, again = instants.for_people(last), instants.for_people(last + pause_after(fruitless))
    return NotCollected(
        f"the request at {sent} UTC brought no overview (see pipeline runs): the next after {again} UTC"
    )


def _has_overview(one: SymbolFreshness) -> bool:
    return one.is_uncovered or (one.last_observed_at is not None and one.next_try_at is None)
