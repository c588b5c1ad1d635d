"""The fleet's slots: permission to send, which PostgreSQL gives to one member at a time, within each key's plan."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog

from pipeline.api.errors import ApiError, Throttled
from pipeline.fleet.clock import FleetClock
from pipeline.fleet.connection import FleetError
from pipeline.fleet.key_view import KeyView
from pipeline.fleet.ledger import Ledger, Waiter
from pipeline.fleet.pool import Pool, fetch
from pipeline.fleet.quota import quota_state
from pipeline.fleet.reservations import Reservations
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.model.outcomes import RunId
from pipeline.model.slots import LONGEST_BLOCK, KeyId, Slot
from pipeline.model.symbols import Symbol
from pipeline.quota import estimate
from pipeline.quota.block import FIRST_BLOCK
from pipeline.quota.estimate import Wait
from pipeline.quota.keys import KeyPlan
from pipeline.quota.ledger import GRACE, least_left
from pipeline.store.database import StorageError
from pipeline.store.requests import UNSENT


class FleetSlots:
    """The port `Slots` over PostgreSQL: see `quota.ledger` for what each method promises.

    While PostgreSQL cannot be reached, `take` waits up to two minutes; then it raises StorageError.
    """

    def __init__(
        self, pool: Pool, views: Mapping[KeyId, KeyView], reservations: Reservations, *,
        timeout: timedelta, max_wait: timedelta, clock: FleetClock,
    ) -> None:  # fmt: skip
        self._pool = pool
        self._views = views
        self._reservations = reservations
        self._least_left = nanoseconds(least_left(timeout))
        self._max_wait = nanoseconds(max_wait)
        self._clock = clock
        self.sent = 0
        """How many requests have left."""

    @property
    def refusals(self) -> Mapping[str, str]:
        """The keys that the API refuses, by name, and its words."""
        return {one.name: str(one.refusal) for one in self._views.values() if one.refusal is not None}

    def remaining(self) -> int | None:
        """Return how many requests the longest windows still admitted when PostgreSQL was last asked."""
        left = [one.remaining for one in self._usable()]
        return None if None in left else sum(filter(None, left))

    def time_for(self, requests: int) -> timedelta:
        """Return how long that many requests take at the pace of the plans, if no other member takes any."""
        plans = [(one.limits, one.windows) for one in self._usable()]
        return estimate.time_for(plans, requests, now=self._now())

    def waiting(self) -> Wait | None:
        """Return why no request may leave now, and until when, as PostgreSQL said when it was last asked.

        None if one may, or if `take` does not wait that long.
        """
        now = self._now()
        first = min(self._usable(), key=lambda one: one.free_at, default=None)
        lasts = None if first is None else first.waits_for(now)
        if first is None or lasts is None or first.quota_at - now > self._max_wait:
            return None
        return Wait.noted(lasts, first.why_closed(), now=self._clock.now())

    def may_retry(self) -> bool:
        """Return whether the share for retries had a slot left when PostgreSQL was last asked."""
        return any(one.retries_left != 0 for one in self._usable())

    async def take(self, run: RunId, symbol: Symbol, *, retry: bool) -> Slot:
        """Return a slot, once PostgreSQL has reserved it. Raise as `Ledger.take`, and TakenElsewhere.

        That is if the symbol has ended in this run already. While another process has a request out for the symbol,
        this waits.
        """
        waiter = Waiter(run, symbol, retry, asyncio.get_running_loop().create_future())
        self._reservations.ask(waiter)
        try:
            return await waiter.slot
        except asyncio.CancelledError:
            if waiter.slot.done() and not waiter.slot.cancelled() and waiter.slot.exception() is None:
                self.give_back(waiter.slot.result())
            raise

    def admits(self, slot: Slot) -> bool:
        """Return whether the slot's request may leave: its deadline is not near, and its key was not paused."""
        return slot.deadline - self._now() >= self._least_left and self._views[slot.key].admits(slot)

    def close(self, slot: Slot, outcome: str) -> None:
        """Note that the slot's answer is back, or that its request was abandoned."""
        self.sent += 1
        self._reservations.close(slot, outcome)

    def give_back(self, slot: Slot) -> None:
        """Note that the slot's request never left."""
        self._reservations.close(slot, UNSENT)

    def throttled(self, slot: Slot, error: Throttled) -> None:
        """Pause the slot's key, for all members. Raise QuotaEnded if the throttle means that its quota has ended."""
        if self._views[slot.key].throttle(error, slot, now=self._now()):
            self._reservations.pause(slot, error.retry_after)

    async def quota_ended(self, slot: Slot) -> None:
        """Block the slot's key, because the API answered its request with "quota ended". Raise StorageError."""
        view = self._views[slot.key]
        view.revoke(slot)
        try:
            rows = await fetch(
                self._pool, "SELECT fleet.end_quota(%s, %s, %s, %s)", view.key, slot.id, FIRST_BLOCK, LONGEST_BLOCK
            )
        except FleetError as error:
            raise StorageError(f"the quota's end cannot be noted: {error}") from None
        view.cover(rows[0][0])
        view.ask_at = self._now()
        self._reservations.look_again()

    async def quota_resumed(self, slot: Slot) -> None:
        """Do nothing: PostgreSQL lifts a block when a slot is closed as answered that was taken since."""

    async def refused(self, slot: Slot, error: ApiError) -> None:
        """Give this run no more slots of the key: the API does not accept it, or its plan lacks the endpoint."""
        view = self._views[slot.key]
        if view.refuse(slot.run, error):
            self._reservations.look_again()
            if len(self._views) > 1:
                structlog.get_logger().error("key refused", key=view.name, detail=str(error))

    def has_other_key(self, slot: Slot) -> bool:
        """Return whether another key than the slot's has a slot now, or within the longest wait."""
        others = [one for one in self._views.values() if one.key != slot.key and one.is_usable(slot.run)]
        return any(one.quota_at - self._now() <= self._max_wait for one in others)

    def _now(self) -> Nanoseconds:
        return self._clock.own.monotonic()

    def _usable(self) -> list[KeyView]:
        return [view for view in self._views.values() if view.refusal is None]


