"""A daemon that answers what a test sets, and a client of the server in front of it."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from pipeline.monitoring.metrics import Metrics
from pipeline.web.probes import Probes
from pipeline.web.server import serving


@dataclass
class FakeDaemon:
    """A daemon that answers what a test sets."""

    healthy: str | None = None
    ready: str | None = None
    accepts: list[str] = field(default_factory=list)
    hold: asyncio.Event | None = None
    scrapes: int = 0
    most_scrapes: int = 0

    async def metrics(self, accept: str) -> tuple[str, bytes]:
        self.accepts.append(accept)
        self.scrapes += 1
        self.most_scrapes = max(self.most_scrapes, self.scrapes)
        try:
            await asyncio.sleep(0)
            if self.hold is not None:
                await self.hold.wait()
        finally:
            self.scrapes -= 1
        return Metrics().render(None, None, accept)

    async def why_not_ready(self) -> str | None:
        return self.ready

    def probes(self) -> Probes:
        return Probes(healthy=lambda: self.healthy, ready=self.why_not_ready, metrics=self.metrics)


@dataclass(frozen=True)
class Client:
    """A client of a server that answers for a daemon."""

    url: str
    session: aiohttp.ClientSession
    daemon: FakeDaemon

    async def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        async with self.session.request(method, f"{self.url}{path}", headers=headers) as response:
            return response.status, await response.text()

    async def raw(self, request: str) -> str:
        """Return all that comes back, to the end of the connection."""
        reader, writer = await self.connected()
        writer.write(request.encode())
        async with asyncio.timeout(30):
            answer = await reader.read()
        writer.close()
        return answer.decode()

    async def connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return await asyncio.open_connection(host, int(port))


@asynccontextmanager
async def connected_client(*, allowed_hosts: Collection[str] = ()) -> AsyncIterator[Client]:
    daemon = FakeDaemon()
    async with (
        serving("127.0.0.1", 0, daemon.probes(), allowed_hosts=allowed_hosts) as url,
        aiohttp.ClientSession() as session,
    ):
        yield Client(url, session, daemon)
