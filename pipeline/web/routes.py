"""Routes: which handler answers which path. Each is there twice: at the path, and under /as-of/INSTANT."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

import structlog
from aiohttp import web

from pipeline.errors import Trouble
from pipeline.store.database import damaged
from pipeline.store.diagnosis import damage_in
from pipeline.web.ask import AS_OF, SITE, Ask, Site
from pipeline.web.caching import Answer
from pipeline.web.refusals import Busy, status_of, without_folder

Handler = Callable[[Ask], Awaitable[web.Response]]
Refuse = Callable[[web.Request, HTTPStatus, Trouble], web.StreamResponse]


@dataclass(frozen=True, slots=True)
class Route:
    """A path, what answers it, and how its refusals look."""

    path: str
    """As aiohttp writes paths: /companies/{symbol}."""
    handler: Handler
    refuse: Refuse
    has_instants: bool = True
    """Whether it is there under an instant, too."""
    is_shared: bool = True
    """Whether equal requests get one answer. One that does something, besides reading, is given to each."""


def add_routes(app: web.Application, site: Site, routes: Iterable[Route]) -> None:
    """Add the routes to an application, at their path and under an instant. Refusals find the site."""
    app[SITE] = site
    for route in routes:
        handler = _answering(site, route)
        paths = [route.path]
        if route.has_instants:
            paths.append(f"{AS_OF}{{instant}}{route.path}")
        if route.path == "/":
            paths.append(f"{AS_OF}{{instant}}")
        for path in paths:
            app.router.add_get(path, handler, expect_handler=ignore_expect)


async def ignore_expect(_request: web.Request) -> None:
    """Answer at once: no body is read, and who is answered is not checked yet."""


def _answering(site: Site, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def respond(request: web.Request) -> web.StreamResponse:
        try:
            ask = Ask.of(request, site)
            made = partial(_made, route, ask)
            answer = await (ask.answered(route.path, made) if route.is_shared else made())
            return await answer.response(request)
        except Trouble as error:
            refusal = route.refuse(request, status_of(error), without_folder(error, site.readers.database))
            if isinstance(error, Busy):
                refusal.headers["Retry-After"] = str(Busy.RETRY_AFTER)
            return refusal
        except Exception:  # noqa: BLE001 - the server outlives its own bugs: they are logged, and not shown to clients
            if (found := await asyncio.to_thread(damage_in, site.readers.database)) is not None:
                unreadable = without_folder(damaged(site.readers.database, found), site.readers.database)
                return route.refuse(request, status_of(unreadable), unreadable)
            structlog.get_logger().exception("an answer failed", route=route.path)  # the path itself may hold a token
            bug = Trouble("the answer failed, by a mistake in this program", remedy="its log has the details")
            return route.refuse(request, HTTPStatus.INTERNAL_SERVER_ERROR, bug)

    return respond


async def _made(route: Route, ask: Ask) -> Answer:
    return Answer.of(await route.handler(ask))
