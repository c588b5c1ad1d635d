"""Connections to the fleet's PostgreSQL: how one is opened, and what its errors mean for people."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pipeline.errors import ExitCode, Trouble
from pipeline.text import quoted

_SETTINGS = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "statement_timeout": "15s",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "5s",
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "8s",
        "default_transaction_isolation": "read\\ committed",
        "datestyle": "ISO",
        "intervalstyle": "postgres",
    }.items()
)
"""What the server sets for a connection, whatever it has for the user: what a client that is cut off holds is free
again within seconds, and instants are spelled as psycopg reads them."""
_NO_SETTINGS = "unsupported startup parameter"
"""How PgBouncer refuses them. Then it does without: all that must not fail depends on none of them."""
PARAMETERS: dict[str, str | int] = {
    "application_name": "pipeline",
    "client_encoding": "utf8",
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 8000,
}
"""What a connection has unless the URL says otherwise: one that is cut off is noticed within seconds."""
_FAILED = re.compile(" failed: (?:FATAL: |ERROR: )?")
"""What ends the name of a server that was tried, in errors: `connection to server at "db1", port 5432 failed: …`."""
_BAD_VALUE = re.compile(
    r'^connection is bad: invalid (?:integer value .* for connection option )?"?(\w+)|^bad value for (\w+)', re.ASCII
)
"""How errors name the parameter whose value is none. They repeat the value."""
_NAME = re.compile("[a-z_]{1,40}", re.ASCII)
_NO_FLEET = (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedTable)
_OTHER_SCHEMA = (psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedColumn)
_FULL = (
    ("too many c", "close other connections, or allow more: max_connections, or the user's or database's own limit"),
    ("connection slots", "close other connections, or allow more: max_connections"),
    ("not currently accepting connections", "wait until its administrator allows connections again"),
)
"""What PostgreSQL says where it takes no connection at the moment, of whomever."""
_REFUSALS = (
    ("password authentication failed", "check the user and the password in PIPELINE_FLEET_URL"),
    ("no password supplied", "PIPELINE_FLEET_URL needs a password: postgresql://user:password@host/database"),
    ('role "', "check the user in PIPELINE_FLEET_URL, or create it: createuser"),
    ('database "', "create the database, then: pipeline fleet init"),
    ("no pg_hba.conf entry", "allow this machine in the server's pg_hba.conf"),
)
"""What PostgreSQL says where it refuses a connection, and what to do. They come without a code."""
_OUTAGES = (
    ("refused", "check the host and port in PIPELINE_FLEET_URL, and whether PostgreSQL runs there"),
    ("invalid response", "check the port in PIPELINE_FLEET_URL: what answers there is not PostgreSQL"),
    ("resolve host", "check the host in PIPELINE_FLEET_URL"),
    ("timeout", "check the host in PIPELINE_FLEET_URL, and what is between: a firewall, the server's listen_addresses"),
    ("No such file", "check the folder of the socket in PIPELINE_FLEET_URL, and whether PostgreSQL runs here"),
)
"""Why no server answers, and what to do if that does not pass."""
_TO_GRANT = "collecting needs the user that owns the fleet; docs/fleet.md has what a follower's user is granted"


class FleetError(Trouble):
    """PostgreSQL cannot be reached, or does not do what it is asked."""


class FleetRefused(FleetError):
    """PostgreSQL, or the fleet in it, cannot be used as it is configured: trying again is of no use."""

    exit_code = ExitCode.REFUSED


class NoFleet(FleetRefused):
    """The database has no fleet in it."""


def conninfo(url: str) -> str:
    """Return how to connect to a URL. Raise FleetRefused for one that PostgreSQL's client cannot read."""
    try:
        given = conninfo_to_dict(url)
        missing = {name: value for name, value in PARAMETERS.items() if name not in given}
        return make_conninfo(url, **missing, options=f"{_SETTINGS} {given.get('options') or ''}".rstrip())
    except psycopg.ProgrammingError:
        raise FleetRefused(
            _unknown_parameter(url) or "PIPELINE_FLEET_URL cannot be read",
            remedy="use one such as postgresql://user:password@host:5432/database?sslmode=verify-full",
        ) from None


