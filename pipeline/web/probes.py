"""Probes: what health checks and Prometheus get, of the daemon or of a server that only reads a record."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline.monitoring.metrics import ServerMetrics
from pipeline.monitoring.status import Scope, Status, read_status
from pipeline.store.database import DatabaseError
from pipeline.store.reader import open_for_reading
from pipeline.web.refusals import named_alone


@dataclass(frozen=True, slots=True)
class Probes:
    """What is answered. Each is called for every request."""

    healthy: Callable[[], str | None]
    """Return None if the process does its work, else why not, in one line."""
    ready: Callable[[], Awaitable[str | None]]
    """Return None if it can do what it is there for, else why not, in one line."""
    metrics: Callable[[str], Awaitable[tuple[str, bytes]]] | None
    """Return the content type and the page, for an Accept header. None under a lock: metrics are about now."""


def probes_of_record(
    database: Path, scope: Callable[[], Scope], *, lock: datetime | None, now: Callable[[], datetime]
) -> Probes:
    """Return the probes of a process that only serves a database: healthy if it answers, ready if that can be read."""
    metrics = ServerMetrics()

    async def ready() -> str | None:
        return await asyncio.to_thread(_why_unreadable, database)

    def status() -> Status | None:
        with suppress(DatabaseError):
            return read_status(database, scope(), now=now())
        return None

    async def exposition(accept: str) -> tuple[str, bytes]:
        return metrics.render(await asyncio.to_thread(status), accept)

    return Probes(lambda: None, ready, exposition if lock is None else None)


def _why_unreadable(database: Path) -> str | None:
    try:
        with open_for_reading(database):
            return None
    except DatabaseError as error:
        return named_alone(str(error), database)
