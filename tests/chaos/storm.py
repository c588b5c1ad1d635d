"""A storm: members killed, frozen and started again at random, and PostgreSQL crashed, while the fleet collects."""

import random
import time
from dataclasses import dataclass, field

from tests.chaos.fleet import Fleet
from tests.chaos.machines import Machine

_BACK_WITHIN = 1.0
"""Seconds until a killed machine is started again, at most."""


@dataclass(slots=True)
class Storm:
    """What happens, and how often it did."""

    fleet: Fleet
    chance: random.Random
    every: float
    """Seconds between two events, on average."""
    crashes: int
    """How often PostgreSQL is to crash."""
    down: float = 3.0
    """How many seconds it is down then, at most."""
    freezes: bool = True
    counts: dict[str, int] = field(default_factory=dict)

    def rage(self, seconds: float) -> None:
        """Let it happen for that long. Afterwards all machines run, but for those that are being started."""
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
            elif self.freezes and self.chance.random() < 0.15:
                self._freeze(self._victim())
            else:
                self._kill(self._victim())

    def _victim(self) -> Machine:
        return self.chance.choice(self.fleet.machines)

    def _kill(self, machine: Machine) -> None:
        self._count("kill -9")
        machine.kill()
        time.sleep(self.chance.uniform(0, _BACK_WITHIN))
        machine.start()

    def _freeze(self, machine: Machine) -> None:
        self._count("frozen")
        machine.freeze()
        time.sleep(self.chance.uniform(0, 2 * self.fleet.wanted.timeout))
        machine.thaw()

    def _crash(self) -> None:
        self._count("PostgreSQL crashed")
        self.fleet.server.crash()
        time.sleep(self.chance.uniform(0, self.down))
        self.fleet.server.start()

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1
