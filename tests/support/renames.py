"""Renames to test with: made short, and written into a database as a configuration's."""

import asyncio
from datetime import datetime
from pathlib import Path

from pipeline.model.renames import Rename
from pipeline.model.symbols import Symbol
from pipeline.store.renames import record_renames
from pipeline.store.writer import open_writer


def rename(old: str, new: str, on: datetime | None = None, *, reused: bool = False) -> Rename:
    """Return a rename of these symbols."""
    return Rename(Symbol(old), Symbol(new), on, reused)


def configure(database: Path, *renames: Rename, configuration: Path | str = "") -> None:
    """Store that a configuration has these renames and no others."""

    async def write() -> None:
        async with open_writer(database) as writer:
            await record_renames(writer, str(configuration), renames)

    asyncio.run(write())
