"""An API that counts requests by true time and enforces nothing, in a process of its own, so that nothing delays it."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from aiohttp import web

_STEP = 0.005
"""Seconds between two looks at whether the client has gone away."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A request, as the API counts it."""

    at: int
    """Nanoseconds of the system's monotonic clock."""
    ledger: str
    """Whose it is: requests with different ones have nothing to do with each other."""
    plan: int
    """The number of the plan by which it was sent."""


class CountingApi:
    """The API's address, and what it has counted."""

    def __init__(self, port: int, log: Path) -> None:
        self._port = port
        self._log = log

    def url(self, ledger: str, plan: int) -> str:
        """Return the base URL for requests of one ledger, by the plan of this number."""
        return f"http://127.0.0.1:{self._port}/{ledger}/{plan}/query"

    def count(self) -> int:
        """Return how many requests were counted so far."""
        return self._log.read_bytes().count(b"\n")

    def counted(self, ledger: str) -> list[Counted]:
        """Return the requests of one ledger, in order."""
        rows = (line.split() for line in self._log.read_text().splitlines())
        return sorted(
            (Counted(int(at), of, int(plan)) for at, of, plan in rows if of == ledger), key=lambda one: one.at
        )


@contextmanager
def counting_api(folder: Path, seed: int) -> Iterator[CountingApi]:
    """Serve while the block runs: a fork of this process, which must have no threads."""
    log = folder / "counted"
    log.touch()
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            asyncio.run(_serve(log, writing, Random(seed)))
        finally:
            os._exit(1)
    os.close(writing)
    try:
        yield CountingApi(int(os.read(reading, 20)), log)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)


async def _serve(log: Path, port_to: int, random: Random) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        """Count it at any time from its arrival to its answer; at once, if the client goes away before."""
        latency = random.choice((0.0, 0.02, 0.3))
        counts_at = time.monotonic() + latency * random.random()
        while (left := counts_at - time.monotonic()) > 0 and request.transport and not request.transport.is_closing():
            await asyncio.sleep(min(left, _STEP))
        _, ledger, plan, _ = request.path.split("/")
        os.write(descriptor, f"{time.monotonic_ns()} {ledger} {plan}\n".encode())
        await asyncio.sleep(latency / 2)
        if (fate := random.random()) < 0.02:
            return web.Response(status=503)
        if fate < 0.04 and request.transport is not None:
            request.transport.close()
        return web.json_response({"Symbol": request.query["symbol"], "PERatio": str(random.randrange(100))})

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    os.write(port_to, str(runner.addresses[0][1]).encode())
    await asyncio.Event().wait()
