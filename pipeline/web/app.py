"""The web application: health checks, metrics, and the routes of a site, behind one check of each request.

It answers GET and HEAD only.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from yarl import URL

from pipeline import __version__
from pipeline.text import printable
from pipeline.web.access import CHALLENGES, Access, TokenMissing, takes_apikey
from pipeline.web.ask import Site
from pipeline.web.caching import NO_STORE
from pipeline.web.probes import Probes
from pipeline.web.refusals import Refusal, status_of
from pipeline.web.routes import Refuse, Route, add_routes, ignore_expect
from pipeline.web.turns import Turns

HEALTHY, READY, METRICS = "/-/healthy", "/-/ready", "/metrics"
_PROBES = (HEALTHY, READY)
_NOT_STORED = {"Cache-Control": NO_STORE}
_Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]
_METHODS = ("GET", "HEAD")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Server": "overview-pipeline",  # aiohttp would reveal its version, and Python's
}


@dataclass(frozen=True, slots=True)
class Pages:
    """What is served besides the probes."""

    site: Site
    routes: Iterable[Route]
    refuse: Refuse
    """How it says that there is nothing at a path."""
    is_busy: Callable[[], bool] = lambda: False
    """Whether the process has other work at the moment, for which answers leave time."""


def application(probes: Probes, access: Access, *outer: Middleware, pages: Pages | None = None) -> web.Application:
    """Return the application; without pages there are the probes alone. `outer`: middlewares around its own."""
    endpoints = _Endpoints(probes, pages)
    turns = [] if pages is None else [Turns(pages.is_busy).middleware(_PROBES)]
    app = web.Application(middlewares=[*outer, *turns, _access_check(access, pages)])
    app.on_response_prepare.append(_add_headers)
    handlers: dict[str, _Endpoint] = {HEALTHY: endpoints.healthy, READY: endpoints.ready}
    if probes.metrics is not None:
        handlers[METRICS] = endpoints.metrics
    if pages is None:
        handlers["/"] = endpoints.index
    else:
        add_routes(app, pages.site, pages.routes)
    for path, handler in handlers.items():
        app.router.add_get(path, handler, expect_handler=ignore_expect)
    app.router.add_route("*", "/{path:.*}", endpoints.other, expect_handler=ignore_expect)
    return app


class _Endpoints:
    def __init__(self, probes: Probes, pages: Pages | None) -> None:
        self._probes = probes
        self._pages = pages
        self._scrape, self._look = asyncio.Lock(), asyncio.Lock()

    async def index(self, _request: web.Request) -> web.Response:
        return as_line(200, f"overview-pipeline {__version__}: {HEALTHY} {READY} {METRICS}")

    async def healthy(self, _request: web.Request) -> web.Response:
        return _verdict("healthy", self._probes.healthy())

    async def ready(self, _request: web.Request) -> web.Response:
        # One at a time, as with metrics: each may read the database in a thread.
        async with self._look:
            return _verdict("ready", await self._probes.ready())

    async def metrics(self, request: web.Request) -> web.Response:
        # One scrape at a time: each reads the database in a thread, and requests to the API need threads too.
        assert self._probes.metrics is not None
        async with self._scrape:
            content_type, page = await self._probes.metrics(request.headers.get("Accept", ""))
        return web.Response(body=page, headers={"Content-Type": content_type, **_NOT_STORED})

    async def other(self, request: web.Request) -> web.StreamResponse:
        if self._pages is None:
            return as_line(404, f"not found: there are {HEALTHY} {READY} {METRICS}")
        if (without_slash := await _known_without_slash(request)) is not None:
            return web.Response(status=HTTPStatus.PERMANENT_REDIRECT, headers={"Location": without_slash})
        missing = Refusal(HTTPStatus.NOT_FOUND, "there is nothing at this address", remedy="start from /")
        return self._pages.refuse(request, missing.status, missing)


async def _known_without_slash(request: web.Request) -> str | None:
    """Return the address of the same path without the slash at its end; None if there is nothing, either."""
    path = request.rel_url.raw_path
    if not path.endswith("/") or path.startswith("//"):  # //example.com would be another host's
        return None
    shorter, query = path[:-1], request.rel_url.raw_query_string
    found = await request.app.router.resolve(request.clone(rel_url=URL(shorter, encoded=True)))
    if found.http_exception is not None or "path" in found:
        return None
    return f"{shorter}?{query}" if query else shorter


def _access_check(access: Access, pages: Pages | None) -> Middleware:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        is_probe = pages is None or request.path in _PROBES
        if (refusal := access.refusal(request, is_probe=is_probe)) is not None:
            response: web.StreamResponse = as_line(status_of(refusal), str(refusal))
            if pages is not None and takes_apikey(request):  # its clients read JSON, and show what it says
                response = pages.refuse(request, status_of(refusal), refusal)
            if isinstance(refusal, TokenMissing):
                for challenge in CHALLENGES:
                    response.headers.add("WWW-Authenticate", challenge)
            return response
        # Not a route's task: the targets of `OPTIONS *` and of CONNECT are not paths, so they match none.
        if request.method not in _METHODS:
            return as_line(405, "method not allowed: use GET or HEAD", Allow=", ".join(_METHODS))
        return await handler(request)

    return check


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", NO_STORE)


def _verdict(good: str, why_not: str | None) -> web.Response:
    return as_line(200, good) if why_not is None else as_line(503, f"not {good}: {why_not}")


def as_line(status: int, line: str, **headers: str) -> web.Response:
    """Return an answer of one line, with the headers that all have."""
    headers = {"Content-Type": "text/plain; charset=utf-8", **_HEADERS, **_NOT_STORED, **headers}
    return web.Response(status=status, body=f"{printable(line)}\n".encode(), headers=headers)
