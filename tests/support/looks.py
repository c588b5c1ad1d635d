"""Records to ask: looks at invented companies, kept as the store keeps them, in an order of the test's choosing."""

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import Iterable, Sequence
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


class Look(NamedTuple):
    """What was found of a symbol at an instant: a document, or None, that the API does not cover it."""

    symbol: str
    at: datetime
    document: Document | None


def after(hours: float) -> datetime:
    """Return the instant so many hours after the start."""
    return START + hours * HOUR


def text(hours: float) -> str:
    """Return the instant so many hours after the start, as the file has it."""
    return instants.to_text(after(hours))


def seen(hours: float, symbol: str = "IBM", **fields: Any) -> Look:
    """Return a look that found a document of these fields."""
    return Look(symbol, after(hours), {"Symbol": symbol, **fields})


def gone(hours: float, symbol: str = "IBM") -> Look:
    """Return a look that found the symbol not covered."""
    return Look(symbol, after(hours), None)


async def keep(path: Path, *portions: Sequence[Look]) -> None:
    """Keep the looks in the order given, a transaction a portion."""
    async with open_writer(path) as writer:
        store = Store(writer)
        for portion in portions:
            await store.add([_observation(*look) for look in portion])


def _observation(symbol: str, at: datetime, document: Document | None) -> Observation:
    name = Symbol(symbol)
    return observation(name, at, None if document is None else Overview(name, document))


def record(*portions: Sequence[Look]) -> Path:
    """Return a new record in which the looks are kept, portion by portion."""
    path = Path(tempfile.mkdtemp(dir=_folder())) / "overviews.db"
    shutil.copyfile(empty(), path)
    asyncio.run(keep(path, *portions))
    return path


@cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="looks-")
    atexit.register(shutil.rmtree, folder)
    return Path(folder)


@cache
def empty() -> Path:
    """Return a migrated file without a look. Made once: a property asks for hundreds."""
    path = _folder() / "empty.db"
    migrate(path, now=START)
    return path


def recorded_year() -> Iterable[Look]:
    """Yield the looks of the recorded year, in its order."""
    source = RECORDINGS / "daily_2023_2025.jsonl.gz"
    for one in read_archive(source, observed_at=None, now=AFTER_ALL, on_read=lambda _: None):
        if isinstance(one, RecordedResponse) and isinstance(one.response, (Overview, UnknownSymbol)):
            document = one.response.document if isinstance(one.response, Overview) else None
            yield from (Look(one.symbol, at, document) for at in (one.observed_at, *one.observed_again_at))
