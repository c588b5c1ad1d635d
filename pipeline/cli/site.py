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
from pipeline.monitoring.daemon_sign import DaemonSign, read_daemon
from pipeline.monitoring.status import Scope, Status, read_status
from pipeline.rest.problems import refuse as refuse_in_json
from pipeline.rest.query import refuse as refuse_as_api
from pipeline.rest.routes import ROUTES as REST_ROUTES
from pipeline.settings.addresses import Listen
from pipeline.store.reader import NoData
from pipeline.web.app import Pages
from pipeline.web.ask import ReadThrough, Site
from pipeline.web.probes import Probes
from pipeline.web.readers import QUESTION_WITHIN, Readers
from pipeline.web.server import serving
from pipeline.web.single_flight import Together

_REFUSALS = (
    (re.compile(r"(?:/as-of/[^/]+)?/api/"), refuse_in_json),
    (re.compile(r"(?:/as-of/[^/]+)?/query$"), refuse_as_api),
)
"""How programs are refused, by the path that they ask for. Anybody else gets a page."""


@dataclass(frozen=True, slots=True)
class Record:
    """Which record is served, and until when."""

    database: Path
    scope: Callable[[], Scope]
    """What the status covers, as it is configured at the moment."""
    lock: datetime | None
    """Nothing observed later can be had from the server; None: no lock."""
    now: Callable[[], datetime]
    read_through: ReadThrough | None = None
    """Collects a symbol first that a client asks for and that is not fresh. Never under a lock."""
    is_collecting: Callable[[], bool] = lambda: False
    """Whether this process has other work, which clients must not hold up."""


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
        as_programs = (refusing for path, refusing in _REFUSALS if path.match(request.path))
        response: web.StreamResponse = next(as_programs, for_people.refuse)(request, status, error)
        return response

    def live() -> Status | None:
        try:
            return read_status(record.database, record.scope(), now=record.now(), within=QUESTION_WITHIN)
        except NoData:
            return None

    def daemon() -> DaemonSign:
        return read_daemon(record.database, now=record.now())

    assert record.lock is None or record.read_through is None
    readers = Readers(record.database, until=record.lock, is_busy=record.is_collecting)
    is_live = record.lock is None
    site = Site(
        readers,
        record.lock,
        record.now,
        live=Together(live) if is_live else None,
        daemon=Together(daemon) if is_live else None,
        stale_after=lambda: record.scope().stale_after,
        read_through=record.read_through,
    )
    try:
        yield Pages(site, (*for_people.ROUTES, *REST_ROUTES), refuse, record.is_collecting)
    finally:
        await readers.close()
