"""The ledger's mark: the newest instant that its time is known to have reached."""

import sqlite3
from datetime import timedelta

from pipeline import instants
from pipeline.model.slots import LedgerMark
from pipeline.uptime import Uptime

_LONGEST_UPTIME = 1e10
"""Seconds that a timedelta can hold: more is damage."""


def read_mark(db: sqlite3.Connection) -> LedgerMark | None:
    """Return the mark; in a file of an earlier version the newest instant of its requests; None if it has none."""
    row = db.execute("SELECT at, boot, uptime, confirmed_at FROM clock").fetchone()
    if row is not None:
        at, boot, uptime, confirmed_at = row
        is_known = boot is not None and uptime is not None and 0 <= uptime < _LONGEST_UPTIME
        up = Uptime(boot, timedelta(seconds=uptime)) if is_known else None
        return LedgerMark(instants.from_text(at), up, confirmed_at and instants.from_text(confirmed_at))
    (newest,) = db.execute("SELECT max(coalesce(finished_at, reserved_at)) FROM requests").fetchone()
    return None if newest is None else LedgerMark(instants.from_text(newest))
