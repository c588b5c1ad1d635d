"""Hosts of their own: network namespaces behind a router, on which single ways can be cut without a word.

The tests' own namespace is where PostgreSQL and the API are, each at an address of its own. What the router drops
vanishes: nobody is told, as with a cable that is pulled or a firewall.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from tests.support.wrong_clocks import wrong_clock

POSTGRES, API = "198.18.0.1", "198.18.0.2"
"""Of the network for benchmarks (RFC 2544), which is nobody's."""
_ROUTER = "198.18.0.254"
_SERVERS = "198.18.0.0/24"


_CLOCKS = tuple(timedelta(minutes=ahead) for ahead in (5, -5, 0))


def clock_of(host: int) -> dict[str, str]:
    """Return the variables that give a process the clock of a host: five minutes ahead, behind, or right."""
    return wrong_clock(_CLOCKS[host % len(_CLOCKS)])


@dataclass(slots=True)
class Network:
    """A router and the hosts behind it."""

    _mark: str
    hosts: list[str] = field(default_factory=list)
    """Their addresses."""

    def add_host(self) -> list[str]:
        """Make another host, and return what a command that runs on it begins with."""
        number = len(self.hosts) + 1
        name, address, gateway = f"{self._mark}h{number}", f"198.18.{number}.1", f"198.18.{number}.254"
        _ip("netns", "add", name)
        _ip("link", "add", f"{self._mark}v{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", f"{self._mark}v{number}", "netns", self._router)
        self._in(self._router, "addr", "add", f"{gateway}/24", "dev", f"{self._mark}v{number}")
        self._in(self._router, "link", "set", f"{self._mark}v{number}", "up")
        self._in(name, "addr", "add", f"{address}/24", "dev", "eth0")
        self._in(name, "link", "set", "eth0", "up")
        self._in(name, "link", "set", "lo", "up")
        self._in(name, "route", "add", "default", "via", gateway)
        _ip("route", "add", f"198.18.{number}.0/24", "via", _ROUTER)
        self.hosts.append(address)
        return ["ip", "netns", "exec", name]

    def cut(self, host: int, other: str, *, to: bool = True, back: bool = True) -> None:
        """Let packets between a host, by its place, and a server vanish; or only those `to` it, or those `back`."""
        for one, another in self._ways(self.hosts[host], other, to=to, back=back):
            self._in(self._router, "rule", "add", "from", one, "to", another, "blackhole")

    def heal(self) -> None:
        """Let all packets through again."""
        rules = self._in(self._router, "rule", "show").splitlines()
        for number in [rule.partition(":")[0] for rule in rules if "blackhole" in rule]:
            self._in(self._router, "rule", "del", "pref", number)

    @property
    def _router(self) -> str:
        return f"{self._mark}r"

    def _ways(self, host: str, other: str, *, to: bool, back: bool) -> Sequence[tuple[str, str]]:
        return [(host, other)] * to + [(other, host)] * back

    def _in(self, namespace: str, *arguments: str) -> str:
        return _ip("-n", namespace, *arguments)

    def _open(self) -> None:
        _ip("netns", "add", self._router)
        _ip("link", "add", f"{self._mark}v", "type", "veth", "peer", "name", "servers", "netns", self._router)
        _ip("addr", "add", f"{POSTGRES}/24", "dev", f"{self._mark}v")
        _ip("addr", "add", f"{API}/24", "dev", f"{self._mark}v")
        _ip("link", "set", f"{self._mark}v", "up")
        self._in(self._router, "addr", "add", f"{_ROUTER}/24", "dev", "servers")
        self._in(self._router, "link", "set", "servers", "up")
        command = ["ip", "netns", "exec", self._router, "sysctl", "-qw", "net.ipv4.ip_forward=1"]
        subprocess.run(command, check=True)

    def _close(self) -> None:
        """Remove all that was made; routes and addresses go with the links."""
        subprocess.run(["ip", "link", "del", f"{self._mark}v"], check=False, capture_output=True)
        for number in range(1, len(self.hosts) + 2):
            subprocess.run(["ip", "netns", "del", f"{self._mark}h{number}"], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self._router], check=False, capture_output=True)


@contextmanager
def network() -> Iterator[Network]:
    """Yield a network without hosts, and remove it afterwards. Skip the test where none can be made."""
    if shutil.which("ip") is None:
        pytest.skip("no network namespaces: there is no command ip")
    network = Network(f"pl{os.getpid() % 100_000}")
    try:
        try:
            network._open()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces: {str(error.stderr).strip() or error}")
        yield network
    finally:
        network._close()


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
    return done.stdout
