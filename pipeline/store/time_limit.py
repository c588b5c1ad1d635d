"""Time limit: stops SQLite when what it reads takes too long."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from pipeline.store.database import DatabaseError

_INSTRUCTIONS = 20_000
"""Of SQLite's virtual machine, between two looks at the clock: about a millisecond."""
LONGEST_READ = timedelta(minutes=5)
"""For what a command reads to report: it takes seconds at most of a record of ten million snapshots."""


class TooSlow(DatabaseError):
    """A question took too long, and was stopped."""


@contextmanager
def time_limit(db: sqlite3.Connection, within: timedelta, is_over: Callable[[], bool]) -> Iterator[None]:
    """Stop what the connection reads in the block when the time has passed, or nobody wants it any more (`is_over`).

    Raise TooSlow if it was stopped.
    """
    problem = f"the question took longer than {within.total_seconds():g} s"
    with _stopped(db, within, is_over, TooSlow(problem, remedy="ask for fewer companies, fields or days")):
        yield


@contextmanager
def bounded(db: sqlite3.Connection, path: Path, within: timedelta = LONGEST_READ) -> Iterator[None]:
    """Stop what the connection reads in the block after longer than it takes with any sound file, with TooSlow."""
    problem = f"{path}: reading it took longer than {within.total_seconds():g} s"
    with _stopped(db, within, lambda: False, TooSlow(problem, remedy="pipeline doctor examines it")):
        yield


@contextmanager
def _stopped(
    db: sqlite3.Connection, within: timedelta, is_over: Callable[[], bool], too_slow: TooSlow
) -> Iterator[None]:
    deadline = time.monotonic() + within.total_seconds()
    db.set_progress_handler(lambda: time.monotonic() > deadline or is_over(), _INSTRUCTIONS)
    try:
        yield
    except (DatabaseError, sqlite3.OperationalError) as error:
        cause = error if isinstance(error, sqlite3.OperationalError) else error.__cause__
        if getattr(cause, "sqlite_errorname", None) == "SQLITE_INTERRUPT":
            raise too_slow from None
        raise
    finally:
        db.set_progress_handler(None, 0)
