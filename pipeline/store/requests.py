"""Requests: the ledger's table, in which a slot is reserved before its request leaves, and closed after."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiosqlite import Connection

from pipeline import instants
from pipeline.model.slots import EVERY_KEY, Block, KeyId, Slot
from pipeline.store.writer import Writer, bulk_insert

_ROWS_AT_ONCE = 1_000
"""Slots deleted in one transaction."""
UNSENT = "unsent"
"""The outcome of a slot whose request never left: it counts in no window."""


@dataclass(frozen=True, slots=True)
class ClosedRequest:
    """A slot whose request has ended, when, and how: an outcome as the API's client names it, or UNSENT."""

    slot: Slot
    finished_at: str | None
    """None: it was given up, may still arrive, and counts from its deadline."""
    outcome: str


@dataclass(frozen=True, slots=True)
class KeyBlock:
    """The block of one key."""

    key: KeyId
    block: Block


@dataclass(frozen=True, slots=True)
class KeyName:
    """What a key is called in the configuration."""

    key: KeyId
    name: str


_RESERVED = ["id", "key", "run_id", "symbol", "retry", "reserved_at", "deadline_at"]
_RESERVE = bulk_insert("requests", _RESERVED)
_INSERT_CLOSED = bulk_insert("requests", [*_RESERVED, "finished_at", "outcome"])


def _row(slot: Slot) -> tuple[Any, ...]:
    deadline = slot.reserved_at + timedelta(microseconds=(slot.deadline - slot.taken) // 1000)
    return (
        slot.id, slot.key, slot.run, slot.symbol, int(slot.retry),
        instants.to_text(slot.reserved_at), instants.to_text(deadline),
    )  # fmt: skip


async def reserve_requests(db: Connection, slots: Sequence[Slot]) -> Sequence[None]:
    """Write slots before their requests leave. Until they are closed, they count from their deadlines."""
    await _RESERVE.write(db, [_row(slot) for slot in slots])
    return [None] * len(slots)


async def close_requests(db: Connection, closed: Sequence[ClosedRequest]) -> Sequence[None]:
    """Write when the requests of reserved slots ended, and how."""
    await db.executemany(
        "UPDATE requests SET finished_at = ?, outcome = ? WHERE id = ?",
        [(one.finished_at, one.outcome, one.slot.id) for one in closed],
    )
    return [None] * len(closed)


async def insert_closed_requests(db: Connection, closed: Sequence[ClosedRequest]) -> Sequence[None]:
    """Write the slots of a plan without limits, which are not reserved before."""
    await _INSERT_CLOSED.write(db, [(*_row(one.slot), one.finished_at, one.outcome) for one in closed])
    return [None] * len(closed)


async def name_keys(db: Connection, names: Sequence[KeyName]) -> Sequence[None]:
    """Write what keys are called, for those who have only the names. The key that was called so before has none."""
    rows = [(one.key, one.name) for one in names]
    await db.executemany("DELETE FROM keys WHERE id <> ? AND name = ?", rows)
    await db.executemany("INSERT INTO keys VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name", rows)
    return [None] * len(names)


async def set_block(db: Connection, blocks: Sequence[KeyBlock]) -> Sequence[None]:
    """Write since when the quota of a key has ended, as the API says, and until when nothing is requested with it."""
    rows = [(one.key, instants.to_text(one.block.since), instants.to_text(one.block.until)) for one in blocks]
    await db.executemany("INSERT OR REPLACE INTO blocked (key, since, until) VALUES (?, ?, ?)", rows)
    return [None] * len(blocks)


async def clear_block(db: Connection, keys: Sequence[KeyId]) -> Sequence[None]:
    """Delete the block of a key, and that of every key, which is over then: the API answers again.

    One that was set because requests are not known stays: by a plan with longer windows they may count still.
    """
    query = "DELETE FROM blocked WHERE key IN (?, ?) AND reason IS NULL"
    await db.executemany(query, [(key, EVERY_KEY) for key in keys])
    return [None] * len(keys)


async def prune_requests(writer: Writer, *, longest: timedelta, now: datetime) -> None:
    """Delete the slots that no window can hold any more, in small steps: those older than `longest` and a day.

    So, too, the blocks that stand for requests that are not known. `now` is the ledger's time: `quota.ledger_time`.
    """
    before = instants.to_text(now - longest - timedelta(days=1))
    while await writer.write(_delete_before, before) == _ROWS_AT_ONCE:
        pass


async def _delete_before(db: Connection, instants_before: Sequence[str]) -> Sequence[int]:
    counts = []
    for before in instants_before:
        await db.execute("DELETE FROM blocked WHERE reason IS NOT NULL AND max(since, until) < ?", (before,))
        cursor = await db.execute(
            "DELETE FROM requests WHERE id IN"
            " (SELECT id FROM requests WHERE coalesce(finished_at, deadline_at) < ? LIMIT ?)",
            (before, _ROWS_AT_ONCE),
        )
        counts.append(cursor.rowcount)
    return counts
