"""The ledger's mark: the newest instant that its time is known to have reached."""

import sqlite3
from datetime import UTC, datetime, timedelta

from pipeline import instants
from pipeline.model.slots import LedgerMark
from pipeline.uptime import Uptime

_LONGEST_UPTIME = 1e10
"""Seconds that a timedelta can hold: more is damage."""
_FIRST, _LAST = datetime(1000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""Spans of years can be added to them, and taken from them."""


def read_mark(db: sqlite3.Connection) -> LedgerMark | None:
    """Return the mark; in a file of an earlier version the newest instant of its requests; None if it has none."""
    row = db.execute("SELECT at, boot, uptime, confirmed_at FROM clock").fetchone()
    if row is not None:
        at, boot, uptime, confirmed_at = row
        is_known = boot is not None and uptime is not None and 0 <= uptime < _LONGEST_UPTIME
        up = Uptime(boot, timedelta(seconds=uptime)) if is_known else None
        return LedgerMark(_computable(at), up, None if confirmed_at is None else _computable(confirmed_at))
    (newest,) = db.execute("SELECT max(coalesce(finished_at, reserved_at)) FROM requests").fetchone()
    return None if newest is None else LedgerMark(_computable(newest))


def _computable(text: str) -> datetime:
    """Return the instant, or, for what only damage or a very wrong clock can have written, one that leaves room."""
    return min(max(instants.from_text(text), _FIRST), _LAST)
