"""Log place: which fleet's log a record follows, and how far it has come. Apart from what writes it, to load fast."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from pipeline.files import is_present
from pipeline.store.schema import connect_checked


@dataclass(frozen=True, slots=True)
class Followed:
    """How far a record has a fleet's log."""

    fleet: str
    """The fleet's id."""
    timeline: int
    """The life of the server that the log was read from; 0: none yet."""
    seq: int
    """The last entry that the record has."""


def followed(database: Path) -> Followed | None:
    """Return how far a record has a fleet's log; None if it follows none, or is older than fleets are.

    Raise DatabaseError if it cannot be read.
    """
    if not is_present(database):
        return None
    with connect_checked(database) as (db, _):
        return read_followed(db)


def read_followed(db: sqlite3.Connection) -> Followed | None:
    """Return how far an open record has a fleet's log, or None."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'followed'").fetchone():
        return None
    row = db.execute("SELECT fleet, timeline, seq FROM followed").fetchone()
    return None if row is None else Followed(*row)


def holds_own_record(database: Path) -> bool:
    """Whether there is something in a record that is from no fleet. Raise DatabaseError if it cannot be read."""
    if not is_present(database):
        return False
    with connect_checked(database) as (db, _):
        return read_followed(db) is None and is_used(db)


def is_used(db: sqlite3.Connection) -> bool:
    """Whether there is anything in an open record."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone():
        return False
    (used,) = db.execute("SELECT EXISTS (SELECT 1 FROM runs) OR EXISTS (SELECT 1 FROM symbols)").fetchone()
    return bool(used)
