"""Host check: which Host headers are answered, so that no web page can read this server through a browser.

A page can make its own domain resolve to this machine (DNS rebinding): then its scripts are of the same origin.
But the browser sends that domain as Host: only names that no stranger can own are answered.
"""

import ipaddress
import re
from collections.abc import Collection

_PRIVATE_DOMAINS = (".local", ".internal", ".svc")
"""Domains that no registry sells. Kubernetes' .svc.cluster.local is one of them."""
_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+?)\.?)(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


def is_own_host(host: str, own_names: Collection[str]) -> bool:
    """Return whether a Host header names this machine in a way that no stranger can.

    Such are addresses, names without a dot (localhost, a container's), domains of private networks, and `own_names`.
    """
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = (match["v6"] or match["name"]).lower()
    return _is_address(name) or "." not in name or name.endswith(_PRIVATE_DOMAINS) or name in own_names


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
