"""Blocks: until when nothing is requested, because what was requested before is not known."""

import sqlite3
from datetime import datetime, timedelta

from pipeline import instants
from pipeline.model.slots import EVERY_KEY, Block, KeyId

_LONGEST_WINDOW = timedelta(days=1)
"""Of any plan."""


def block_requests(db: sqlite3.Connection, block: Block, key: KeyId = EVERY_KEY) -> None:
    """Write the block of a key, or of every key, unless there is one that lasts longer."""
    db.execute(
        "INSERT INTO blocked (key, since, until, reason) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE"
        " SET since = excluded.since, until = excluded.until, reason = excluded.reason WHERE excluded.until > until",
        (key, instants.to_text(block.since), instants.to_text(block.until), block.reason),
    )


def ledger_block(reason: str, longest_window: timedelta, *, now: datetime) -> Block:
    """Return the block until nothing that was requested before `now` counts in any window.

    A plan without limits takes no notice of it: then it is for one that is configured next.
    """
    return Block(now, now + counting_for(longest_window) + timedelta(seconds=1), reason)


def counting_for(longest_window: timedelta) -> timedelta:
    """Return how long a request counts: without limits, in any plan's windows, as one may be configured next."""
    return longest_window or _LONGEST_WINDOW
