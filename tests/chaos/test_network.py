"""Three hosts with clocks that are wrong, and ways between them that are cut."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.checks import Finding
from tests.chaos.fleet import Fleet, fleet
from tests.chaos.machines import Machine
from tests.chaos.network import API, POSTGRES, Network, network

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.timeout(400)]

_FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
_CLOCKS = ("+300s", "-300s", "+0s")
_LIMITS = ("600/minute", "12/second")
_SYMBOLS = [f"C{number:05d}" for number in range(300)]


@dataclass
class Hosts:
    """A fleet of three machines, each on a host of its own; the first two have clocks that are five minutes off."""

    fleet: Fleet
    network: Network
    machines: list[Machine]

    def start(self) -> None:
        for machine in self.machines:
            machine.start()

    def outcomes(self, machine: Machine) -> int:
        """Return how many symbols ended by a machine's hand."""
        found = self.fleet.value(f"SELECT count(*) FROM fleet.outcomes WHERE member = '{machine.name}'")
        return int(found or 0)

    def until(self, condition: str, patience: float = 90) -> None:
        """Wait until a condition in PostgreSQL's tables holds."""
        self.fleet.wait(lambda: self.fleet.value(f"SELECT {condition}") is True, patience, condition)

    def broken(self) -> list[Finding]:
        """Settle, and return the promises that are broken."""
        self.network.heal()
        self.fleet.settle(180)
        return [one for one in self.fleet.findings() if one.is_broken]


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    if not _FAKETIME.exists():
        pytest.skip("no libfaketime: clocks cannot be wrong")
    with network() as net, fleet(tmp_path, _LIMITS, _SYMBOLS, network=net) as under_test:
        machines = []
        for number, ahead in enumerate(_CLOCKS):
            environment = {
                "LD_PRELOAD": str(_FAKETIME), "FAKETIME": ahead, "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }  # fmt: skip
            keys = ["one"] if number else ["one", "two"]
            machines.append(under_test.add(f"host{number}", keys, before=net.add_host(), environment=environment))
        yield Hosts(under_test, net, machines)


@pytest.mark.parametrize("ways", [{}, {"back": False}, {"to": False}], ids=["both ways", "only to it", "only back"])
def test_a_host_that_is_cut_off_from_postgresql(hosts: Hosts, ways: dict[str, bool]) -> None:
    hosts.start()
    hosts.until("count(*) > 30 FROM fleet.outcomes")

    hosts.network.cut(1, POSTGRES, **ways)
    time.sleep(25)

    assert hosts.broken() == []


def test_a_host_that_is_cut_off_from_the_api(hosts: Hosts) -> None:
    hosts.start()
    hosts.until("count(*) > 30 FROM fleet.outcomes")

    hosts.network.cut(1, API)
    time.sleep(20)

    assert hosts.broken() == []


def test_a_host_that_is_cut_off_from_everything_comes_back_with_its_answers(hosts: Hosts) -> None:
    hosts.start()
    hosts.until("count(*) > 30 FROM fleet.outcomes")

    hosts.network.cut(1, POSTGRES)
    hosts.network.cut(1, API)
    time.sleep(25)

    assert hosts.broken() == []


def test_the_host_that_fired_last_is_dead_at_the_next_fire_time(hosts: Hosts) -> None:
    hosts.start()
    hosts.until("count(*) > 30 FROM fleet.outcomes")

    fired = hosts.fleet.value("SELECT member FROM fleet.runs ORDER BY id DESC LIMIT 1")
    dead = next(machine for machine in hosts.machines if machine.name == fired)
    dead.kill()
    hosts.until("count(*) > 1 FROM fleet.runs WHERE trigger = 'schedule'", 120)
    late = hosts.fleet.value(
        "SELECT started_at - scheduled_for > interval '15 seconds' FROM fleet.runs ORDER BY id DESC LIMIT 1"
    )

    assert not late
    assert hosts.broken() == []
