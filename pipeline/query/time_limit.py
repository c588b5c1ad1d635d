"""Time limit: stops SQLite when one question takes too long."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from pipeline.store.database import DatabaseError

_INSTRUCTIONS = 20_000
"""Of SQLite's virtual machine, between two looks at the clock: about a millisecond."""


class TooSlow(DatabaseError):
    """A question took too long, and was stopped."""


@contextmanager
def time_limit(db: sqlite3.Connection, within: timedelta, is_over: Callable[[], bool]) -> Iterator[None]:
    """Stop what the connection reads in the block when the time has passed, or nobody wants it any more (`is_over`).

    Raise TooSlow if it was stopped.
    """
    deadline = time.monotonic() + within.total_seconds()
    db.set_progress_handler(lambda: time.monotonic() > deadline or is_over(), _INSTRUCTIONS)
    try:
        yield
    except (DatabaseError, sqlite3.OperationalError) as error:
        cause = error if isinstance(error, sqlite3.OperationalError) else error.__cause__
        if getattr(cause, "sqlite_errorname", None) == "SQLITE_INTERRUPT":
            problem = f"the question took longer than {within.total_seconds():g} s"
            raise TooSlow(problem, remedy="ask for fewer companies, fields or days") from None
        raise
    finally:
        db.set_progress_handler(None, 0)
