"""An address on loopback that notifications and pings are sent to, and what was logged of it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pipeline.clock import Sleep
from pipeline.monitoring.notify import Notifier, Sender
from pipeline.monitoring.outbox import SENDING
from pipeline.monitoring.recipients import read_recipients

SECRET = "s3cr3t-t0k3n"


PLENTY = timedelta(seconds=20)
SENDER = Sender("nas", Path("/data/overviews.db"))


def notifier(*urls: str, sleep: Sleep = asyncio.sleep, within: timedelta = SENDING) -> Notifier:
    """Return a notifier to these addresses, as the daemon makes it."""
    return Notifier(read_recipients(urls), SENDER, sleep=sleep, within=within)


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the log lines of this program. Fails if the secret is in anything that was written."""
    captured = capsys.readouterr()
    assert SECRET not in captured.out + captured.err
    lines = (json.loads(line) for line in captured.err.splitlines() if line.startswith("{"))
    return [line for line in lines if line.get("library") != "asyncio"]


class SleepLog(list[float]):
    """A sleep that returns at once and records how long it was."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)
        await asyncio.sleep(0)


class Place:
    """A server that records its requests: the path with its query, and the body."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.requests: list[tuple[str, str]] = []
        self.headers: dict[str, str] = {}
        self.text = ""
        self.hangs = False
        self.came = asyncio.Event()
        self.released = asyncio.Event()
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.requests.append((f"{request.method} {request.rel_url}", body))
        self.came.set()
        if self.hangs:
            await self.released.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers=self.headers, text=self.text)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.requests]

    @property
    def notify_url(self) -> str:
        return f"json://user:{SECRET}@127.0.0.1:{self.port}/{SECRET}/"

    @property
    def ping_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ping/{SECRET}"


@asynccontextmanager
async def place_on_loopback() -> AsyncIterator[Place]:
    place = Place()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", place.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    place.port = runner.addresses[0][1]
    try:
        yield place
    finally:
        place.released.set()
        await runner.cleanup()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
