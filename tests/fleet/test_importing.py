import asyncio
import shutil
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.clock import REAL_CLOCK
from pipeline.fleet import originals
from pipeline.fleet.connection import FleetError
from pipeline.fleet.importing import Imported, NotImportable, import_record
from pipeline.fleet.pool import Pool
from pipeline.instants import to_text
from pipeline.model.invented import INVENTED
from pipeline.model.outcomes import Outcome, RunResult, RunStatus, SymbolResult, Trigger
from pipeline.model.slots import KeyId
from pipeline.model.symbols import Symbol, SymbolList
from pipeline.store.database import connect
from pipeline.store.log_entries import stop_following
from pipeline.store.log_place import followed
from pipeline.store.runs import Store
from pipeline.store.schedules import activate
from pipeline.store.writer import open_writer
from tests.support.clocks import START, ManualClock
from tests.support.fleet_log import (
    MEMBER,
    answer,
    append,
    content,
    follow,
    reserved,
    rows,
    slot,
    unreliable,
)
from tests.support.observations import empty_database
from tests.support.store import overview

IBM, PEP, KO = map(Symbol, ("IBM", "PEP", "KO"))
HOUR = timedelta(hours=1)


KEYS = {KeyId("k1"): "main", KeyId("k2"): "second"}


async def import_it(database: Path, pool: Pool) -> Imported:
    return await import_record(database, pool, member=MEMBER, keys=KEYS, clock=REAL_CLOCK)


