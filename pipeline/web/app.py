"""The web application: health checks for an orchestrator, metrics for Prometheus. It answers GET and HEAD only."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from pipeline import __version__
from pipeline.text import printable
from pipeline.web.hosts import is_own_host

HEALTHY, READY, METRICS = "/-/healthy", "/-/ready", "/metrics"
_METHODS = ("GET", "HEAD")
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Server": "overview-pipeline",  # aiohttp would reveal its version, and Python's
}


@dataclass(frozen=True, slots=True)
class Probes:
    """What the daemon answers. Each is called for every request."""

    healthy: Callable[[], str | None]
    """Return None if loop and store have answered recently, else why not, in one line."""
    ready: Callable[[], str | None]
    """Return None from the start of the daemon until it stops, else why not, in one line."""
    metrics: Callable[[str], Awaitable[tuple[str, bytes]]]
    """Return the content type and the page, for an Accept header."""


def application(probes: Probes, own_names: Collection[str], *outer: Middleware) -> web.Application:
    """Return the application. `own_names`: names of this machine, besides its addresses, by which it may be called.

    `outer`: middlewares around its own.
    """
    endpoints = _Endpoints(probes)
    app = web.Application(middlewares=[*outer, _host_check(own_names), _check_method])
    app.on_response_prepare.append(_add_headers)
    for path, handler in {
        "/": endpoints.index,
        HEALTHY: endpoints.healthy,
        READY: endpoints.ready,
        METRICS: endpoints.metrics,
    }.items():
        app.router.add_get(path, handler, expect_handler=_ignore_expect)
    app.router.add_route("*", "/{path:.*}", endpoints.other, expect_handler=_ignore_expect)
    return app


class _Endpoints:
    def __init__(self, probes: Probes) -> None:
        self._probes = probes
        self._scrape = asyncio.Lock()

    async def index(self, _request: web.Request) -> web.Response:
        return _text(200, f"overview-pipeline {__version__}: {HEALTHY} {READY} {METRICS}")

    async def healthy(self, _request: web.Request) -> web.Response:
        return _verdict("healthy", self._probes.healthy())

    async def ready(self, _request: web.Request) -> web.Response:
        return _verdict("ready", self._probes.ready())

    async def metrics(self, request: web.Request) -> web.Response:
        # One scrape at a time: each reads the database in a thread, and requests to the API need threads too.
        async with self._scrape:
            content_type, page = await self._probes.metrics(request.headers.get("Accept", ""))
        return web.Response(body=page, headers={"Content-Type": content_type})

    async def other(self, _request: web.Request) -> web.Response:
        return _text(404, f"not found: there are {HEALTHY} {READY} {METRICS}")


_MISDIRECTED = (
    "not a name of this machine (DNS rebinding?): use its address or localhost, or add the name to"
    " status.allowed_hosts in the configuration"
)


def _host_check(own_names: Collection[str]) -> Middleware:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        # Every browser sends a Host header. A simple health check by HTTP/1.0 may send none.
        if not all(is_own_host(host, own_names) for host in request.headers.getall("Host", ())):
            return _text(421, _MISDIRECTED)
        return await handler(request)

    return check


@web.middleware
async def _check_method(request: web.Request, handler: Handler) -> web.StreamResponse:
    # Not a route's task: the targets of `OPTIONS *` and of CONNECT are not paths, so they match none.
    if request.method not in _METHODS:
        return _text(405, "method not allowed: use GET or HEAD", Allow=", ".join(_METHODS))
    return await handler(request)


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


async def _ignore_expect(_request: web.Request) -> None:
    """Answer at once: no body is read."""


def _verdict(good: str, why_not: str | None) -> web.Response:
    return _text(200, good) if why_not is None else _text(503, f"not {good}: {why_not}")


def _text(status: int, line: str, **headers: str) -> web.Response:
    headers = {"Content-Type": "text/plain; charset=utf-8", **headers}
    return web.Response(status=status, body=f"{printable(line)}\n".encode(), headers=headers)
