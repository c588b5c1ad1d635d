"""Maintenance: old outcomes and slots go, snapshots stay, and the write-ahead log is emptied."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from pipeline.model.outcomes import Outcome, RunId, RunResult, RunStatus, SymbolResult, Trigger
from pipeline.model.symbols import Symbol
from pipeline.store import maintenance
from pipeline.store.database import wal_bytes
from pipeline.store.maintenance import checkpoint, prune, prune_outcomes
from pipeline.store.runs import Store
from pipeline.store.writer import open_writer
from tests.support.clocks import START
from tests.support.store import overview, store_overview

DAY = timedelta(days=1)


def count(database: Path, table: str) -> int:
    with closing(sqlite3.connect(database)) as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


async def test_outcomes_older_than_they_are_kept_are_deleted_and_counted(database: Path) -> None:
    async with open_writer(database) as writer:
        store = Store(writer)
        for days in (0, 10):
            at = START + days * DAY
            run = await store.begin(Trigger.MANUAL, at=at, symbols=1_500, due=1_500)
            await store_overview(store, run, overview(EPS=str(days)), at=at)
            await store.defer(run, [Symbol(f"S{number}") for number in range(1_500)], at=at, detail="quota")
            await store.finish(run, RunResult(RunStatus.PARTIAL, {}, 1, 1.0, None), at=at)

        deleted = await prune(writer, longest_window=DAY, outcomes_kept=9 * DAY, now=START + 10 * DAY)

    assert (deleted, count(database, "outcomes")) == (1_501, 1_501)
    assert (count(database, "runs"), count(database, "snapshots")) == (2, 2)


async def exhausted(store: Store, schedule: str | None = None, *, symbols: int = 3) -> RunId:
    """Store a run that requested nothing, as the quota had ended."""
    run = await store.begin(Trigger.MANUAL, at=START, symbols=symbols, due=symbols, schedule=schedule)
    await store.defer(run, [Symbol(f"S{number}") for number in range(symbols)], at=START, detail="quota")
    deferred = {Outcome.DEFERRED: symbols}
    await store.finish(run, RunResult(RunStatus.QUOTA_EXHAUSTED, deferred, 0, 1.0, None), at=START)
    return run


async def test_of_runs_that_requested_nothing_only_the_last_keeps_its_outcomes(database: Path) -> None:
    async with open_writer(database) as writer:
        store = Store(writer)
        for _ in range(3):
            last = await exhausted(store, symbols=1_500)
        of_a_schedule = await exhausted(store, "0 18 * * *")
        some = await store.begin(Trigger.MANUAL, at=START, symbols=2, due=2)
        await store_overview(store, some, overview(EPS="1"), at=START)
        await store.defer(some, [Symbol("S1")], at=START, detail="quota")
        ended = RunResult(RunStatus.QUOTA_EXHAUSTED, {Outcome.STORED: 1, Outcome.DEFERRED: 1}, 1, 1.0, None)
        await store.finish(some, ended, at=START)

        assert await prune_outcomes(writer, before=None, most=1_000) == 1_000
        assert await prune_outcomes(writer, before=None) == 2_000
        assert await prune_outcomes(writer, before=None) == 0

    with closing(sqlite3.connect(database)) as db:
        kept = db.execute("SELECT run_id, count(*) FROM outcomes GROUP BY run_id").fetchall()
    assert kept == [(last, 1_500), (of_a_schedule, 3), (some, 2)]


async def test_outcomes_of_a_run_under_way_stay(database: Path) -> None:
    async with open_writer(database) as writer:
        store = Store(writer)
        run = await store.begin(Trigger.MANUAL, at=START, symbols=1, due=1)
        await store.note(SymbolResult(run, Symbol("IBM"), Outcome.FAILED, 1, START))
        assert await prune(writer, longest_window=DAY, outcomes_kept=DAY, now=START + 10 * DAY) == 0
    assert count(database, "outcomes") == 1


def test_a_checkpoint_empties_the_log_that_an_open_reader_keeps(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("INSERT INTO looks VALUES ('IBM', '2026')")
        assert wal_bytes(database) > 0
        checkpoint(database)
        assert wal_bytes(database) == 0
    assert count(database, "looks") == 1


def test_without_a_log_there_are_no_bytes_in_it(tmp_path: Path) -> None:
    assert wal_bytes(tmp_path / "absent.db") == 0


def test_outcomes_that_stay_are_not_read_to_find_those_that_go(database: Path) -> None:
    with closing(sqlite3.connect(database)) as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {maintenance._REPEATED}", (1,))]

    assert any(line.startswith("SCAN runs") for line in plan)
    assert not any(line.startswith("SCAN outcomes") for line in plan)
