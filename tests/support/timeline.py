"""Timelines: what happened to a database, step by step, written as runs, imports and configurations write it."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from aiosqlite import Connection

from pipeline.model.document import Overview
from pipeline.model.outcomes import Outcome, RunId, RunResult, RunStatus, SymbolResult, Trigger
from pipeline.model.renames import Rename
from pipeline.model.symbols import Symbol, SymbolList
from pipeline.store.renames import record_renames
from pipeline.store.runs import Store
from pipeline.store.schedules import record_missed
from pipeline.store.snapshots import observation
from pipeline.store.universe import record_list
from pipeline.store.writer import Writer, open_writer
from tests.support.observations import Observed, after

SCHEDULE = "30 18 * * mon-fri America/New_York"


class Step(Protocol):
    """Something that happened."""

    async def write(self, writer: Writer) -> None:
        """Write it."""


@dataclass(frozen=True)
class Imported:
    """Observations that came with a file."""

    observed: tuple[Observed, ...]

    async def write(self, writer: Writer) -> None:
        documents = ((Symbol(one.symbol), one.at, one.document) for one in self.observed)
        await Store(writer).add(
            [observation(name, at, None if doc is None else Overview(name, doc)) for name, at, doc in documents]
        )


@dataclass(frozen=True)
class Ended:
    """How a symbol ended in a run, at an hour. With fields it was observed."""

    symbol: str
    hour: float
    outcome: Outcome = Outcome.STORED
    fields: tuple[tuple[str, Any], ...] | None = None
    attempts: int = 1
    detail: str | None = None

    async def write(self, store: Store, run: RunId) -> None:
        name = Symbol(self.symbol)
        if self.fields is not None:
            overview = Overview(name, {"Symbol": self.symbol, **dict(self.fields)})
            done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

            def resolve(result: Any, error: BaseException | None) -> None:
                done.set_exception(error) if error is not None else done.set_result(result)

            store.hand_over(run, overview, at=after(self.hour), attempts=self.attempts, on_done=resolve)
            await done
        elif self.outcome is Outcome.DEFERRED:
            await store.defer(run, [name], at=after(self.hour), detail=self.detail or "quota")
        else:
            await store.note(SymbolResult(run, name, self.outcome, self.attempts, after(self.hour), self.detail))


@dataclass(frozen=True)
class Ran:
    """A run. Without an end it is under way, or its process was killed."""

    began: float
    ended: tuple[Ended, ...] = ()
    finished: float | None = None
    status: RunStatus = RunStatus.COMPLETE
    trigger: Trigger = Trigger.SCHEDULE
    detail: str | None = None
    fire_time: float | None = None

    async def write(self, writer: Writer) -> None:
        store = Store(writer)
        run = await store.begin(
            self.trigger,
            at=after(self.began),
            symbols=0 if self.trigger is Trigger.IMPORT else len(self.ended),
            due=len(self.ended),
            schedule=None if self.fire_time is None else SCHEDULE,
            scheduled_for=None if self.fire_time is None else after(self.fire_time),
        )
        for one in self.ended:
            await one.write(store, run)
        if self.finished is not None:
            counts = Counter(one.outcome for one in self.ended)
            seconds = timedelta(hours=self.finished - self.began).total_seconds()
            requests = sum(one.attempts for one in self.ended)
            symbols = len(self.ended) if self.trigger is Trigger.IMPORT else None
            result = RunResult(self.status, counts, requests, seconds, self.detail, symbols)
            await store.finish(run, result, at=after(self.finished))


@dataclass(frozen=True)
class Missed:
    """A fire time for which nothing ran, and when that was noted."""

    fire_time: float
    noted: float

    async def write(self, writer: Writer) -> None:
        await record_missed(
            writer, SCHEDULE, [(after(self.fire_time), "the daemon did not run")], now=after(self.noted)
        )


@dataclass(frozen=True)
class Listed:
    """The configured list, as noted at an hour."""

    hour: float
    symbols: tuple[str, ...]

    async def write(self, writer: Writer) -> None:
        await record_list(writer, SymbolList("", tuple(map(Symbol, self.symbols))), at=after(self.hour))


@dataclass(frozen=True)
class Renamed:
    """The configured renames, from now on."""

    renames: tuple[Rename, ...] = field(default=())

    async def write(self, writer: Writer) -> None:
        await record_renames(writer, "", self.renames)


def write_steps(database: Path, steps: Iterable[Step]) -> None:
    """Write what happened, in that order."""

    async def write() -> None:
        async with open_writer(database) as writer:
            for step in steps:
                await step.write(writer)

    asyncio.run(write())


def seen_fields(**fields: Any) -> tuple[tuple[str, Any], ...]:
    """Return fields of an overview, as `Ended` has them."""
    return tuple(fields.items())


@dataclass(frozen=True)
class WentOn:
    """How symbols that were left ended in a run that was under way, and when it ended; nothing where none is."""

    ended: tuple[Ended, ...] = ()
    finished: float | None = None
    status: RunStatus = RunStatus.PARTIAL
    detail: str | None = None
    symbols: int | None = None
    """Of an import: how many it was for."""

    async def write(self, writer: Writer) -> None:
        running, done = await writer.write(_running, None)
        if running is None:
            return
        store = Store(writer)
        for one in self.ended:
            if one.symbol not in done:
                await one.write(store, running)
        if self.finished is not None:
            counts = Counter(one.outcome for one in self.ended)
            result = RunResult(self.status, counts, 9, 1.5, self.detail, self.symbols, uncovered=1)
            await store.finish(running, result, at=after(self.finished))


async def _running(db: Connection, items: Sequence[None]) -> Sequence[tuple[RunId | None, set[str]]]:
    """Return the run that is under way, and the symbols that have ended in it."""
    ((running,),) = await db.execute_fetchall("SELECT max(id) FROM runs WHERE status = 'running'")
    ended = await db.execute_fetchall("SELECT symbol FROM outcomes WHERE run_id = ?", (running,))
    return [(running, {symbol for (symbol,) in ended})] * len(items)
