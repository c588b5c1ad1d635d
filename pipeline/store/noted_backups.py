"""Noted backups: the last one that the database knows of, and whether a wrong clock dated one in the future."""

import sqlite3
from datetime import datetime
from typing import NamedTuple

from pipeline import instants


class NotedBackups(NamedTuple):
    """The last backup, without those from the future; both are None where none was made."""

    last: datetime | None = None
    ahead: datetime | None = None
    """The last one from the future: it says nothing about how old the last one is."""
    file: str | None = None
    """Where the last one was written."""


NO_BACKUPS = NotedBackups()


def read_noted_backups(db: sqlite3.Connection, *, until: datetime) -> NotedBackups:
    """Return the backups that are noted. `until`: what is dated later is from the future."""
    bound = instants.to_text(until)
    last, file = db.execute("SELECT max(at), file FROM backups WHERE at <= ?", (bound,)).fetchone()
    (ahead,) = db.execute("SELECT max(at) FROM backups WHERE at > ?", (bound,)).fetchone()
    return NotedBackups(_instant(last), _instant(ahead), file)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else instants.from_text(text)
