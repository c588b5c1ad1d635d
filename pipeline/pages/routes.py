"""The paths of the pages."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from pipeline.pages.changes import changes
from pipeline.pages.chart_library import ChartLibrary
from pipeline.pages.charts import chart_spec, charts
from pipeline.pages.companies import companies
from pipeline.pages.company import company
from pipeline.pages.compare import compare
from pipeline.pages.document import document
from pipeline.pages.fields import fields
from pipeline.pages.find import find
from pipeline.pages.rendering import ASSETS, refuse
from pipeline.pages.robots import icon, robots
from pipeline.pages.runs import run, runs
from pipeline.pages.status import status
from pipeline.pages.today import today
from pipeline.pages.travel import go
from pipeline.pages.vintages import restatements, vintages
from pipeline.web.ask import Ask
from pipeline.web.parameters import check_names
from pipeline.web.routes import Route

_LISTS = ("symbol", "field", "columns")
"""Parameters that may be given several times: forms have them as ticks, and addresses as they like."""
_INTERVAL = ("since", "until")
_FILTERS = ("q", "sector", "industry", "exchange")


def _ends(name: str) -> tuple[str, str]:
    """Return the parameters that say where a page of companies begins or ends."""
    return name, f"{name}_value"


def _route(
    path: str, handler: Callable[[Ask], Awaitable[web.Response]], *parameters: str, has_instants: bool = True
) -> Route:
    """Return the route of a page that takes these parameters, empty or not, and no others."""

    async def handle(ask: Ask) -> web.Response:
        check_names(ask.request.query, parameters, repeated=_LISTS)
        return await handler(ask)

    return Route(path, handle, refuse, has_instants=has_instants)


ROUTES = (
    _route("/", today),
    _route("/companies", companies, *_FILTERS, "columns", "sort", *_ends("after"), *_ends("before")),
    _route("/companies/{symbol}", company),
    _route("/fields", fields),
    _route("/find", find, "q"),
    _route("/status", status),
    _route("/runs", runs, "before"),
    _route("/runs/{run}", run, "outcome", "after"),
    _route("/go", go, "path", "at", "time", has_instants=False),
    Route("/robots.txt", robots, refuse, has_instants=False),
    Route("/favicon.ico", icon, refuse, has_instants=False),
    ASSETS.route(refuse),
    _route("/changes", changes, "symbol", *_INTERVAL, "part", "field", "min_change", "suspicious", "universe", "after"),
    _route("/compare", compare, "symbol", "a", "b", "field"),
    _route("/restatements", restatements, "symbol", "field", *_INTERVAL, "after"),
    _route("/companies/{symbol}/document", document, "version"),
    _route("/companies/{symbol}/vintages", vintages, "field"),
    _route("/companies/{symbol}/chart", charts, "field", "since"),
    _route("/companies/{symbol}/chart.json", chart_spec, "field", "since"),
    Route("/static/charts/{name}", ChartLibrary().answer, refuse, has_instants=False),
)