@asynccontextmanager
async def open_slots(
    pool: Pool,
    keys: Mapping[KeyId, KeyPlan],
    *,
    member: str,
    timeout: timedelta,  # noqa: ASYNC109 - of each request
    max_wait: timedelta,
    max_requests: int | None = None,
    clock: FleetClock,
    on_retry: Callable[[str], object] = lambda _text: None,
) -> AsyncIterator[FleetSlots]:
    """Yield the slots of keys, of which the fleet knows the limits. Raise FleetError if PostgreSQL cannot be asked.

    `take` waits up to `max_wait` for a window; a request has up to `timeout`. `on_retry` is called with one line before
    each attempt to reach PostgreSQL again.
    """
    asked, lifetime = clock.own.monotonic(), timeout + GRACE
    ((at,),) = await fetch(pool, "SELECT fleet.now()")
    clock.heard(at, asked=asked)
    views = {
        key: KeyView(key, plan, await quota_state(pool, key), at=at, now=clock.own.monotonic())
        for key, plan in keys.items()
    }
    reservations = Reservations(
        Ledger(pool, member=member, lifetime=lifetime, now=clock.own.monotonic), views, lifetime=lifetime,
        max_wait=max_wait, max_requests=max_requests, clock=clock, on_retry=on_retry,
    )  # fmt: skip
    running = asyncio.create_task(reservations.run(), name="fleet slots")
    try:
        yield FleetSlots(pool, views, reservations, timeout=timeout, max_wait=max_wait, clock=clock)
    finally:
        reservations.end()
        await asyncio.shield(running)
