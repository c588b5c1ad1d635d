"""The paths of the pages."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from pipeline.pages.companies import companies
from pipeline.pages.fields import fields
from pipeline.pages.rendering import ASSETS, refuse
from pipeline.pages.travel import go
from pipeline.web.ask import Ask
from pipeline.web.routes import Route


def _route(path: str, handler: Callable[[Ask], Awaitable[web.Response]]) -> Route:
    return Route(path, handler, refuse)


ROUTES = (
    _route("/companies", companies),
    _route("/fields", fields),
    Route("/go", go, refuse, has_instants=False),
    ASSETS.route(refuse),
)