def _unknown_parameter(url: str) -> str | None:
    """Return which parameter of a URL PostgreSQL's client does not know, None if it knows all.

    It is named, unless what looks like a name may be a part of a password that has & or ? in it.
    """
    query = url.partition("?")[2]
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()} | {"ssl"}
    for number, name in enumerate((one.partition("=")[0] for one in query.split("&")), 1):
        if query and name not in known:
            is_name = _NAME.fullmatch(name) and "@" not in query and "password" not in query
            which = quoted(name) if is_name else f"number {number} after the ?"
            return f"PIPELINE_FLEET_URL: unknown parameter {which}"
    return None


class AsyncSession(psycopg.AsyncConnection[Any]):
    """A connection with settings, or without them where a pooler refuses them."""

    @classmethod
    async def connect(cls, conninfo: str = "", **arguments: Any) -> "AsyncSession":
        """Connect to what `conninfo` returned."""
        try:
            return await super().connect(conninfo, **arguments)
        except psycopg.OperationalError as error:
            if _NO_SETTINGS not in str(error):
                raise
        return await super().connect(_without_settings(conninfo), **arguments)


def _without_settings(info: str) -> str:
    options = conninfo_to_dict(info).get("options")
    return make_conninfo(info, options=str(options or "").removeprefix(_SETTINGS).strip())


def _connect(info: str) -> psycopg.Connection[Any]:
    try:
        return psycopg.connect(info, autocommit=True, prepare_threshold=None)
    except psycopg.OperationalError as error:
        if _NO_SETTINGS not in str(error):
            raise
    return psycopg.connect(_without_settings(info), autocommit=True, prepare_threshold=None)


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
        with _connect(conninfo(url)) as db:
            yield db
    except psycopg.Error as error:
        raise translated(error, url) from None


def translated(error: psycopg.Error, url: str) -> FleetError:
    """Return what an error means, for people, and what to do about it."""
    where, why = place(url), _reason(error)
    if isinstance(error, _NO_FLEET):
        return NoFleet(f"there is no fleet in {where}", remedy="pipeline fleet init makes one")
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return FleetError(f"PostgreSQL at {where}: {why}", remedy=_TO_GRANT)
    if isinstance(error, _OTHER_SCHEMA):
        remedy = "update this machine, or bring the schema up to date with pipeline fleet init"
        return FleetRefused(f"the fleet in {where} is not of this version: {why}", remedy=remedy)
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        remedy = (
            "let PIPELINE_FLEET_URL lead to the primary; of several hosts, target_session_attrs=read-write finds it"
        )
        return FleetError(f"PostgreSQL at {where} takes no writes: it is a standby, or read-only", remedy=remedy)
    if error.sqlstate is None:
        return _without_answer(error, where, why)
    return FleetError(f"PostgreSQL at {where}: {why}")


def _without_answer(error: psycopg.Error, where: str, why: str) -> FleetError:
    """Return what an error means that is the client's own, and what to do about it."""
    if (bad := _BAD_VALUE.search(why)) is not None:
        remedy = "what it may be: https://www.postgresql.org/docs/current/libpq-connect.html"
        return FleetRefused(f"PIPELINE_FLEET_URL: {bad[1] or bad[2]} has no valid value", remedy=remedy)
    if not isinstance(error, psycopg.OperationalError):
        return FleetError(f"PostgreSQL at {where}: {why}")
    problem = f"PostgreSQL at {where} cannot be reached: {why}"
    for kind, remedies in ((FleetError, _FULL), (FleetRefused, _REFUSALS), (FleetError, _OUTAGES)):
        for words, remedy in remedies:
            if words in why:
                return kind(problem, remedy=remedy)
    return FleetError(problem)


def _reason(error: psycopg.Error) -> str:
    """Return why, in a line."""
    text = error.diag.message_primary or " ".join(str(error).split()) or type(error).__name__
    text = text.partition(" Is the server running")[0]
    whys = [
        _FAILED.split(one, 1)[-1] for one in text.removeprefix("connection failed: ").split("connection to server ")
    ]
    return " ".join(why.strip() for why in whys if why.strip())
