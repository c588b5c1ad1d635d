"""Connections to the fleet's PostgreSQL: how one is opened, and what its errors mean for people."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pipeline.errors import ExitCode, Trouble

PARAMETERS: dict[str, str | int] = {
    "application_name": "pipeline",
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 8000,
}
"""What a connection has unless the URL says otherwise: one that is cut off is noticed within seconds."""
_NO_FLEET = (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedTable)


class FleetError(Trouble):
    """PostgreSQL cannot be reached, or does not do what it is asked."""


class NoFleet(FleetError):
    """The database has no fleet in it."""

    exit_code = ExitCode.REFUSED


def conninfo(url: str) -> str:
    """Return how to connect to a URL. Raise FleetError for one that PostgreSQL's client cannot read."""
    try:
        given = conninfo_to_dict(url)
        return make_conninfo(url, **{name: value for name, value in PARAMETERS.items() if name not in given})
    except psycopg.ProgrammingError:
        raise FleetError(
            "PIPELINE_FLEET_URL cannot be read", remedy="use one such as postgresql://user:password@host:5432/database"
        ) from None


def place(url: str) -> str:
    """Return the host, port and database of a URL, for people: nothing of it that is secret."""
    known = conninfo_to_dict(conninfo(url))
    host = known.get("host") or known.get("hostaddr") or "this machine"
    port, database = (
        f"{mark}{known[name]}" if known.get(name) else "" for mark, name in ((":", "port"), ("/", "dbname"))
    )
    return f"{host}{port}{database}"


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    """Yield a connection of which each statement commits by itself. Raise FleetError for whatever fails in the block.

    It prepares no statements: a pooler may give each to another connection.
    """
    try:
        with psycopg.connect(conninfo(url), autocommit=True, prepare_threshold=None) as db:
            yield db
    except psycopg.Error as error:
        raise translated(error, url) from None


def translated(error: psycopg.Error, url: str) -> FleetError:
    """Return what an error means, for people."""
    where, why = place(url), _reason(error)
    if isinstance(error, _NO_FLEET):
        return NoFleet(f"there is no fleet in {where}", remedy="pipeline fleet init makes one")
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return FleetError(f"PostgreSQL at {where}: {why}", remedy="grant it to the user of PIPELINE_FLEET_URL")
    if isinstance(error, psycopg.OperationalError):
        return FleetError(f"PostgreSQL at {where} cannot be reached: {why}")
    return FleetError(f"PostgreSQL at {where}: {why}")


def _reason(error: psycopg.Error) -> str:
    """Return why, in a line."""
    text = error.diag.message_primary or " ".join(str(error).split()) or type(error).__name__
    return text.removeprefix("connection failed: ")
