"""The web application: health checks, metrics, and the routes of a site, behind one check of each request.

It answers GET and HEAD only.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from pipeline import __version__
from pipeline.text import printable
from pipeline.web.ask import Site
from pipeline.web.caching import NO_STORE, revalidate
from pipeline.web.hosts import is_own_host
from pipeline.web.routes import Route, add_routes

HEALTHY, READY, METRICS = "/-/healthy", "/-/ready", "/metrics"
_NOT_STORED = {"Cache-Control": NO_STORE}
_Endpoint = Callable[[web.Request], Awaitable[web.Response]]
_METHODS = ("GET", "HEAD")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Server": "overview-pipeline",  # aiohttp would reveal its version, and Python's
}


@dataclass(frozen=True, slots=True)
class Probes:
    """What the daemon answers. Each is called for every request."""

    healthy: Callable[[], str | None]
    """Return None if loop and store have answered recently, else why not, in one line."""
    ready: Callable[[], str | None]
    """Return None from the start of the daemon until it stops, else why not, in one line."""
    metrics: Callable[[str], Awaitable[tuple[str, bytes]]] | None
    """Return the content type and the page, for an Accept header. None under a lock: metrics are about now."""


def application(
    probes: Probes,
    own_names: Collection[str],
    *outer: Middleware,
    site: Site | None = None,
    routes: Iterable[Route] = (),
) -> web.Application:
    """Return the application. `own_names`: names of this machine, besides its addresses, by which it may be called.

    `outer`: middlewares around its own. `routes`: those of the site; without a site there are the probes alone.
    """
    endpoints = _Endpoints(probes)
    app = web.Application(middlewares=[*outer, _host_check(own_names), _check_method, revalidate])
    app.on_response_prepare.append(_add_headers)
    handlers: dict[str, _Endpoint] = {HEALTHY: endpoints.healthy, READY: endpoints.ready}
    if probes.metrics is not None:
        handlers[METRICS] = endpoints.metrics
    if site is None:
        handlers["/"] = endpoints.index
    else:
        add_routes(app, site, routes)
    for path, handler in handlers.items():
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
        assert self._probes.metrics is not None
        async with self._scrape:
            content_type, page = await self._probes.metrics(request.headers.get("Accept", ""))
        return web.Response(body=page, headers={"Content-Type": content_type, **_NOT_STORED})

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
    response.headers.setdefault("Cache-Control", NO_STORE)


async def _ignore_expect(_request: web.Request) -> None:
    """Answer at once: no body is read."""


def _verdict(good: str, why_not: str | None) -> web.Response:
    return _text(200, good) if why_not is None else _text(503, f"not {good}: {why_not}")


def _text(status: int, line: str, **headers: str) -> web.Response:
    headers = {"Content-Type": "text/plain; charset=utf-8", **_NOT_STORED, **headers}
    return web.Response(status=status, body=f"{printable(line)}\n".encode(), headers=headers)
