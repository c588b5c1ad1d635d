"""Databases to query: observations of invented companies, stored in an order of the test's choosing."""

import asyncio
import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import instants
from pipeline.api.errors import UnknownSymbol
from pipeline.model.document import Document, Overview
from pipeline.model.symbols import Symbol
from pipeline.store.migrate import migrate
from pipeline.store.runs import Store
from pipeline.store.snapshots import Observation, observation
from pipeline.store.writer import open_writer
from pipeline.transfer.archives import read_archive
from pipeline.transfer.entries import RecordedResponse
from tests.support.clocks import START
from tests.support.recordings import RECORDINGS

HOUR = timedelta(hours=1)
AFTER_ALL = datetime.fromisoformat("2026-11-01T00:00:00Z")
"""Later than every recording."""


class Observed(NamedTuple):
    """What was observed of a symbol at an instant: a document, or None if the API does not cover it."""

    symbol: str
    at: datetime
    document: Document | None


def after(hours: float) -> datetime:
    """Return the instant some hours after the start."""
    return START + hours * HOUR


def text(hours: float) -> str:
    """Return the instant some hours after the start, as stored."""
    return instants.to_text(after(hours))


def seen(hours: float, symbol: str = "IBM", **fields: Any) -> Observed:
    """Return an observation of a document of these fields."""
    return Observed(symbol, after(hours), {"Symbol": symbol, **fields})


def uncovered(hours: float, symbol: str = "IBM") -> Observed:
    """Return an observation that the symbol is not covered."""
    return Observed(symbol, after(hours), None)


async def store_observations(path: Path, *batches: Sequence[Observed]) -> None:
    """Store the observations in the order given, each batch in a transaction."""
    async with open_writer(path) as writer:
        store = Store(writer)
        for batch in batches:
            await store.add([_observation(*one) for one in batch])


def _observation(symbol: str, at: datetime, document: Document | None) -> Observation:
    name = Symbol(symbol)
    return observation(name, at, None if document is None else Overview(name, document))


def database_of(*batches: Sequence[Observed]) -> Path:
    """Return a new database that holds the observations, stored batch by batch."""
    path = Path(tempfile.mkdtemp(dir=_folder())) / "overviews.db"
    shutil.copyfile(empty_database(), path)
    asyncio.run(store_observations(path, *batches))
    return path


@cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="observations-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT"))  # in memory, if any
    atexit.register(shutil.rmtree, folder)
    return Path(folder)


@cache
def empty_database() -> Path:
    """Return a migrated database without an observation. Made once: a property needs hundreds of copies."""
    path = _folder() / "empty.db"
    migrate(path, now=START)
    return path


@cache
def recorded_year() -> Sequence[Observed]:
    """Return the observations of the recorded year, in its order."""
    return list(_recorded_year())


@cache
def recorded_database() -> Path:
    """Return a database of the recorded year, which must not be changed."""
    return database_of(recorded_year())


def _recorded_year() -> Iterator[Observed]:
    source = RECORDINGS / "daily_2023_2025.jsonl.gz"
    for one in read_archive(source, observed_at=None, now=AFTER_ALL, on_read=lambda _: None):
        if isinstance(one, RecordedResponse) and isinstance(one.response, (Overview, UnknownSymbol)):
            document = one.response.document if isinstance(one.response, Overview) else None
            yield from (Observed(one.symbol, at, document) for at in (one.observed_at, *one.observed_again_at))
