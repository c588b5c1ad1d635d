"""Examination: connects to a fleet's PostgreSQL as a member would, and finds out what matters of the way to it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pipeline import extras
from pipeline.fleet.state import FleetState, read_state

if TYPE_CHECKING:  # an extra
    from psycopg import Connection


class Pooling(StrEnum):
    """Whether a pooler, such as PgBouncer, is between this machine and PostgreSQL."""

    NONE = "none"
    SESSION = "session"
    """It keeps a connection to PostgreSQL for each one to it."""
    TRANSACTION = "transaction"
    """It takes another one for each transaction."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found."""

    place: str
    state: FleetState
    clock_ahead: timedelta
    """This machine's clock less PostgreSQL's."""
    pooling: Pooling
    unsafe: tuple[str, ...]
    """Settings of the server that are off, without which a crash of its machine loses commits."""


def examine(url: str, *, now: Callable[[], datetime]) -> Examined:
    """Return what is found at a URL.

    Raise Missing, and FleetError if no server answers, or there is no fleet that this program knows.
    """
    with extras.fleet():
        from pipeline.fleet.connection import connected, place  # noqa: PLC0415 - an extra
        from pipeline.fleet.install import open_fleet  # noqa: PLC0415 - an extra
    with open_fleet(url) as db, connected(url) as another:
        pooling = _pooling(db, another)
        before = now()
        (at,) = db.execute("SELECT clock_timestamp()").fetchone() or (before,)
        after = now()
        unsafe = tuple(name for (name,) in db.execute(_UNSAFE))
        return Examined(place(url), read_state(db), before + (after - before) / 2 - at, pooling, unsafe)


_UNSAFE = "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name"


def _pooling(db: "Connection[Any]", another: "Connection[Any]") -> Pooling:
    """Return whether there is a pooler: it makes up the process that it says to be connected to.

    Two of its connections that are idle have the same process where it takes one for each transaction.
    """
    process, other = (one.execute("SELECT pg_backend_pid()").fetchone() for one in (db, another))
    if process == (db.info.backend_pid,):
        return Pooling.NONE
    return Pooling.TRANSACTION if process == other else Pooling.SESSION
