"""Recipients: the addresses that notifications go to, and what may be shown of them, since they are secrets."""

import logging
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline import extras
from pipeline.errors import Trouble
from pipeline.settings.environment import NOTIFY_URLS
from pipeline.text import printable


class Plugin(Protocol):
    """A service, as apprise knows it."""

    def notify(self, *, body: str, title: str, notify_type: str, body_format: str) -> bool: ...


_SCHEME = re.compile(r"\s*([a-zA-Z][a-zA-Z0-9.+-]{0,19})://")
_NAMES_A_HOST = re.compile(r"\{schema\}://([^/?]*@)?\{host\}")


@dataclass(frozen=True, slots=True)
class Recipient:
    """One of the addresses. All but `plugin` may be shown."""

    number: int
    """Its place in the list, from 1 on."""
    scheme: str
    """Such as `slack://`."""
    service: str | None
    """As apprise names it, such as `Slack`; None if it does not accept the address."""
    host: str | None
    """None where apprise's form has no host there but, for example, a token."""
    plugin: Plugin | None = field(repr=False)

    @property
    def problem(self) -> Trouble | None:
        """Why it cannot be used, None if it can."""
        if self.plugin is not None:
            return None
        return Trouble(
            f"{NOTIFY_URLS}: address {self.number} ({self.scheme}) is not used: apprise does not accept it",
            remedy="appriseit.com/services shows how to write it",
        )


def read_recipients(urls: Iterable[str]) -> list[Recipient]:
    """Return the addresses, those too that apprise does not accept. Raise Missing if it is not installed.

    If there are any, it is loaded, which takes about a second.
    """
    urls = tuple(urls)
    if not urls:
        return []
    # Their log lines hold addresses, in part or (at trace level) whole, or their paths (at debug level).
    for library in ("apprise", "urllib3", "slixmpp"):
        _silence(logging.getLogger(library))
    apprise: Any = extras.apprise()
    asset = apprise.AppriseAsset()
    # A redirect can leak a token; an address that needs one says redirect=yes. (Not every version knows this.)
    asset.http_redirects = False
    return [_recipient(number, url, apprise.Apprise, asset) for number, url in enumerate(urls, start=1)]


def _recipient(number: int, url: str, apprise: Any, asset: object) -> Recipient:
    match = _SCHEME.match(url)
    scheme = f"{match[1].lower()}://" if match else "no scheme"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about deprecated plugins
            plugin = apprise.instantiate(url.strip(), asset=asset)
    except Exception:  # noqa: BLE001 - parsing raises what it likes (UnicodeEncodeError), with the address in its text
        plugin = None
    if plugin is None:
        return Recipient(number, scheme, None, None, None)
    return Recipient(number, scheme, str(plugin.service_name), _host(plugin), plugin)


def _host(plugin: Any) -> str | None:
    """Return the host if all of the service's forms have one at that place: in others it may be a token or a topic."""
    if plugin.host and all(_NAMES_A_HOST.match(template) for template in plugin.templates):
        return printable(str(plugin.host))
    return None


def _silence(logger: logging.Logger) -> None:
    """Drop all that this logger, or one below it, logs. (`disabled` would not include those below.)"""
    logger.setLevel(logging.CRITICAL + 1)
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
