"""Proxies: the HTTP proxy that requests go through, if one is configured. Its user and password are a secret."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from pipeline.redaction import SHORTEST
from pipeline.settings.errors import SettingsError

_REMEDY = 'use one such as "http://proxy.example:3128" or "http://user:password@proxy.example:3128"'
_IGNORED = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
"""Variables from which other programs take a proxy. This one uses a proxy only if `source.proxy` is set."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy. As text it has neither user nor password."""

    url: str = field(repr=False)
    """With user and password, if it has them."""

    @classmethod
    def parse(cls, text: str) -> "Proxy":
        """Return the proxy of a URL. Raise SettingsError for any other text, of which nothing is repeated."""
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise SettingsError("invalid URL of a proxy", remedy=_REMEDY) from None
        if parts.scheme != "http":
            remedy = f"{_REMEDY}; TLS to the API goes through it unopened"
            raise SettingsError("only http:// proxies are supported", remedy=remedy)
        is_plain = text.isascii() and text.isprintable() and not set(text) & set(" \\?#")
        if not parts.hostname or not port or parts.path.strip("/") or not is_plain:
            raise SettingsError("invalid URL of a proxy", remedy=_REMEDY)
        return cls(text)

    def __str__(self) -> str:
        return f"http://{'***@' if self.has_password else ''}{urlsplit(self.url).netloc.rpartition('@')[2]}"

    @property
    def has_password(self) -> bool:
        """Whether there are a user and a password, or one of them."""
        return "@" in urlsplit(self.url).netloc


def secrets_in(url: str) -> Iterator[str]:
    """Yield the user with the password, and the password, of a URL that need not be valid; none that are too short."""
    userinfo = url.partition("://")[2].rpartition("@")[0]
    password = userinfo.partition(":")[2]
    for secret in (userinfo, password):
        if len(secret) >= SHORTEST:
            yield from {secret, unquote(secret)}


def ignored_proxies(variables: Mapping[str, str]) -> list[str]:
    """Return the variables that name a proxy for other programs."""
    return [name for name in _IGNORED if variables.get(name)]
