"""Websites: a company's own address as a link, if it is one that a browser should follow."""

from typing import NamedTuple
from urllib.parse import urlsplit


class Website(NamedTuple):
    """A link to another site."""

    address: str
    host: str
    """What the link shows: where it really leads, whatever the address says before or after."""


def website(text: object) -> Website | None:
    """Return the link of an address; None for what is no plain http or https address."""
    if not isinstance(text, str) or not text.isprintable() or "\\" in text or " " in text:
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None or parts.password is not None:
        return None
    return Website(text, host.removeprefix("www.") if port is None else f"{host}:{port}")
