"""The ledger: permission to send, committed before the request leaves, whatever happens to us afterwards.

While the process lives it reckons with its own clock, which no step of the wall clock moves. What an earlier process
wrote is trusted: its instants are the wall clock's, and one in the future counts as now.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiosqlite import Connection

from pipeline import instants
from pipeline.clock import Clock
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.outcome import QuotaEnded, RunId
from pipeline.overview import Symbol
from pipeline.windows import PERIODS, Block, Limit, Spent, Windows, pace, retry_limits
from pipeline.writer import Writer, inserting

FIRST_BLOCK = timedelta(hours=1)
"""How long nothing is asked after the API said that the quota has ended; doubled each time it says so again ..."""
LONGEST_BLOCK = timedelta(days=1)
GRACE = timedelta(seconds=5)
"""How long after its reservation a request may leave: the deadline in the ledger allows for it."""
_RECKONED = 1000
_PRUNED_AT_ONCE = 1000
UNSENT = "unsent"
"""The outcome of a slot whose request never left: it counts in no window."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Permission to send one request, until `deadline` on the process's own clock."""

    id: int
    run: RunId
    symbol: Symbol
    retry: bool
    reserved_at: datetime
    taken: Nanoseconds
    deadline: Nanoseconds


@dataclass(frozen=True, slots=True)
class _Closed:
    slot: Slot
    finished_at: str
    outcome: str


class RetriesSpent(Exception):
    """The fifth of the day's allowance that is for asking again is used up."""


