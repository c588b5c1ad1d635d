"""A site served on loopback, and a client of it."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import aiohttp

from pipeline.cli.site import Record, serving_site
from pipeline.instants import utc_now
from pipeline.monitoring.status import Scope
from pipeline.settings.addresses import Listen
from pipeline.web.ask import ReadThrough
from pipeline.web.probes import probes_of_record

SCOPE = Scope(symbols=(), plans=(), stale_after=timedelta(hours=72), backup_after=timedelta(days=14))


class Got(NamedTuple):
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class SiteClient:
    """A client of a site."""

    url: str
    session: aiohttp.ClientSession

    async def get(self, path: str, **headers: str) -> Got:
        async with self.session.get(f"{self.url}{path}", headers=headers, allow_redirects=False) as response:
            return Got(response.status, response.headers.copy(), await response.read())


@asynccontextmanager
async def served(
    database: Path,
    *,
    lock: datetime | None = None,
    scope: Scope = SCOPE,
    now: Callable[[], datetime] = utc_now,
    allowed_hosts: Collection[str] = (),
    token: str | None = None,
    read_through: ReadThrough | None = None,
) -> AsyncIterator[SiteClient]:
    """Serve a database, and yield a client."""
    record = Record(database, lambda: scope, lock, now, read_through)
    probes = probes_of_record(database, record.scope, lock=lock, now=now)
    async with (
        serving_site(Listen("127.0.0.1", 0), record, probes, allowed_hosts=allowed_hosts, token=token) as url,
        aiohttp.ClientSession() as session,
    ):
        yield SiteClient(url, session)
