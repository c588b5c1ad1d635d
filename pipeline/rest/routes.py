"""The paths for programs: those under /api/v1, and /query."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from pipeline.rest.fields import fields
from pipeline.rest.json_answers import refuse
from pipeline.rest.query import QUERY
from pipeline.web.ask import Ask
from pipeline.web.routes import Route


def _route(path: str, handler: Callable[[Ask], Awaitable[web.StreamResponse]]) -> Route:
    return Route(f"/api/v1{path}", handler, refuse)


ROUTES = (_route("/fields", fields), QUERY)
