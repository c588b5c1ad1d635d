"""Show the plan's rate limits: how many requests each window has used and has left, and when the next slot is free."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pipeline import instants
from pipeline.cli.output import print_line, print_table
from pipeline.model.slots import Block
from pipeline.quota.estimate import WindowUsage


def window_json(window: WindowUsage) -> dict[str, Any]:
    """Return a window for JSON: limit, used, left, next_free_at (null if a slot is free now), and key (null: one)."""
    free_at = window.next_free_at and instants.to_text(window.next_free_at)
    return {
        "limit": window.limit,
        "used": window.used,
        "left": window.left,
        "next_free_at": free_at,
        "key": window.key,
    }


Blocks = Sequence[tuple[str, Block | None]]
"""What blocks each key, by its name."""


def block_lines(keys: Blocks, *, now: datetime) -> dict[str, str]:
    """Return a line about why nothing may be requested and until when, whatever is left; none if something may.

    With several keys, the line has each that is blocked.
    """
    texts = [
        (f"{name} " if name else "")
        + f"until {instants.for_people(block.until)} UTC: {block.reason or 'the API said that the quota has ended'}"
        for name, block in keys
        if block is not None and block.until > now
    ]
    return {"blocked": "; ".join(texts)} if texts else {}


def print_windows(windows: Sequence[WindowUsage]) -> None:
    """Print an empty line, then a table with a row for each window of each key."""
    print_line()
    if not windows:
        print_line("no limits: requests are sent as fast as the server answers")
        return
    rows = [
        (w.limit, w.used, w.left, f"{instants.for_people(w.next_free_at)} UTC" if w.next_free_at else "now")
        for w in windows
    ]
    if any(window.key for window in windows):
        named = [(window.key, *row) for window, row in zip(windows, rows, strict=True)]
        print_table(["key", "limit", "used", "left", "next free"], named)
    else:
        print_table(["limit", "used", "left", "next free"], rows)
