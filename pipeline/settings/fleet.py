"""Fleet: whether this machine is one of several, what it is called among them, and where their PostgreSQL is."""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from pipeline.redaction import PART, without_lookalikes
from pipeline.settings.environment import FLEET_URL, FLEET_URL_FILE, Environment, variable_of
from pipeline.settings.errors import SettingsError, quoted
from pipeline.settings.layers import Layered
from pipeline.settings.secret_files import is_secret_set, read_secret

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,98}[A-Za-z0-9])?", re.ASCII)
_URL = re.compile(r"postgres(?:ql)?://[!-~]+", re.ASCII)
_EXAMPLE = "postgresql://user:password@db.example/fleet"
FLEET_URL_AS_KEY = variable_of("fleet.url")
"""The variable that the URL would have if it could be in the file."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """This machine as a member of a fleet."""

    name: str


def read_fleet(read: Layered, environment: Environment) -> Fleet | None:
    """Return this machine's part in a fleet, None if it collects for itself. Raise SettingsError for an invalid name.

    It is in one if there is a table [fleet], or the URL of the fleet is set.
    """
    configured = read.configuration.fleet
    if configured is None and not is_secret_set(environment, FLEET_URL, FLEET_URL_FILE):
        return None
    if configured is None or configured.name is None:
        return Fleet(_host_name())
    return Fleet(read.checked("fleet.name", _member_name, configured.name))


def fleet_url(environment: Environment) -> str | None:
    """Return the URL of the fleet's PostgreSQL, None if none is set. Raise SettingsError for an invalid one."""
    if environment.variables.get(FLEET_URL_AS_KEY, "").strip():
        raise SettingsError(f"{environment.origin(FLEET_URL_AS_KEY)} is not read", remedy=f"rename it to {FLEET_URL}")
    found = read_secret(environment, FLEET_URL, FLEET_URL_FILE, noun="URL")
    if found is None:
        return None
    text, origin = found
    url = text.strip()
    if not _URL.fullmatch(url) or not _is_url(url):
        remedy = f"use one such as {_EXAMPLE}; write other characters of a password as %40 for @"
        raise SettingsError(f"{origin}: invalid URL of PostgreSQL", remedy=remedy)
    return url


def needed_fleet_url(environment: Environment) -> str:
    """Return the URL of the fleet's PostgreSQL. Raise SettingsError if none is set, or it is invalid."""
    url = fleet_url(environment)
    if url is None:
        raise SettingsError(
            f"[fleet] needs the URL of its PostgreSQL, and {FLEET_URL} is not set",
            remedy=f"set it to one such as {_EXAMPLE}, or write it into .env",
        )
    return url


def secrets_in_url(url: str) -> Iterator[str]:
    """Yield what is secret of a fleet's URL, which need not be valid: the whole, and the password in it.

    Of a short password only `:password@` is: it may be a word that occurs anywhere.
    """
    yield url
    userinfo = url.partition("://")[2].rpartition("@")[0]
    password = userinfo.partition(":")[2]
    passwords = [password, *(value for name, value in parse_qsl(url.partition("?")[2]) if name == "password")]
    for one in filter(None, passwords):
        yield f":{one}@"
        if len(one) >= PART:
            yield from {one, unquote(one)}


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return "@" not in parts.path and parts.path.count("/") <= 1 and not parts.fragment


def _member_name(name: str) -> str:
    if not _NAME.fullmatch(name) or without_lookalikes(name) != name:
        raise SettingsError(
            f"invalid name {quoted(name)}", remedy="use up to 100 letters, digits, and - . _ between them"
        )
    return name


def _host_name() -> str:
    """Return the name of this machine, in the form that members' names have."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname()).strip("-._")[:100].rstrip("-._")
    return name or "unnamed"
