"""Runs: each is stored with how it ended and how each symbol did, even if its process died."""

import sqlite3
from contextlib import closing
from pathlib import Path

from pipeline.model.outcomes import Outcome, RunId, RunResult, RunStatus, SymbolResult, Trigger
from pipeline.model.symbols import Symbol
from pipeline.store.reader import Reader
from pipeline.store.runs import Store
from pipeline.store.writer import open_writer
from tests.support.clocks import START
from tests.support.store import (
    HOUR,
    IBM,
    PEP,
    at,
    overview,
    store_overview,
)


async def test_a_run_keeps_how_it_ended_and_how_each_symbol_did(database: Path) -> None:
    async with open_writer(database) as writer:
        store = Store(writer)
        run = await store.begin(Trigger.MANUAL, at=START, symbols=9, due=3)
        await store_overview(store, run, overview(), at=START, attempts=2)
        await store.note(SymbolResult(run, PEP, Outcome.REJECTED, 1, START, "no JSON"))
        assert await store.defer(run, [Symbol("KO")], at=START, detail="the quota") == 1
        counts = {Outcome.STORED: 1, Outcome.REJECTED: 1, Outcome.DEFERRED: 1}
        await store.finish(run, RunResult(RunStatus.QUOTA_EXHAUSTED, counts, 3, 1.5, "the quota"), at=START + HOUR)
    with Reader.open(database) as record:
        kept = record.run(run)
        outcomes = [(o.symbol, o.outcome, o.attempts, o.detail) for o in record.outcomes(run)]
    assert kept is not None
    assert (kept.status, kept.symbols, kept.due, kept.stored, kept.rejected, kept.deferred) == (
        ("quota_exhausted", 9, 3, 1, 1, 1)
    )
    assert (kept.requests, kept.seconds, kept.finished_at, kept.detail) == (3, 1.5, at(1), "the quota")
    assert sorted(outcomes) == [
        ("IBM", "stored", 2, None),
        ("KO", "deferred", 0, "the quota"),
        ("PEP", "rejected", 1, "no JSON"),
    ]


async def test_a_run_whose_process_died_is_marked_as_interrupted_by_the_next(database: Path) -> None:
    async with open_writer(database) as writer:
        store = Store(writer)
        first = await store.begin(Trigger.MANUAL, at=START, symbols=1, due=1)
        second = await store.begin(Trigger.MANUAL, at=START + HOUR, symbols=1, due=1)
    assert first != second
    with Reader.open(database) as record:
        died, alive = record.run(first), record.run(RunId(second))
    assert died is not None
    assert alive is not None
    assert (died.status, alive.status) == ("interrupted", "running")


async def test_a_run_under_way_has_its_counts_so_far(database: Path) -> None:
    async with open_writer(database) as writer:
        store = Store(writer)
        run = await store.begin(Trigger.MANUAL, at=START, symbols=9, due=9)
        await store_overview(store, run, overview(), at=START)
        await store.note(SymbolResult(run, PEP, Outcome.UNKNOWN, 1, START, None))
        with Reader.open(database) as record:
            (running,) = record.runs(1)
    assert (running.status, running.due, running.stored, running.unknown, running.failed) == ("running", 9, 1, 1, 0)


async def test_a_run_whose_process_died_keeps_its_counts(database: Path) -> None:
    async with open_writer(database) as writer:
        store = Store(writer)
        run = await store.begin(Trigger.SCHEDULE, at=START, symbols=9, due=3)
        await store.note(SymbolResult(run, Symbol("AAPL"), Outcome.FAILED, 3, START, "no connection"))
        await store.note(SymbolResult(run, Symbol("IBM"), Outcome.UNKNOWN, 1, START))
        await store.begin(Trigger.MANUAL, at=START + HOUR, symbols=1, due=1)

    with closing(sqlite3.connect(database)) as db:
        row = db.execute("SELECT status, failed, unknown, stored, detail FROM runs WHERE id = ?", (run,)).fetchone()
    assert row == ("interrupted", 1, 1, 0, "the process ended without finishing it")


async def test_a_run_counts_the_denied_companies_while_it_is_under_way_and_when_its_process_has_died(
    database: Path,
) -> None:
    async with open_writer(database) as writer:
        store = Store(writer)
        first = await store.begin(Trigger.MANUAL, at=START, symbols=1, due=1)
        await store_overview(store, first, overview(), at=START)
        run = await store.begin(Trigger.SCHEDULE, at=START + HOUR, symbols=2, due=2)
        for symbol in (IBM, PEP):
            await store.note(SymbolResult(run, symbol, Outcome.UNKNOWN, 1, START + HOUR))
        with Reader.open(database) as record:
            (running,) = record.runs(1)
        await store.begin(Trigger.MANUAL, at=START + 2 * HOUR, symbols=1, due=1)
        with Reader.open(database) as record:
            died = record.run(run)

    assert (running.unknown, running.uncovered) == (2, 1)
    assert died is not None
    assert (died.status, died.unknown, died.uncovered) == ("interrupted", 2, 1)
