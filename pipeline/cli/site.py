"""The site of `serve` and `run`: what is served, put together from the rooms that answer."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from pipeline import extras
from pipeline.monitoring.status import Scope, Status, read_status
from pipeline.rest.routes import ROUTES as REST_ROUTES
from pipeline.store.reader import NoData
from pipeline.web.ask import Site
from pipeline.web.readers import Readers
from pipeline.web.routes import Route


def site(database: Path, scope: Scope, *, lock: datetime | None, now: Callable[[], datetime]) -> Site:
    """Return the site of a database. Nothing observed after the `lock` can be had from it; None: no lock."""

    def live() -> Status | None:
        try:
            return read_status(database, scope, now=now())
        except NoData:
            return None

    return Site(Readers(database), lock, now, live if lock is None else None)


def routes() -> tuple[Route, ...]:
    """Return all routes of a site. Raise Missing if a package for pages is not installed."""
    return (*extras.pages().ROUTES, *REST_ROUTES)
