"""The site of `serve` and `run`: what is served, put together from the rooms that answer."""

import re
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from pipeline import extras
from pipeline.errors import Trouble
from pipeline.monitoring.status import Scope, Status, read_status
from pipeline.rest.problems import refuse as refuse_in_json
from pipeline.rest.routes import ROUTES as REST_ROUTES
from pipeline.settings.addresses import Listen
from pipeline.store.reader import NoData
from pipeline.web.app import Pages
from pipeline.web.ask import Site
from pipeline.web.probes import Probes
from pipeline.web.readers import Readers
from pipeline.web.server import serving

_FOR_PROGRAMS = re.compile(r"(?:/as-of/[^/]+)?/api/")


@dataclass(frozen=True, slots=True)
class Record:
    """Which record is served, and until when."""

    database: Path
    scope: Callable[[], Scope]
    """What the status covers, as it is configured at the moment."""
    lock: datetime | None
    """Nothing observed later can be had from the server; None: no lock."""
    now: Callable[[], datetime]


@asynccontextmanager
async def serving_site(
    listen: Listen,
    record: Record,
    probes: Probes,
    *,
    allowed_hosts: Collection[str] = (),
    token: str | None = None,
    setting: str = "web.listen",
) -> AsyncIterator[str]:
    """Serve a record while the block runs, and yield the URL.

    Raise Missing if a package for pages is not installed, and ListenError if the address cannot be listened on.
    """
    async with (
        pages(record) as served,
        serving(
            listen.host, listen.port, probes, allowed_hosts=allowed_hosts, token=token, pages=served, setting=setting
        ) as url,
    ):
        yield url


@asynccontextmanager
async def pages(record: Record) -> AsyncIterator[Pages]:
    """Yield what is served of a record; close its database at the end. Raise Missing if a package is not installed."""
    for_people = extras.pages()

    def refuse(request: web.Request, status: HTTPStatus, error: Trouble) -> web.StreamResponse:
        in_json = _FOR_PROGRAMS.match(request.path)
        response: web.StreamResponse = (refuse_in_json if in_json else for_people.refuse)(request, status, error)
        return response

    def live() -> Status | None:
        try:
            return read_status(record.database, record.scope(), now=record.now())
        except NoData:
            return None

    readers = Readers(record.database)
    site = Site(readers, record.lock, record.now, live if record.lock is None else None)
    try:
        yield Pages(site, (*for_people.ROUTES, *REST_ROUTES), refuse)
    finally:
        await readers.close()