@pytest.fixture
async def record(database: Path) -> Path:
    """Return a record with all that a machine may have collected: two runs, one of them cut short."""
    async with open_writer(database) as writer:
        store = Store(writer)
        await activate(writer, {"0 18 * * * UTC": START}, since=START, now=START)
        await store.record_list(SymbolList("/etc/symbols.txt", (IBM, PEP)), at=START)
        for turn in range(4):
            at = START + turn * 24 * HOUR
            run = await store.begin(
                Trigger.SCHEDULE, at=at, symbols=3, due=3, schedule="0 18 * * * UTC", scheduled_for=at
            )
            await write(store, run, overview(IBM, EPS=str(turn // 2)), at + HOUR)
            await write(store, run, overview(KO), at + HOUR)
            await store.note(SymbolResult(run, PEP, Outcome.UNKNOWN, 1, at + HOUR, "not covered"))
            await store.note(SymbolResult(run, Symbol("AAPL"), Outcome.FAILED, 2, at + HOUR, "503"))
            if turn < 3:
                end = RunResult(RunStatus.PARTIAL, {Outcome.STORED: 1}, 5, 1.5, "why")
                await store.finish(run, end, at=at + 2 * HOUR)
    return database


def empty(beside: Path) -> Path:
    """Return a new record beside another."""
    return Path(shutil.copy(empty_database(), beside.with_name("empty.db")))


async def write(store: Store, run: Any, found: Any, at: datetime) -> None:
    done = asyncio.get_running_loop().create_future()
    store.hand_over(
        run, found, at=at, attempts=1, slot=slot(1, found.symbol), on_done=lambda outcome, _: done.set_result(outcome)
    )
    await done


async def test_a_record_becomes_the_fleets_and_its_file_a_follower(record: Path, fleet_url: str, pool: Pool) -> None:
    done = await import_it(record, pool)
    fresh = empty(record)
    await follow(fresh, pool)

    assert done == Imported(is_whole=True, was_begun=False, symbols=4, observations=12)
    assert content(fresh) == content(record)
    (head,) = rows(fleet_url, "SELECT seq FROM fleet.log_head")[0]
    place = followed(record)
    assert place is not None
    assert place.seq == head
    assert rows(fleet_url, "SELECT id FROM fleet.runs ORDER BY id") == [(1,), (2,), (3,), (4,)]
    async with pool.connection() as db:
        cursor = await db.execute("SELECT fleet.begin_alone('manual', 1, 1, NULL, NULL, 'alpha', NULL)")
        assert await cursor.fetchone() == (5,)


async def test_the_fleet_knows_of_symbols_what_the_record_did(record: Path, fleet_url: str, pool: Pool) -> None:
    await import_it(record, pool)

    known = rows(fleet_url, "SELECT symbol, last_look, misses FROM fleet.symbols ORDER BY symbol")
    last = START + 73 * HOUR
    assert known == [("AAPL", None, 0), ("IBM", last, 0), ("KO", last, 0), ("PEP", last, 4)]


@pytest.mark.parametrize("failure", ["before", "after"])
async def test_an_import_that_is_cut_short_goes_on_and_adds_nothing_twice(
    failure: str, record: Path, fleet_url: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(originals, "CHUNK", 1)
    times, done = 0, None
    while done is None:
        with suppress(FleetError):
            done = await import_it(record, unreliable(pool, *["ok"] * times, failure))
        times += 1
    again = await import_it(record, pool)
    fresh = empty(record)
    await follow(fresh, pool)

    assert times > 5
    assert done.was_begun
    assert again.was_begun
    assert content(fresh) == content(record)
    entries = rows(fleet_url, "SELECT kind, count(*) FROM fleet.log GROUP BY 1 ORDER BY 1")
    assert entries == [("answer", 8), ("outcome", 4), ("run", 4), ("schedules", 1), ("symbols", 1), ("uncovered", 4)]
    (place,) = {followed(record), followed(fresh)}
    assert place is not None
    assert place.seq == 22


async def test_what_the_fleet_logs_meanwhile_is_not_missed(
    record: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(originals, "CHUNK", 1)
    with pytest.raises(FleetError):
        await import_it(record, unreliable(pool, *["ok"] * 9, "before"))
    async with pool.connection() as db:
        await db.execute("SELECT fleet.begin_alone('manual', 1, 1, NULL, NULL, 'beta', NULL)")
    await append(pool, answer(await reserved(pool, "NEW"), 99, {"Symbol": "NEW"}, symbol="NEW", run=5))
    await import_it(record, pool)
    await follow(record, pool)
    fresh = empty(record)
    await follow(fresh, pool)

    assert content(fresh) == content(record)
    assert [row[0] for row in content(record)["runs"]] == [1, 2, 3, 4, 5]


async def test_a_fleet_that_has_runs_gets_what_was_observed_under_a_run_of_its_own(
    record: Path, fleet_url: str, pool: Pool
) -> None:
    async with pool.connection() as db:
        await db.execute("SELECT fleet.begin_alone('manual', 1, 1, NULL, NULL, 'beta', NULL)")
    done = await import_it(record, pool)
    fresh = empty(record)
    await follow(fresh, pool)

    assert not done.is_whole
    assert followed(record) is None
    found, ours = content(fresh), content(record)
    assert [run[1:3] for run in found["runs"]] == [("manual", None), ("import", None)]
    for table in ("snapshots", "looks", "uncovered"):
        assert found[table] == ours[table]
    runs = rows(fleet_url, "SELECT id, trigger, status, stored, unchanged, unknown FROM fleet.runs ORDER BY id")
    assert runs[1] == (2, "import", "complete", 3, 5, 4)


async def test_the_ledger_and_blocks_count_by_postgresqls_clock_and_for_every_key_where_none_is_named(
    record: Path, fleet_url: str, pool: Pool
) -> None:
    at = datetime.now(UTC)
    with closing(sqlite3.connect(record)) as db:
        db.execute(
            "INSERT INTO requests (run_id, symbol, retry, reserved_at, deadline_at) VALUES (1, 'IBM', 0, ?, ?)",
            (to_text(at + HOUR - HOUR / 60), to_text(at + HOUR)),
        )
        db.execute("INSERT INTO blocked VALUES ('k2', ?, ?, NULL)", (to_text(at + HOUR), to_text(at + 2 * HOUR)))
        db.commit()
    clock = ManualClock(at + HOUR).as_clock()  # an hour ahead

    await import_record(record, pool, member=MEMBER, keys=KEYS, clock=clock)

    slots = rows(fleet_url, "SELECT key_id, outcome, counts_from FROM fleet.slots ORDER BY key_id")
    assert [row[:2] for row in slots] == [("k1", "died"), ("k2", "died")]
    assert all(abs(row[2] - at) < timedelta(minutes=1) for row in slots)
    ((key, name, until),) = rows(fleet_url, "SELECT id, name, blocked_until FROM fleet.keys")
    assert (key, name) == ("k2", "second")
    assert abs(until - at - HOUR) < timedelta(minutes=1)


async def test_invented_and_real_data_are_not_mixed(database: Path, record: Path, pool: Pool) -> None:
    invented = {"Symbol": "NEW", "Description": f"NEW {INVENTED}"}
    await append(pool, answer(await reserved(pool, "NEW"), 1, invented, symbol="NEW"))

    with pytest.raises(NotImportable, match="mixed"):
        await import_it(record, pool)


async def test_a_follower_is_not_imported(database: Path, pool: Pool) -> None:
    await follow(database, pool)

    with pytest.raises(NotImportable, match="follows this fleet"):
        await import_it(database, pool)


async def test_a_record_that_has_collected_since_it_was_imported_is_not_taken_for_imported(
    record: Path, pool: Pool
) -> None:
    await import_it(record, pool)
    with connect(record, "rw") as db:
        stop_following(db)
    again = await import_it(record, pool)
    with connect(record, "rw") as db:
        stop_following(db)
    async with open_writer(record) as writer:
        await Store(writer).begin(Trigger.MANUAL, at=START, symbols=1, due=1)

    assert again.was_begun
    with pytest.raises(NotImportable, match="has collected since"):
        await import_it(record, pool)
