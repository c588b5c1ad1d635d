"""A look at the fleet: what a machine can say of it at the moment, or why it cannot."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline import extras
from pipeline.errors import Trouble
from pipeline.fleet.problems import FleetProblem, problems
from pipeline.fleet.state import FleetState, Member, read_state
from pipeline.quota.estimate import KeyQuota, WindowUsage

VALID = timedelta(seconds=5)
"""So long a look is not repeated: pages, metrics and health checks may ask at the same time."""


@dataclass(frozen=True, slots=True)
class FleetLook:
    """What was seen."""

    name: str
    """What this machine is called in its fleet."""
    state: FleetState | None
    trouble: str | None
    """Why nothing was seen, in a line; None if something was."""

    @property
    def windows(self) -> list[WindowUsage]:
        """How much of each window of each key is used; none if nothing was seen."""
        return [] if self.state is None else [window for key in self.state.usable_keys for window in key.windows]

    @property
    def problems(self) -> list[FleetProblem]:
        """What is wrong in the fleet, as far as it was seen."""
        return [] if self.state is None else problems(self.state)

    @property
    def member(self) -> Member | None:
        """This machine, if it was seen among the members."""
        members = () if self.state is None else self.state.members
        return next((one for one in members if one.name == self.name), None)


class Lookout:
    """Looks at a fleet, from any thread."""

    def __init__(self, url: Callable[[], str], name: str) -> None:
        """`url` returns that of the fleet's PostgreSQL, or raises Trouble if it is not known."""
        self._url = url
        self._name = name
        self._last: FleetLook | None = None
        self._looked_at = 0.0
        self._turn = threading.Lock()

    def quotas(self) -> tuple[datetime, list[KeyQuota]]:
        """Return PostgreSQL's time, and what is used of each key's plan by then. Raise Trouble."""
        with extras.fleet():
            from pipeline.fleet.install import open_fleet  # noqa: PLC0415 - an extra
            from pipeline.fleet.quota import key_quotas  # noqa: PLC0415 - an extra
        with open_fleet(self._url()) as db:
            state = read_state(db)
            keys = {key.id: key.label for key in state.usable_keys}
            return state.server.at, key_quotas(db, keys)

    def look(self) -> FleetLook:
        """Return what is to be seen, or was a moment ago. While another thread looks, it is what was seen before."""
        last = self._last
        if not self._turn.acquire(blocking=last is None) and last is not None:
            return last
        try:
            if self._last is None or time.monotonic() - self._looked_at > VALID.total_seconds():
                self._last = look(self._url, self._name)
                self._looked_at = time.monotonic()
            return self._last
        finally:
            self._turn.release()


def look(url: Callable[[], str], name: str) -> FleetLook:
    """Return what is to be seen of a fleet."""
    try:
        with extras.fleet():
            from pipeline.fleet.install import open_fleet  # noqa: PLC0415 - an extra
        with open_fleet(url()) as db:
            return FleetLook(name, read_state(db), None)
    except Trouble as trouble:
        return FleetLook(name, None, str(trouble))