class Ledger:
    """Hands out the slots of a plan's windows, and writes down what became of them."""

    def __init__(
        self,
        writer: Writer,
        limits: Sequence[Limit],
        *,
        spent: Sequence[Spent],
        block: Block | None,
        last_id: int,
        timeout: timedelta,
        patience: timedelta,
        most: int | None = None,
        clock: Clock,
    ) -> None:
        wall, own = clock.now(), clock.own()
        self._writer = writer
        self._limits = limits
        self._windows = Windows(limits, [_own(one.at, wall, own) for one in spent])
        self._retries = Windows(retry_limits(limits), [_own(one.at, wall, own) for one in spent if one.retry])
        self._block = block
        self._blocked_until = own + min(_span(block.until - wall), _span(LONGEST_BLOCK)) if block else own
        self._last_id = self._block_covers = last_id
        self._is_open = not limits and block is None and most is None
        self._lifetime = _span(timeout + GRACE)
        self._patience = _span(patience)
        self._most = most
        self._taken = 0
        self._clock = clock
        self._turn = asyncio.Lock()
        self._answered = asyncio.Event()
        self.sent = 0
        """How many requests have left."""

    @property
    def is_probing(self) -> bool:
        """Whether the API last said that the quota has ended, so that one request goes ahead alone to see."""
        return self._block is not None

    @property
    def is_open(self) -> bool:
        """Whether there is nothing to wait for: no limit, no block, no most."""
        return self._is_open

    @property
    def has_day_window(self) -> bool:
        return any(limit.period >= PERIODS["day"] for limit in self._limits)

    def left(self) -> int | None:
        """Return how many requests the longest window still admits, or None where there is no window."""
        if not self._limits:
            return None
        longest = max(self._limits, key=lambda limit: limit.period)
        return max(longest.count - self._windows.used(longest, self._clock.own()), 0)

    def time_to_go(self, requests: int) -> timedelta:
        """Return how long so many requests take at the plan's pace, if each answer comes at once.

        Reckoned for the first thousand, and by the slowest limit's rate beyond: it is asked for several times a second.
        """
        own = self._clock.own()
        reckoned = min(requests, _RECKONED)
        first = pace(self._windows.copy(), reckoned, now=own) - own
        each = max((limit.period / limit.count for limit in self._limits), default=timedelta())
        return timedelta(microseconds=first // 1000) + each * (requests - reckoned)

    def may_retry(self) -> bool:
        """Whether the fifth of the day's allowance that is for retries has a slot left."""
        return self._retries.opening(self._clock.own()).at <= self._clock.own()

    async def take(self, run: RunId, symbol: Symbol, *, retry: bool) -> Slot:
        """Return a slot, once it is free and durably written down.

        Raise QuotaEnded at once if none will be free for longer than we are ready to wait, or after `most` of them;
        RetriesSpent where the fifth for retries is used up; StorageError if it cannot be written. In all cases, and
        when cancelled, no slot is used up.
        """
        if self._is_open:
            return self.take_at_once(run, symbol, retry=retry)
        async with self._turn:  # first come, first served
            if self._most is not None and self._taken >= self._most:
                raise QuotaEnded(f"--max-requests {self._most} reached")
            await self._wait()
            if retry and not self.may_retry():
                raise RetriesSpent
            slot = self.take_at_once(run, symbol, retry=retry)
        if self._limits:
            try:
                await self._writer.write(_reserve, slot)
            except BaseException:
                self.give_back(slot)
                raise
        return slot

    def close(self, slot: Slot, outcome: str) -> None:
        """Note that the slot's answer is back, or that its request was given up."""
        self._end(slot, outcome, self._windows.end, self._retries.end)
        self.sent += 1

    def give_back(self, slot: Slot) -> None:
        """Note that the slot's request never left."""
        self._taken -= 1
        self._end(slot, UNSENT, lambda _at: self._windows.give_back(), lambda _at: self._retries.give_back())

    async def quota_ended(self, slot: Slot) -> None:
        """Ask nothing for an hour, or for twice as long as the last time: the API says that the quota has ended.

        It said so to the request of this slot. Those that were out together count as one.
        """
        if slot.id <= self._block_covers:
            return
        now = self._clock.now()
        last = self._block.until - self._block.since if self._block else timedelta()
        pause = min(2 * last, LONGEST_BLOCK) if last else FIRST_BLOCK
        self._block = Block(now, now + pause)
        self._is_open = False
        self._block_covers = self._last_id
        self._blocked_until = self._clock.own() + _span(pause)
        await self._writer.write(_set_block, self._block)

    async def quota_is_open(self) -> None:
        """Forget the block: the API answers again."""
        if self._block is not None:
            self._block = None
            await self._writer.write(_clear_block, None)

    async def _wait(self) -> None:
        while True:
            own = self._clock.own()
            opening = self._windows.opening(own)
            at = max(opening.at, self._blocked_until)
            if at <= own:
                return
            if at - own > self._patience:
                raise QuotaEnded(self._why_ended(at - own, blocked=self._blocked_until > opening.at))
            if opening.certain:
                await self._clock.sleep((at - own) / 1e9)
            else:
                self._answered.clear()
                await self._answered.wait()

    def _why_ended(self, wait: Nanoseconds, *, blocked: bool) -> str:
        again = instants.for_people(self._clock.now() + timedelta(microseconds=wait // 1000))
        if blocked:
            return f"the API said that the quota has ended: nothing is asked before {again} UTC"
        return f"the plan's {', '.join(map(str, self._limits))} is used up: the next slot is free at {again} UTC"

    def take_at_once(self, run: RunId, symbol: Symbol, *, retry: bool) -> Slot:
        """Return a slot, without waiting and unwritten: for where `is_open` says that there is nothing to wait for."""
        self._windows.take()
        if retry:
            self._retries.take()
        self._last_id += 1
        self._taken += 1
        own = self._clock.own()
        return Slot(self._last_id, run, symbol, retry, self._clock.now(), own, own + self._lifetime)

    def _end(
        self, slot: Slot, outcome: str, end: Callable[[Nanoseconds], None], end_retry: Callable[[Nanoseconds], None]
    ) -> None:
        own = self._clock.own()
        end(own)
        if slot.retry:
            end_retry(own)
        self._answered.set()
        # To the next millisecond: never sooner than it was.
        finished_at = instants.to_text(self._clock.now() + instants.MILLISECOND)
        self._writer.post(_close if self._limits else _write_down, _Closed(slot, finished_at, outcome))


def _own(at: datetime, wall: datetime, own: Nanoseconds) -> Nanoseconds:
    """Return an instant of the wall clock as one of the process's own; one in the future as now."""
    return own - _span(wall - at)


def _span(period: timedelta) -> Nanoseconds:
    return max(nanoseconds(period), 0)


# SQL

_RESERVED = ["id", "run_id", "symbol", "retry", "reserved_at", "deadline_at"]
_RESERVE = inserting("requests", _RESERVED)
_WRITE_DOWN = inserting("requests", [*_RESERVED, "finished_at", "outcome"])


def _row(slot: Slot) -> tuple[Any, ...]:
    deadline = slot.reserved_at + timedelta(microseconds=(slot.deadline - slot.taken) // 1000)
    return (
        slot.id, slot.run, slot.symbol, int(slot.retry), instants.to_text(slot.reserved_at), instants.to_text(deadline)
    )  # fmt: skip


async def _reserve(db: Connection, slots: Sequence[Slot]) -> Sequence[None]:
    await _RESERVE.write(db, [_row(slot) for slot in slots])
    return [None] * len(slots)


async def _close(db: Connection, closed: Sequence[_Closed]) -> Sequence[None]:
    await db.executemany(
        "UPDATE requests SET finished_at = ?, outcome = ? WHERE id = ?",
        [(one.finished_at, one.outcome, one.slot.id) for one in closed],
    )
    return [None] * len(closed)


async def _write_down(db: Connection, closed: Sequence[_Closed]) -> Sequence[None]:
    """Write slots of a plan without limits, which were not reserved."""
    await _WRITE_DOWN.write(db, [(*_row(one.slot), one.finished_at, one.outcome) for one in closed])
    return [None] * len(closed)


async def _set_block(db: Connection, blocks: Sequence[Block]) -> Sequence[None]:
    rows = [(instants.to_text(block.since), instants.to_text(block.until)) for block in blocks]
    await db.executemany("INSERT OR REPLACE INTO blocked (id, since, until) VALUES (1, ?, ?)", rows)
    return [None] * len(blocks)


async def _clear_block(db: Connection, asked: Sequence[None]) -> Sequence[None]:
    await db.execute("DELETE FROM blocked")
    return asked


async def prune(writer: Writer, limits: Sequence[Limit], *, now: datetime) -> None:
    """Delete the slots that no window can hold any more, older than a day and the longest window, in small steps."""
    longest = max((limit.period for limit in limits), default=timedelta())
    before = instants.to_text(now - longest - timedelta(days=1))
    # To the next millisecond, as slots are closed: never sooner than it was.
    await writer.write(_bring_back, instants.to_text(now + instants.MILLISECOND))
    while await writer.write(_prune, before) == _PRUNED_AT_ONCE:
        pass


@dataclass(frozen=True, slots=True)
class Step:
    """The wall clock was set forward, and what was written by it from `since` to `until` tells the time before."""

    by: timedelta
    since: datetime
    until: datetime


async def shift(writer: Writer, step: Step) -> None:
    """Let slots count as long as they would have, had the wall clock not been set forward.

    What was written by a clock that was behind would seem older than it is, and its windows free too early.
    """
    await writer.write(_shift, step)


async def _shift(db: Connection, steps: Sequence[Step]) -> Sequence[None]:
    for step in steps:
        values = {
            "by": f"{step.by.total_seconds():+.3f} seconds",
            "since": instants.to_text(step.since),
            "until": instants.to_text(step.until + instants.MILLISECOND),
        }
        await db.execute(
            """
            UPDATE requests SET finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', finished_at, :by),
                                deadline_at = strftime('%Y-%m-%dT%H:%M:%fZ', deadline_at, :by)
             WHERE reserved_at BETWEEN :since AND :until
            """,
            values,
        )
        await db.execute(
            """
            UPDATE blocked SET since = strftime('%Y-%m-%dT%H:%M:%fZ', since, :by),
                               until = strftime('%Y-%m-%dT%H:%M:%fZ', until, :by)
             WHERE since BETWEEN :since AND :until
            """,
            values,
        )
    return [None] * len(steps)


async def _prune(db: Connection, asked: Sequence[str]) -> Sequence[int]:
    counts = []
    for before in asked:
        cursor = await db.execute(
            "DELETE FROM requests WHERE id IN"
            " (SELECT id FROM requests WHERE coalesce(finished_at, deadline_at) < ? LIMIT ?)",
            (before, _PRUNED_AT_ONCE),
        )
        counts.append(cursor.rowcount)
    return counts


async def _bring_back(db: Connection, asked: Sequence[str]) -> Sequence[None]:
    """Let what was written while the clock was ahead count from now, once: not from now again at every start."""
    for now in asked:
        await db.execute("UPDATE requests SET finished_at = ? WHERE coalesce(finished_at, deadline_at) > ?", (now, now))
        await db.execute("UPDATE blocked SET since = ? WHERE since > ?", (now, now))
        await db.execute("UPDATE blocked SET until = min(until, ?)", (_a_day_later(now),))
    return [None] * len(asked)


def _a_day_later(text: str) -> str:
    return instants.to_text(instants.from_text(text) + LONGEST_BLOCK)
