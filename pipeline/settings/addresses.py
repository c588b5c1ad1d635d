"""Addresses: which URLs are safe to send a secret to, and where the daemon listens and by which names."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from pipeline.settings.errors import SettingsError, quoted

_ADDRESS = re.compile(r"(?:\[([0-9a-f:.]+)\]|([0-9.]+|localhost)):([0-9]{1,5})", re.ASCII | re.IGNORECASE)
_AUTHORITY = re.compile(r"(?:[^@\\]*@)?(?:\[[0-9a-f:.]+\]|[^:@\[\]\\]+)(?::[0-9]*)?", re.ASCII | re.IGNORECASE)
"""User, host and port of a URL: brackets only around a whole host, as aiohttp takes it."""
_LAST_PORT = 65_535
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII | re.IGNORECASE)
_LONGEST_NAME = 253
_EXPOSED = "plain http would expose the secret in transit"


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the daemon answers: a literal address or `localhost`, and a port. Port 0 is any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Listen":
        """Return the address and port of a text such as `127.0.0.1:8080`. Raise SettingsError for any other."""
        if found := _ADDRESS.fullmatch(text):
            bracketed, plain, port = found.groups()
            host = (bracketed or plain).lower()
            if int(port) <= _LAST_PORT and (host == "localhost" or _version(host) == (6 if bracketed else 4)):
                return cls(host, int(port))
        raise SettingsError(
            f"invalid address to listen on {quoted(text)}",
            remedy='use an IP address or localhost and a port, such as "127.0.0.1:8080" or "[::1]:8080"',
        )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return _is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def host_name(text: str) -> str:
    """Return a host name in lower case. Raise SettingsError for what is not one: a URL, a port, a pattern."""
    name = text.removesuffix(".")
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise SettingsError(
            f"invalid host name {quoted(text)}", remedy='use a name alone, without scheme or port, such as "nas.lan"'
        )
    return name.lower()


def check_url(url: str, *, forbidden: str, remedy: str, over_http: str = _EXPOSED) -> None:
    """Raise SettingsError unless a secret is safe on its way to the URL: over TLS, or within this machine.

    `forbidden` are the characters that it must not contain, and `over_http` is why it must not be plain http. It may
    hold a secret itself, so errors do not repeat it.
    """
    try:
        parts = urlsplit(url)
        has_port = parts.port != 0
    except ValueError:
        raise SettingsError("invalid URL", remedy=remedy) from None
    is_plain = url.isascii() and url.isprintable() and not set(url) & set(forbidden)
    is_plain = is_plain and _AUTHORITY.fullmatch(parts.netloc) is not None
    if parts.scheme not in ("https", "http") or not parts.hostname or not has_port or not is_plain:
        raise SettingsError("invalid URL", remedy=remedy)
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise SettingsError(over_http, remedy="use https (or a loopback address)")


def _version(host: str) -> int | None:
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
