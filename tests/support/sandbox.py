"""The stand-in API, served on loopback."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.quota.limits import Limit
from pipeline.sandbox.server import SandboxApi
from tests.support.beside import beside
from tests.support.clocks import ManualClock, server_goes_by, shown_at
from tests.support.companies import COMPANIES


@dataclass(frozen=True)
class Served:
    """The stand-in API, and its URL."""

    api: SandboxApi
    base_url: str


@asynccontextmanager
async def serving(*limits: str, latency: float = 0, clock: ManualClock | None = None) -> AsyncIterator[Served]:
    """Serve while the block runs, within limits such as `25/day`, each answer after `latency` seconds.

    Answers are dated by `clock`: a test that has one lets the program go by it, too.
    """
    api = SandboxApi(
        companies=COMPANIES,
        limits=[Limit.parse(limit) for limit in limits],
        day=lambda: date(2026, 3, 13),
        latency=timedelta(seconds=latency),
        wall=lambda: shown_at(base_url),
    )
    async with api.serve() as base_url:
        server_goes_by(base_url, clock)  # another test may have had this port
        yield Served(api, base_url)


@contextmanager
def serving_beside(*limits: str, latency: float = 0) -> Iterator[Served]:
    """Serve from a thread, for a command called in this one, which runs an event loop of its own."""
    with beside(lambda: serving(*limits, latency=latency)) as served:
        yield served
