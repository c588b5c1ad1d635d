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
from pipeline.web.routes import Route


def _route(path: str, handler: Callable[[Ask], Awaitable[web.Response]]) -> Route:
    return Route(path, handler, refuse)


ROUTES = (
    _route("/", today),
    _route("/companies", companies),
    _route("/companies/{symbol}", company),
    _route("/fields", fields),
    _route("/find", find),
    _route("/status", status),
    _route("/runs", runs),
    _route("/runs/{run}", run),
    Route("/go", go, refuse, has_instants=False),
    Route("/robots.txt", robots, refuse, has_instants=False),
    Route("/favicon.ico", icon, refuse, has_instants=False),
    ASSETS.route(refuse),
    _route("/changes", changes),
    _route("/compare", compare),
    _route("/restatements", restatements),
    _route("/companies/{symbol}/document", document),
    _route("/companies/{symbol}/vintages", vintages),
    _route("/companies/{symbol}/chart", charts),
    _route("/companies/{symbol}/chart.json", chart_spec),
    Route("/static/charts/{name}", ChartLibrary().answer, refuse, has_instants=False),
)
