"""The contract of the port Results: a run leaves the same record, kept in a file or followed from a fleet's log."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pipeline.collect.ports import Results
from pipeline.fleet.pool import open_pool
from pipeline.model.document import Overview
from pipeline.model.outcomes import Outcome, RunId, RunResult, RunStatus, SymbolResult, Trigger
from pipeline.model.symbols import Symbol, SymbolList
from pipeline.store.database import StorageError
from pipeline.store.reader import Reader
from pipeline.store.runs import Store
from pipeline.store.writer import open_writer
from tests.support.clocks import ManualClock
from tests.support.fleet_log import follow, reserved, results_of, rows, slot, unreliable
from tests.support.store import overview

IBM, PEP, AAPL, KO = map(Symbol, ("IBM", "PEP", "AAPL", "KO"))


@dataclass
class Kept:
    """An implementation of the port, how to take a slot for a symbol, and how to bring the record up to date."""

    results: Results
    take: Callable[[str], Any]
    update: Callable[[], Any]


@asynccontextmanager
async def in_a_file(database: Path) -> AsyncIterator[Kept]:
    numbers = count(1)

    async def take(_symbol: str) -> int:
        return next(numbers)

    async def update() -> None: ...

    async with open_writer(database) as writer:
        yield Kept(Store(writer), take, update)


@asynccontextmanager
async def in_a_fleet(database: Path, url: str) -> AsyncIterator[Kept]:
    async with open_pool(url) as pool, results_of(pool) as results:

        async def take(symbol: str) -> int:
            return await reserved(pool, symbol, at=datetime.now(UTC))

        async def update() -> None:
            await follow(database, pool)

        yield Kept(results, take, update)


async def hand_over(kept: Kept, run: RunId, found: Overview) -> Outcome:
    """Hand an overview over, and return its outcome once it is durable."""
    done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def finish(outcome: Outcome, error: BaseException | None) -> None:
        done.set_result(outcome) if error is None else done.set_exception(error)

    given = slot(await kept.take(found.symbol), found.symbol, run=run)
    kept.results.hand_over(run, found, at=datetime.now(UTC), attempts=1, slot=given, on_done=finish)
    return await done


async def note(kept: Kept, run: RunId, symbol: Symbol, outcome: Outcome) -> None:
    given = slot(await kept.take(symbol), symbol, run=run)
    await kept.results.note(SymbolResult(run, symbol, outcome, 1, datetime.now(UTC), "why", given))


async def test_a_run_leaves_its_record_in_a_file(database: Path) -> None:
    await leave_a_record(in_a_file(database), database)


async def test_a_run_leaves_the_same_record_in_what_follows_a_fleet(database: Path, fleet_url: str) -> None:
    await leave_a_record(in_a_fleet(database, fleet_url), database)


async def leave_a_record(kept: AbstractAsyncContextManager[Kept], database: Path) -> None:
    async with kept as to:
        at = datetime.now(UTC)
        await to.results.record_list(SymbolList("", (IBM, PEP)), at=at)
        await to.results.record_list(SymbolList("", (PEP, IBM)), at=at)
        first = await to.results.begin(Trigger.MANUAL, at=at, symbols=4, due=4)
        outcomes = [await hand_over(to, first, overview(IBM)), await hand_over(to, first, overview(AAPL, EPS="2"))]
        await note(to, first, PEP, Outcome.UNKNOWN)
        await note(to, first, KO, Outcome.FAILED)
        assert [await to.results.has_snapshots(symbol) for symbol in (IBM, PEP)] == [True, False]
        counts = {Outcome.STORED: 2, Outcome.UNKNOWN: 1, Outcome.FAILED: 1}
        await to.results.finish(first, RunResult(RunStatus.PARTIAL, counts, 4, 1.5, "so"), at=datetime.now(UTC))

        second = await to.results.begin(Trigger.MANUAL, at=datetime.now(UTC), symbols=4, due=4)
        outcomes += [await hand_over(to, second, overview(IBM)), await hand_over(to, second, overview(AAPL, EPS="3"))]
        assert await to.results.defer(second, [PEP, KO], at=datetime.now(UTC), detail="no quota") == 2
        await to.results.ping()
        counts = {Outcome.STORED: 1, Outcome.UNCHANGED: 1, Outcome.DEFERRED: 2}
        end = RunResult(RunStatus.QUOTA_EXHAUSTED, counts, 2, 0.25, None)
        await to.results.finish(second, end, at=datetime.now(UTC))
        await to.update()

    assert outcomes == [Outcome.STORED, Outcome.STORED, Outcome.UNCHANGED, Outcome.STORED]
    with Reader.open(database) as reader:
        runs = [
            (run.id, run.trigger, run.status, run.symbols, run.due, run.stored, run.unchanged, run.unknown, run.failed,
             run.deferred, run.requests, run.seconds, run.detail)
            for run in reader.runs(9)
        ]  # fmt: skip
        ends = [
            [(one.symbol, one.outcome, one.attempts, one.detail) for one in sorted(reader.outcomes(run), key=str)]
            for run in (first, second)
        ]
        states = [(one.symbol, one.state, one.last_outcome, one.snapshots) for one in reader.symbol_states().values()]
        listed = {symbol: [one.until for one in spans] for symbol, spans in reader.universe().items()}
    assert runs == [
        (2, "manual", "quota_exhausted", 4, 4, 1, 1, 0, 0, 2, 2, 0.25, None),
        (1, "manual", "partial", 4, 4, 2, 0, 1, 1, 0, 4, 1.5, "so"),
    ]
    assert ends == [
        [("AAPL", "stored", 1, None), ("IBM", "stored", 1, None), ("KO", "failed", 1, "why"),
         ("PEP", "unknown", 1, "why")],
        [("AAPL", "stored", 1, None), ("IBM", "unchanged", 1, None), ("KO", "deferred", 0, "no quota"),
         ("PEP", "deferred", 0, "no quota")],
    ]  # fmt: skip
    assert sorted(states) == [
        ("AAPL", "covered", "stored", 2), ("IBM", "covered", "unchanged", 1), ("KO", None, "failed", 0),
        ("PEP", "unknown", "unknown", 0),
    ]  # fmt: skip
    assert listed == {"IBM": [None], "PEP": [None]}


async def test_what_may_be_repeated_is_tried_again_and_a_run_is_begun_once(fleet_url: str, clock: ManualClock) -> None:
    async with open_pool(fleet_url) as pool:
        async with results_of(unreliable(pool, "after"), clock=clock.as_clock()) as results:
            with pytest.raises(StorageError, match="cannot be reached"):
                await results.begin(Trigger.MANUAL, at=clock.wall, symbols=1, due=1)
        async with results_of(unreliable(pool, "after", "before"), clock=clock.as_clock()) as results:
            await results.finish(RunId(1), RunResult(RunStatus.COMPLETE, {}, 0, 1, None), at=clock.wall)

    assert clock.waits == [0.25, 0.5]
    assert rows(fleet_url, "SELECT id, status FROM fleet.runs") == [(1, "complete")]
    assert rows(fleet_url, "SELECT count(*) FROM fleet.log WHERE kind = 'run'") == [(2,)]
