"""The ledger's table: slots reserved before their requests leave, and closed after."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiosqlite import Connection

from pipeline import instants
from pipeline.model.slots import LONGEST_BLOCK, Block, Slot
from pipeline.store.writer import Writer, bulk_insert

_PRUNED_AT_ONCE = 1000
UNSENT = "unsent"
"""The outcome of a slot whose request never left: it counts in no window."""


@dataclass(frozen=True, slots=True)
class ClosedRequest:
    slot: Slot
    finished_at: str
    outcome: str


# SQL

_RESERVED = ["id", "run_id", "symbol", "retry", "reserved_at", "deadline_at"]
_RESERVE = bulk_insert("requests", _RESERVED)
_WRITE_DOWN = bulk_insert("requests", [*_RESERVED, "finished_at", "outcome"])


def _row(slot: Slot) -> tuple[Any, ...]:
    deadline = slot.reserved_at + timedelta(microseconds=(slot.deadline - slot.taken) // 1000)
    return (
        slot.id, slot.run, slot.symbol, int(slot.retry), instants.to_text(slot.reserved_at), instants.to_text(deadline)
    )  # fmt: skip


async def reserve_requests(db: Connection, slots: Sequence[Slot]) -> Sequence[None]:
    await _RESERVE.write(db, [_row(slot) for slot in slots])
    return [None] * len(slots)


async def close_requests(db: Connection, closed: Sequence[ClosedRequest]) -> Sequence[None]:
    await db.executemany(
        "UPDATE requests SET finished_at = ?, outcome = ? WHERE id = ?",
        [(one.finished_at, one.outcome, one.slot.id) for one in closed],
    )
    return [None] * len(closed)


async def insert_closed_requests(db: Connection, closed: Sequence[ClosedRequest]) -> Sequence[None]:
    """Write slots of a plan without limits, which were not reserved."""
    await _WRITE_DOWN.write(db, [(*_row(one.slot), one.finished_at, one.outcome) for one in closed])
    return [None] * len(closed)


async def set_block(db: Connection, blocks: Sequence[Block]) -> Sequence[None]:
    rows = [(instants.to_text(block.since), instants.to_text(block.until)) for block in blocks]
    await db.executemany("INSERT OR REPLACE INTO blocked (id, since, until) VALUES (1, ?, ?)", rows)
    return [None] * len(blocks)


async def clear_block(db: Connection, asked: Sequence[None]) -> Sequence[None]:
    await db.execute("DELETE FROM blocked")
    return asked


async def prune_requests(writer: Writer, *, longest: timedelta, now: datetime) -> None:
    """Delete, in small steps, the slots older than a day and the longest window: no window can still hold them."""
    before = instants.to_text(now - longest - timedelta(days=1))
    # To the next millisecond, as slots are closed: never sooner than it was.
    await writer.write(_bring_back, instants.to_text(now + instants.MILLISECOND))
    while await writer.write(_prune, before) == _PRUNED_AT_ONCE:
        pass


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The wall clock was set forward, and what was written by it from `since` to `until` tells the time before."""

    by: timedelta
    since: datetime
    until: datetime


async def compensate_clock_step(writer: Writer, step: ClockStep) -> None:
    """Let slots count as long as they would have, had the wall clock not been set forward.

    What was written by a clock that was behind would seem older than it is, and its windows free too early.
    """
    await writer.write(_compensate_clock_step, step)


async def _compensate_clock_step(db: Connection, steps: Sequence[ClockStep]) -> Sequence[None]:
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
