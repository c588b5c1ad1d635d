"""Show the plan's rate limits: how many requests each window has used and has left, and when the next slot is free."""

from datetime import datetime
from typing import Any

import click

from pipeline import instants
from pipeline.cli.output import print_table
from pipeline.model.slots import Block
from pipeline.quota.estimate import WindowUsage


def window_json(window: WindowUsage) -> dict[str, Any]:
    """Return a window for JSON: limit, used, left, and next_free_at (null if a slot is free now)."""
    free_at = window.next_free_at and instants.to_text(window.next_free_at)
    return {"limit": window.limit, "used": window.used, "left": window.left, "next_free_at": free_at}


def block_line(block: Block | None, *, now: datetime) -> dict[str, str]:
    """Return a line about why nothing may be requested and until when, whatever is left; none if something may."""
    if block is None or block.until <= now:
        return {}
    reason = block.reason or "the API said that the quota has ended"
    return {"blocked": f"until {instants.for_people(block.until)} UTC: {reason}"}


def print_windows(windows: list[WindowUsage]) -> None:
    """Print an empty line, then a table with a row for each window."""
    click.echo()
    if not windows:
        click.echo("no limits: requests are sent as fast as the server answers")
        return
    rows = [
        (w.limit, w.used, w.left, f"{instants.for_people(w.next_free_at)} UTC" if w.next_free_at else "now")
        for w in windows
    ]
    print_table(["limit", "used", "left", "next free"], rows)
