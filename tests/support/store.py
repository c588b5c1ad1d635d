"""A store to test with: observations of IBM at whole hours after the start, written as runs and imports write them."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline import instants
from pipeline.model.document import Overview
from pipeline.model.outcomes import Outcome, RunId, SymbolResult, Trigger
from pipeline.model.symbols import Symbol
from pipeline.store.reader import Reader, SymbolState
from pipeline.store.runs import Store
from pipeline.store.snapshots import observation
from pipeline.store.writer import open_writer
from tests.support.clocks import START

IBM, PEP = Symbol("IBM"), Symbol("PEP")
HOUR = timedelta(hours=1)
LATER = START + 1000 * HOUR
"""When a run begins that stores observations from before it: its clock was set back, or it was another's."""


def at(hour: float) -> str:
    """Return an instant as the file has it."""
    return instants.to_text(START + hour * HOUR)


def overview(symbol: Symbol = IBM, **fields: Any) -> Overview:
    return Overview(symbol, {"Symbol": symbol, "Name": "x", "EPS": "1", "LatestQuarter": "2025-12-31", **fields})


def version(name: str) -> Overview:
    """Return the overview of IBM whose only other field tells versions apart."""
    return Overview(IBM, {"Symbol": "IBM", "v": name})


async def store_overview(store: Store, run: RunId, overview: Overview, *, at: datetime, attempts: int = 1) -> Outcome:
    """Hand an overview over, and return its outcome once it is durable."""
    done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def finish(outcome: Outcome, error: BaseException | None) -> None:
        if error is None:
            done.set_result(outcome)
        else:
            done.set_exception(error)

    store.hand_over(run, overview, at=at, attempts=attempts, on_done=finish)
    return await done


async def collected(database: Path, *observed: tuple[Overview, int]) -> list[Outcome]:
    """Store overviews, each observed at an hour, in a run of its own."""
    async with open_writer(database) as writer:
        store = Store(writer)
        outcomes = []
        for found, hour in observed:
            run = await store.begin(Trigger.MANUAL, at=LATER, symbols=1, due=1)
            outcomes.append(await store_overview(store, run, found, at=START + hour * HOUR))
        return outcomes


async def imported(database: Path, *observed: tuple[str, int]) -> list[Outcome]:
    """Store what was observed of IBM in one transaction: a version, or `{}`, that it is not covered."""
    observations = [
        observation(IBM, START + hour * HOUR, None if found == "{}" else version(found)) for found, hour in observed
    ]
    async with open_writer(database) as writer:
        return await Store(writer).add(observations)


async def note(
    database: Path, outcome: Outcome, when: datetime, *, attempts: int = 1, began: datetime | None = None
) -> None:
    """Store how IBM ended without an overview, in a run of its own."""
    async with open_writer(database) as writer:
        store = Store(writer)
        run = await store.begin(Trigger.MANUAL, at=began or when, symbols=1, due=1)
        await store.note(SymbolResult(run, IBM, outcome, attempts, when, "why"))


def state_of(database: Path, symbol: str = "IBM") -> SymbolState:
    with Reader.open(database) as reader:
        return reader.symbol_states()[symbol]
