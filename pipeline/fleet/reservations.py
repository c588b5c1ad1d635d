"""Reservations: who waits for a slot, and when PostgreSQL is asked for it. The statements are in `ledger`.

All that wait share one statement: it closes what this process has to close, and reserves for as many as it can. Keys
are asked in turn, whichever has a slot first. Nothing is locked between two statements.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from pipeline.api.errors import QuotaEnded
from pipeline.collect.ports import TakenElsewhere
from pipeline.fleet.clock import FleetClock
from pipeline.fleet.connection import FleetError, NoFleet
from pipeline.fleet.key_view import KeyView, Verdict
from pipeline.fleet.ledger import Ledger, Waiter
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.model.slots import KeyId, Slot
from pipeline.quota.ledger import RetryBudgetSpent
from pipeline.store.database import StorageError
from pipeline.store.requests import UNSENT

_MOST_ASKED = 200
"""Symbols in one statement."""
PATIENCE = timedelta(minutes=2)
"""For how long PostgreSQL may be out of reach until no slot can be had: longer than a standby needs to take over."""
_PATIENCE_AT_END = timedelta(seconds=5)
"""For how long a process that stops tries to close its slots. Those that it leaves count from their deadlines."""
_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (0.25, 0.5, 1, 2))
"""Between attempts to reach PostgreSQL; the last one again and again."""
_OUT_ELSEWHERE = nanoseconds(timedelta(milliseconds=250))
"""How soon to ask again for a symbol whose request another process has sent."""


class _Pause(NamedTuple):
    view: KeyView
    slot: int
    told: timedelta | None


class Reservations:
    """The requests for slots that wait, and the keys of which one may come."""

    def __init__(
        self,
        ledger: Ledger,
        views: Mapping[KeyId, KeyView],
        *,
        lifetime: timedelta,
        max_wait: timedelta,
        max_requests: int | None,
        clock: FleetClock,
        on_retry: Callable[[str], object],
    ) -> None:
        self._ledger = ledger
        self._views = views
        self._lifetime = lifetime
        self._max_wait = nanoseconds(max_wait)
        self._max_requests = max_requests
        self._clock = clock
        self._on_retry = on_retry
        self._taken = 0
        self._waiting: list[Waiter] = []
        self._pauses: list[_Pause] = []
        self._step = timedelta()
        """By how much PostgreSQL's clock was set forward, which it does not know."""
        self._changed = asyncio.Event()
        self._ends_at: Nanoseconds | None = None
        self._failure: BaseException | None = None

    def ask(self, waiter: Waiter) -> None:
        """Get a slot for somebody."""
        if self._failure is not None:
            waiter.slot.set_exception(StorageError(f"no slot: {self._failure}"))
            return
        self._waiting.append(waiter)
        self.look_again()

    def close(self, slot: Slot, outcome: str) -> None:
        """Close a slot; UNSENT: its request never left."""
        self._taken -= outcome == UNSENT
        self._views[slot.key].closed(outcome, now=self._now())
        self._ledger.close_soon(slot.id, outcome)
        self.look_again()

    def pause(self, slot: Slot, told: timedelta | None) -> None:
        """Pause the slot's key; for as long as the API told, if it did."""
        self._pauses.append(_Pause(self._views[slot.key], slot.id, told))
        self.look_again()

    def look_again(self) -> None:
        """Do not wait any longer: something has changed."""
        self._changed.set()

    async def run(self) -> None:
        """Reserve slots for all that wait and close those to be closed, until `end`."""
        try:
            while self._ends_at is None or self._ledger.owes:
                await self._until_due()
                self._changed.clear()
                await asyncio.sleep(0)  # all that are ready to ask or to close share the statement
                await self._turn_with_retries()
        except BaseException as error:
            self._failure = error
            raise
        finally:
            self._failure = self._failure or StorageError("the run has ended")
            self._fail(StorageError(f"no slot: {self._failure}"))

    def end(self) -> None:
        """Let `run` end, once what is closed by now is closed in PostgreSQL too."""
        self._ends_at = self._now() + nanoseconds(_PATIENCE_AT_END)
        self._changed.set()

    def _now(self) -> Nanoseconds:
        return self._clock.own.monotonic()

    def _usable(self, waiter: Waiter) -> list[KeyView]:
        """Return the keys of which somebody may get a slot."""
        views = self._views.values()
        return [view for view in views if view.is_usable(waiter.run) and view.key not in waiter.no_retry]

    def _live(self) -> list[Waiter]:
        self._waiting = [waiter for waiter in self._waiting if not waiter.slot.done()]
        return self._waiting

    async def _until_due(self) -> None:
        """Return when PostgreSQL is to be asked again, or something has changed.

        At once if its clock was set forward: told later, it would move windows that another process has moved already.
        """
        if self._changed.is_set() or self._clock.has_stepped:
            return
        due = [max(one.ask_at, view.ask_at) for one in self._live() for view in self._usable(one)]
        if not due:
            await self._changed.wait()
            return
        seconds = max(min(due) - self._now(), 0) / 1e9
        waiting = {asyncio.ensure_future(self._clock.own.sleep(seconds)), asyncio.ensure_future(self._changed.wait())}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    async def _turn_with_retries(self) -> None:
        """Do a turn; again for as long as PostgreSQL cannot be reached. In the end, those who wait get the error."""
        began, attempt = self._now(), 0
        while True:
            try:
                await self._turn()
            except FleetError as error:
                if isinstance(error, NoFleet) or self._now() - began >= nanoseconds(PATIENCE):
                    self._fail(StorageError(f"no slot: {error}"))
                if self._ends_at is not None and self._now() >= self._ends_at:
                    self._ledger.leave_open()
                    return
                pause = _PAUSES[min(attempt, len(_PAUSES) - 1)].total_seconds()
                attempt += 1
                self._on_retry(f"{error}; retrying in {pause:g} s")
                await self._clock.own.sleep(pause)
            else:
                return

    async def _turn(self) -> None:
        """Tell PostgreSQL of pauses, ask each key that may have a slot, and close slots."""
        await self._ledger.give_back_unknown()
        self._look_for_step()
        for view in self._views.values() if self._step else ():
            view.cover(await self._ledger.distrust_clock(view.key, self._step))
            view.is_pausing = any(pause.view is view for pause in self._pauses)
        self._step = timedelta()
        while self._pauses:
            view, slot, told = self._pauses[0]
            covers = await self._ledger.pause(view.key, slot, told)
            del self._pauses[0]
            view.cover(covers)
            view.is_pausing = any(pause.view is view for pause in self._pauses)
        for view in sorted(self._views.values(), key=lambda one: one.ask_at):
            now = self._now()
            if view.ask_at <= now:
                asking = [one for one in self._live() if one.ask_at <= now and view in self._usable(one)]
                await self._ask(view, asking[: self._most()])
        await self._ledger.close()
        self._judge()

    def _look_for_step(self) -> None:
        """If PostgreSQL's clock was set forward, use no slot until it has been told so: windows end too early there."""
        if step := self._clock.take_step():
            self._on_retry(f"PostgreSQL's clock was set forward by {step.total_seconds():.1f} s: windows move along")
            self._step += step
            for view in self._views.values():
                view.is_pausing = True
            self.look_again()

    def _most(self) -> int:
        """Return for how many symbols to ask at most."""
        return _MOST_ASKED if self._max_requests is None else min(_MOST_ASKED, self._max_requests - self._taken)

    async def _ask(self, view: KeyView, asking: Sequence[Waiter]) -> None:
        """Reserve slots of one key for those who wait, and close slots on the way."""
        if not asking:
            return
        asked = self._now()
        verdicts = await self._ledger.reserve(view.key, asking)
        self._clock.heard(verdicts[0].at, asked=asked)
        self._look_for_step()
        view.hear(verdicts, asked=asked, now=self._now())
        for waiter, verdict in zip(asking, verdicts, strict=True):
            self._tell(waiter, verdict, view, asked)

    def _tell(self, waiter: Waiter, verdict: Verdict, view: KeyView, asked: Nanoseconds) -> None:
        """Act on what PostgreSQL says of one symbol."""
        match verdict.verdict:
            case "granted":
                self._hand_out(waiter, verdict, view, asked)
            case "done" if not waiter.slot.done():
                waiter.slot.set_exception(TakenElsewhere(f"{waiter.symbol} has ended in this run already"))
            case "no_retry":
                waiter.no_retry.add(view.key)
            case "out":
                waiter.ask_at = min(asked + nanoseconds(verdict.free_at - verdict.at), self._now() + _OUT_ELSEWHERE)

    def _hand_out(self, waiter: Waiter, verdict: Verdict, view: KeyView, asked: Nanoseconds) -> None:
        """Hand out a slot. Give it back if nobody waits any more, or if the key is paused meanwhile."""
        assert verdict.slot is not None
        slot = Slot(
            verdict.slot, view.key, waiter.run, waiter.symbol, waiter.retry, verdict.at, asked,
            asked + nanoseconds(self._lifetime), view.permit(verdict),
        )  # fmt: skip
        view.taken(slot)
        self._ledger.add(slot.id)
        self._taken += 1
        if waiter.slot.done() or view.is_pausing:
            self.close(slot, UNSENT)
        else:
            waiter.slot.set_result(slot)

    def _judge(self) -> None:
        """Tell those who wait that they will get no slot, as far as that is known."""
        for waiter in self._live():
            if (refusal := self._refusal_of(waiter)) is not None:
                waiter.slot.set_exception(refusal)

    def _refusal_of(self, waiter: Waiter) -> Exception | None:
        first = min(self._usable(waiter), key=lambda one: one.quota_at, default=None)
        if first is None:
            refusals = [one.refusal for one in self._views.values() if not one.is_usable(waiter.run)]
            return (len(refusals) == len(self._views) and refusals[0]) or RetryBudgetSpent()
        if self._most() <= 0:
            return QuotaEnded(f"--max-requests {self._max_requests} reached")
        return first.used_up() if first.quota_at - self._now() > self._max_wait else None

    def _fail(self, error: StorageError) -> None:
        for waiter in self._live():
            waiter.slot.set_exception(error)
