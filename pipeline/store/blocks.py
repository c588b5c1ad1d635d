"""Blocks: until when nothing is requested, because what was requested before is not known."""

import sqlite3
from datetime import datetime, timedelta

from pipeline import instants
from pipeline.model.slots import EVERY_KEY, Block, KeyId

LONGEST_WINDOW = timedelta(days=1)
"""Of any plan."""
A_MARGIN = timedelta(seconds=6)
"""By how much longer requests that are not known count: the last may have left just now, and take 5 s to arrive."""


def block_requests(db: sqlite3.Connection, block: Block, key: KeyId = EVERY_KEY) -> None:
    """Write the block of a key, or of every key, unless there is one that lasts longer.

    Of two blocks because requests are not known the later lasts longer, whatever plan they were set by.
    """
    db.execute(
        "INSERT INTO blocked (key, since, until, reason) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE"
        " SET since = excluded.since, until = excluded.until, reason = excluded.reason"
        " WHERE iif(excluded.reason IS NULL OR reason IS NULL, excluded.until > until, excluded.since > since)",
        (key, instants.to_text(block.since), instants.to_text(block.until), block.reason),
    )


def ledger_block(reason: str, longest_window: timedelta, *, now: datetime) -> Block:
    """Return the block until nothing that was requested before `now` counts in any window of the plan.

    If another plan is configured, the block lasts for the longest window of that one, from `now` on.
    """
    return Block(now, now + (longest_window or LONGEST_WINDOW) + A_MARGIN, reason)
