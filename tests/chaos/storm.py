"""A storm: members are killed, frozen and started again at random, PostgreSQL crashes, ways between hosts are cut."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.chaos.fleet import Fleet
from tests.chaos.machines import Machine
from tests.chaos.network import API, POSTGRES, Network

_BACK_WITHIN = 1.0
"""Seconds until a killed machine is started again, at most."""


@dataclass(slots=True)
class Storm:
    """What happens, and how often it did. Where there is a network, each machine is on the host of its place."""

    fleet: Fleet
    chance: random.Random
    every: float
    """Seconds between two events, on average."""
    crashes: int
    """How often PostgreSQL is to crash."""
    down: float = 3.0
    """How many seconds it is down then, at most."""
    network: Network | None = None
    counts: Counter[str] = field(default_factory=Counter)

    def rage(self, seconds: float) -> None:
        """Let it happen for that long. Afterwards all machines run, and all ways are open."""
        began = time.monotonic()
        crashes = [began + seconds * (one + 1) / (self.crashes + 1) for one in range(self.crashes)]
        while True:
            left = began + seconds - time.monotonic()
            time.sleep(max(min(self.every * self.chance.uniform(0.3, 1.7), left), 0))
            if (now := time.monotonic()) >= began + seconds:
                return
            if crashes and now > crashes[0]:
                crashes.pop(0)
                self._crash()
            else:
                self._strike(self.chance.choice(self.fleet.machines))

    def _strike(self, machine: Machine) -> None:
        strikes: list[tuple[float, Callable[[Machine], None]]] = [(5, self._kill), (1, self._freeze)]
        if self.network is not None:
            strikes.append((3, self._cut))
        weights, functions = zip(*strikes, strict=True)
        self.chance.choices(functions, weights)[0](machine)

    def _kill(self, machine: Machine) -> None:
        self.counts["kill -9"] += 1
        machine.kill()
        time.sleep(self.chance.uniform(0, _BACK_WITHIN))
        machine.start()

    def _freeze(self, machine: Machine) -> None:
        self.counts["frozen"] += 1
        machine.freeze()
        self._pass()
        machine.thaw()

    def _cut(self, machine: Machine) -> None:
        """Cut a host off: from PostgreSQL, the API or both, and on the way there, back, or both."""
        assert self.network is not None
        host = self.fleet.machines.index(machine)
        to, back = self.chance.choice([(True, True), (True, False), (False, True)])
        servers = self.chance.choice([[POSTGRES], [POSTGRES], [API], [POSTGRES, API]])
        for server in servers:
            self.network.cut(host, server, to=to, back=back)
        self.counts[f"cut off from {' and '.join(map(_NAMES.__getitem__, servers))}"] += 1
        self._pass()
        if self.chance.random() < 0.3:
            self._kill(machine)  # what it had not handed over is lost with it
        self.network.heal()

    def _pass(self) -> None:
        """Let as much time pass as a request may take, more or less."""
        time.sleep(self.chance.uniform(0, 2 * self.fleet.wanted.timeout))

    def _crash(self) -> None:
        self.counts["PostgreSQL crashed"] += 1
        self.fleet.server.crash()
        time.sleep(self.chance.uniform(0, self.down))
        self.fleet.server.start()


_NAMES = {POSTGRES: "PostgreSQL", API: "the API"}
