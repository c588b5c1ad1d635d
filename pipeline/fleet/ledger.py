"""The ledger: the statements by which slots are reserved, closed and revoked in PostgreSQL, each of them one commit.

It holds what this process has of them, so that nothing is lost where a statement was sent and no answer came.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import LiteralString
from uuid import uuid4

from pipeline.fleet.held import Closing, Held, columns
from pipeline.fleet.key_view import Verdict
from pipeline.fleet.pool import Pool, fetch
from pipeline.instants import Nanoseconds
from pipeline.model.outcomes import RunId
from pipeline.model.slots import KeyId, Slot
from pipeline.model.symbols import Symbol
from pipeline.quota.throttle import FIRST_PAUSE, LONGEST_PAUSE

_RESERVE: LiteralString = """
    SELECT * FROM fleet.reserve(%s, %s, %s, %b::bigint[], %b::text[], %b::boolean[], %b::bigint[],
                                 %b::text[], %b::float8[], %s)
"""
_CLOSE: LiteralString = "SELECT fleet.close_slots(%b::bigint[], %b::text[], %b::float8[])"
_GIVE_BACK: LiteralString = "SELECT fleet.give_back_unknown(%s, %b::bigint[])"
_PAUSE: LiteralString = "SELECT fleet.pause(%s, %s, %s, %s, %s)"
_DISTRUST: LiteralString = "SELECT fleet.distrust_clock(%s, %s)"


@dataclass(eq=False, slots=True)
class Waiter:
    """Somebody who waits for a slot."""

    run: RunId
    symbol: Symbol
    retry: bool
    slot: "asyncio.Future[Slot]"
    ask_at: Nanoseconds = 0
    no_retry: set[KeyId] = field(default_factory=set)
    """The keys whose share for retries is used up."""


class Ledger:
    """The ledger of the fleet, for one process. All of it that is asynchronous raises FleetError."""

    def __init__(self, pool: Pool, *, member: str, lifetime: timedelta, now: Callable[[], Nanoseconds]) -> None:
        """`lifetime`: of a slot, until its deadline. `now` is this process's monotonic clock."""
        self._pool = pool
        self._member = member
        self._lifetime = lifetime
        self._now = now
        self._held = Held()
        self._holder = uuid4()
        self._is_unsure = False
        """Whether PostgreSQL may have reserved slots that this process was not told of."""

    @property
    def owes(self) -> bool:
        """Whether there are slots that are to be closed."""
        return bool(self._held.closing)

    def add(self, slot: int) -> None:
        """Hold a slot that was reserved."""
        self._held.add(slot)

    def close_soon(self, slot: int, outcome: str) -> None:
        """Close a slot with the next statement; it ended now."""
        self._held.close(Closing(slot, outcome, self._now()))

    def leave_open(self) -> None:
        """Close none of the slots that are to be closed: they count from their deadlines."""
        self._held.closed(self._held.closing)

    async def give_back_unknown(self) -> None:
        """Give back what was reserved by statements that nobody answered."""
        if self._is_unsure:
            await fetch(self._pool, _GIVE_BACK, self._holder, self._held.slots)
            self._is_unsure = False

    async def distrust_clock(self, key: KeyId, step: timedelta) -> int:
        """Say by how much PostgreSQL's clock was set forward. Return the last slot of the key that may not be used."""
        covers: int = (await fetch(self._pool, _DISTRUST, key, step))[0][0]
        return covers

    async def pause(self, key: KeyId, slot: int, told: timedelta | None) -> int:
        """Pause a key, as the API throttled this slot's request. Return the last slot that may not be used."""
        covers: int = (await fetch(self._pool, _PAUSE, key, slot, FIRST_PAUSE, LONGEST_PAUSE, told))[0][0]
        return covers

    async def reserve(self, key: KeyId, asking: Sequence[Waiter]) -> list[Verdict]:
        """Reserve slots of one key for those who wait, and close slots on the way. Return what is said of each."""
        closing = self._held.closing
        self._is_unsure = True
        rows = await fetch(
            self._pool,
            _RESERVE,
            key,
            self._member,
            self._lifetime,
            [one.run for one in asking],
            [one.symbol for one in asking],
            [one.retry for one in asking],
            *columns(closing, now=self._now()),
            self._holder,
        )
        self._is_unsure = False
        self._held.closed(closing)
        return [Verdict(*row) for row in rows]

    async def close(self) -> None:
        """Close the slots that are to be closed."""
        if closing := self._held.closing:
            await fetch(self._pool, _CLOSE, *columns(closing, now=self._now()))
            self._held.closed(closing)
