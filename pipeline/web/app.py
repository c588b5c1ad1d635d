"""The monitor: the daemon as seen over HTTP, by an orchestrator and by Prometheus. It answers, and takes nothing in.

Whoever can reach the address may ask. A page in a browser on the same network may not, whatever name it had this
address resolve to: the Host header has to be a name that nobody else can own.
"""

import asyncio
import errno
import ipaddress
import os
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from pipeline import __version__
from pipeline.errors import ExitCode, Trouble
from pipeline.text import printable

HEALTHY, READY, METRICS = "/-/healthy", "/-/ready", "/metrics"
_METHODS = ("GET", "HEAD")
_OURS_ALONE = (".local", ".internal", ".svc")
"""Domains that no registry hands out; Kubernetes' .svc.cluster.local is one of them."""
_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+?)\.?)(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
_HEADERS = {
    "Content-Type": "text/plain; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Server": "overview-pipeline",  # aiohttp would tell its version, and Python's
}
_PATIENCE_SECONDS = 0.1
"""How long answers under way may finish when the monitor closes. Those that take longer are dropped."""


class ListenError(Trouble):
    """An address that cannot be listened on."""

    exit_code = ExitCode.REFUSED


@dataclass(frozen=True, slots=True)
class Probes:
    """What the daemon says of itself. Each is asked anew for every request."""

    healthy: Callable[[], str | None]
    """None if loop and store answered lately; else why not, in one line."""
    ready: Callable[[], str | None]
    """None once the daemon has begun and as long as it is not stopping; else why not, in one line."""
    metrics: Callable[[str], Awaitable[tuple[str, bytes]]]
    """Given the Accept header, the content type and the page."""


@asynccontextmanager
async def monitor(host: str, port: int, answers: Probes) -> AsyncIterator[str]:
    """Listen while the block runs, and give the URL. Port 0 takes a free one; ListenError if it cannot be had."""
    desk = _Desk(answers, {host.lower(), socket.gethostname().lower()})
    # aiohttp's bare server, as in the sandbox: four paths need no routes.
    runner = web.ServerRunner(web.Server(desk.handle, access_log=None), shutdown_timeout=_PATIENCE_SECONDS)
    await runner.setup()
    try:
        await _listen(runner, host, port)
        yield f"http://{_authority(host, runner.addresses[0][1])}"
    finally:
        await runner.cleanup()


async def _listen(runner: web.ServerRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except (OSError, OverflowError, UnicodeError) as error:  # a port that is none, a name that cannot be one
        raise ListenError(f"status.listen: {_authority(host, port)} cannot be listened on: {_why(error)}") from None


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_REMEDIES = {
    errno.EADDRINUSE: "another program listens there: end it, or name another port",
    errno.EACCES: "this user may not: name a port of 1024 or above",
    errno.EADDRNOTAVAIL: "it is no address of this machine: name 127.0.0.1, 0.0.0.0, or one that it has",
}


def _why(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "no such host: name an address, such as 127.0.0.1:8080"
    if isinstance(error, OSError) and error.errno:
        return _REMEDIES.get(error.errno, f"{os.strerror(error.errno).lower()}: name another address or port")
    return "it is no address of this machine, or none at all: name one such as 127.0.0.1:8080"


class _Desk:
    """Answers one request after another."""

    def __init__(self, answers: Probes, own_names: Collection[str]) -> None:
        self._answers = answers
        self._own_names = own_names
        self._turn = asyncio.Lock()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        # Every browser sends a Host. What sends none is a simple health check of HTTP/1.0.
        if not all(is_ours(host, self._own_names) for host in request.headers.getall("Host", ())):
            return _said(421, "not a name of this machine (DNS rebinding?): ask by its address, or as localhost")
        if request.method not in _METHODS:
            return _said(405, "nothing here takes anything: GET or HEAD", Allow=", ".join(_METHODS))
        return await self._answer(request.path, request.headers.get("Accept", ""))

    async def _answer(self, path: str, accept: str) -> web.Response:
        if path == HEALTHY:
            return _verdict("healthy", self._answers.healthy())
        if path == READY:
            return _verdict("ready", self._answers.ready())
        if path == METRICS:
            return await self._metrics(accept)
        if path == "/":
            return _said(200, f"overview-pipeline {__version__}: {HEALTHY} {READY} {METRICS}")
        return _said(404, f"there are {HEALTHY} {READY} {METRICS}")

    async def _metrics(self, accept: str) -> web.Response:
        # One scrape at a time: each reads the record in a thread, of which requests to the API need some too.
        async with self._turn:
            content_type, page = await self._answers.metrics(accept)
        return web.Response(body=page, headers=_HEADERS | {"Content-Type": content_type})


def _verdict(good: str, why_not: str | None) -> web.Response:
    return _said(200, good) if why_not is None else _said(503, f"not {good}: {why_not}")


def _said(status: int, line: str, **headers: str) -> web.Response:
    return web.Response(status=status, body=f"{printable(line)}\n".encode(), headers=_HEADERS | headers)


def is_ours(host: str, own_names: Collection[str]) -> bool:
    """Whether a Host header is a name that no stranger can make resolve to us: else it is refused.

    Those are addresses, names without a dot (localhost, a container's), domains of private networks, and our own.
    """
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = (match["v6"] or match["name"]).lower()
    return _is_address(name) or "." not in name or name.endswith(_OURS_ALONE) or name in own_names


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
