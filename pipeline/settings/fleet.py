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
_HOST = re.compile(r"(?:[A-Za-z0-9._-]*|\[[A-Za-z0-9:.%_-]+\]|%2[Ff][A-Za-z0-9._%/-]*)(?::[0-9]{0,5})?", re.ASCII)
"""A name or address, or the folder of a socket; and a port."""
_NO_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_ESCAPED = "in a password write @ as %40, : as %3A, / as %2F, % as %25, # as %23, ? as %3F"
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
    if (wrong := _wrong_in(url)) is not None:
        raise SettingsError(
            f"{origin}: invalid URL of PostgreSQL: {wrong}", remedy=f"use one such as {_EXAMPLE}; {_ESCAPED}"
        )
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

    Of a short password only `:password@` is: it may be a word that occurs anywhere. Of one with characters that should
    have been escaped, what is between them is, too.
    """
    yield url
    userinfo = url.partition("://")[2].rpartition("@")[0]
    password = userinfo.partition(":")[2]
    passwords = [
        password,
        *re.split("[@:/?#&=]", password),
        *(value for name, value in parse_qsl(url.partition("?")[2]) if name == "password"),
    ]
    for one in filter(None, passwords):
        yield f":{one}@"
        if len(one) >= PART:
            yield from {one, unquote(one)}


def _wrong_in(url: str) -> str | None:
    """Return what is wrong with a URL, None if nothing is. It repeats nothing of it: any part may be of a password."""
    if not _URL.fullmatch(url):
        return "it begins with postgresql:// and has neither spaces nor letters with accents"
    if _NO_ESCAPE.search(url):
        return "a % in it is not followed by two hexadecimal digits"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "it cannot be taken apart"
    hosts = parts.netloc.partition("@")[2] if "@" in parts.netloc else parts.netloc
    if not all(_HOST.fullmatch(host) for host in hosts.split(",")) or "@" in f"{parts.path}{parts.query}":
        return "what is in the place of the host and port cannot be one"
    return "its path is not the name of a database" if parts.path.count("/") > 1 or parts.fragment else None


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
