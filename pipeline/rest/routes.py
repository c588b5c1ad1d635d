"""The paths for programs: those under /api/v1, /query and the feed."""

import difflib
from collections.abc import Iterator
from http import HTTPStatus

from aiohttp import web

from pipeline.rest.changes import CHANGES
from pipeline.rest.companies import COMPANIES, COMPANY
from pipeline.rest.endpoints import API, Endpoint
from pipeline.rest.feed import FEED
from pipeline.rest.fields import FIELDS
from pipeline.rest.json_answers import as_json
from pipeline.rest.openapi import document
from pipeline.rest.panel import PANEL
from pipeline.rest.problems import refuse
from pipeline.rest.query import QUERY
from pipeline.rest.runs import OUTCOMES, RUN, RUNS
from pipeline.rest.snapshots import AS_OF, HISTORY
from pipeline.rest.status import STATUS
from pipeline.rest.vintages import RESTATEMENTS, VINTAGES
from pipeline.text import quoted
from pipeline.web.ask import Ask
from pipeline.web.parameters import check_names
from pipeline.web.refusals import Refusal
from pipeline.web.routes import Route

DOCUMENT = f"{API}/openapi.json"
ENDPOINTS: tuple[Endpoint, ...] = (
    COMPANIES, COMPANY, HISTORY, AS_OF, CHANGES, VINTAGES, RESTATEMENTS, PANEL, RUNS, RUN, OUTCOMES, STATUS, FIELDS,
)  # fmt: skip


async def _document(ask: Ask) -> web.Response:
    """Answer the document that describes the API."""
    check_names(ask.request.query, ())
    return as_json(document(ENDPOINTS, ask.link("")))


async def _index(ask: Ask) -> web.Response:
    """Answer the paths, and where they are described."""
    check_names(ask.request.query, ())
    paths = {ask.link(f"{API}{one.path}"): one.summary for one in ENDPOINTS}
    return as_json({"openapi": ask.link(DOCUMENT), "paths": paths})


async def _no_such_path(ask: Ask) -> web.Response:
    """Refuse a path of the API that does not exist."""
    path = ask.request.match_info["path"]
    near = difflib.get_close_matches(path, [one.path for one in ENDPOINTS], n=1)
    remedy = f"did you mean {API}{near[0]}?" if near else f"{DOCUMENT} describes all"
    raise Refusal(HTTPStatus.NOT_FOUND, f"no path {quoted(f'{API}{path}')}", remedy=remedy)


def _routes() -> Iterator[Route]:
    yield QUERY
    yield FEED
    for path in (API, f"{API}/"):
        yield Route(path, _index, refuse)
    yield Route(DOCUMENT, _document, refuse)
    for endpoint in ENDPOINTS:
        yield from endpoint.routes()
    yield Route(f"{API}{{path:(?:/.*)?}}", _no_such_path, refuse)


ROUTES = tuple(_routes())
