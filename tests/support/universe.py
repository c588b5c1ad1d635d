"""The universe to test with: configured lists, noted as runs note them."""

import asyncio
from pathlib import Path

from pipeline.model.symbols import Symbol, SymbolList
from pipeline.store.universe import record_list
from pipeline.store.writer import open_writer
from tests.support.observations import after


def listed(database: Path, *lists: tuple[float, str]) -> None:
    """Note lists of symbols, each at an hour."""

    async def write() -> None:
        async with open_writer(database) as writer:
            for hour, names in lists:
                await record_list(writer, SymbolList("", tuple(map(Symbol, names.split()))), at=after(hour))

    asyncio.run(write())
