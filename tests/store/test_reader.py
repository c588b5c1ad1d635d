"""The reader: which run is the last, and which databases it refuses."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.instants import to_text
from pipeline.model.outcomes import Outcome, RunId, RunResult, RunStatus, SymbolResult, Trigger
from pipeline.model.slots import KeyId
from pipeline.model.symbols import Symbol
from pipeline.store import time_limit
from pipeline.store.database import DatabaseError
from pipeline.store.in_flight import InFlight, count_lost, note_in_flight
from pipeline.store.migrate import migrate
from pipeline.store.reader import NoData, Reader, open_for_reading
from pipeline.store.runs import Store
from pipeline.store.time_limit import TooSlow, bounded
from pipeline.store.writer import open_writer
from tests.support.clocks import START
from tests.support.database import earlier_migrations
from tests.support.store import HOUR, at, note, overview, store_overview

DAILY = "30 18 * * mon-fri America/New_York"


async def run(database: Path, trigger: Trigger, status: RunStatus | None, hour: int) -> int:
    """Store a run that ended with a status, or is under way (None)."""
    async with open_writer(database) as writer:
        store = Store(writer)
        number = await store.begin(trigger, at=START + hour * HOUR, symbols=1, due=1)
        if status is not None:
            await store.finish(number, RunResult(status, {}, 1, 1.0, None), at=START + hour * HOUR)
        return number


async def test_the_last_run_depends_on_what_counts_as_one(database: Path) -> None:
    complete = await run(database, Trigger.SCHEDULE, RunStatus.COMPLETE, 0)
    failed = await run(database, Trigger.MANUAL, RunStatus.FAILED, 1)
    imported = await run(database, Trigger.IMPORT, RunStatus.COMPLETE, 2)
    under_way = await run(database, Trigger.MANUAL, None, 3)
    with closing(sqlite3.connect(database)) as db, db:
        on_demand = "INSERT INTO runs (trigger, status, symbols, due) VALUES ('on_demand', ?, 1, 1)"
        db.executemany(on_demand, [("complete",), ("failed",)])
        db.execute("INSERT INTO runs (trigger, status, scheduled_for) VALUES ('schedule', 'missed', ?)", (at(4),))

    with Reader.open(database) as reader:
        found = (reader.last_run(), reader.last_finished_run(), reader.last_complete_run())
        assert [one and one.id for one in found] == [under_way, failed, complete]
        assert [one.id for one in reader.runs(5)] == [*range(under_way + 3, under_way, -1), under_way, imported]
        assert reader.counts_by_status() == {"complete": 2, "failed": 1, "running": 1, "missed": 1}
        assert reader.on_demand_counts() == {"complete": 1, "failed": 1}
        assert reader.last_run_on_demand() == reader.run(under_way + 2)


async def test_missed_fire_times_are_those_since_an_instant(database: Path) -> None:
    with closing(sqlite3.connect(database)) as db, db:
        db.executemany(
            "INSERT INTO runs (trigger, status, schedule, scheduled_for) VALUES ('schedule', 'missed', ?, ?)",
            [(DAILY, at(2)), (DAILY, at(1)), (None, at(3)), ("other", at(4))],
        )
    with Reader.open(database) as reader:
        assert [one.scheduled_for for one in reader.missed_fire_times(START + 2 * HOUR)] == [at(2), at(4)]


async def test_what_the_runs_for_a_fire_time_observed_is_what_the_api_answered(database: Path) -> None:
    async with open_writer(database) as writer:
        store = Store(writer)
        for trigger, symbol in ((Trigger.SCHEDULE, "IBM"), (Trigger.CONTINUE, "PEP")):
            number = await store.begin(trigger, at=START, symbols=9, due=9, schedule=DAILY, scheduled_for=START - HOUR)
            await store_overview(store, number, overview(Symbol(symbol)), at=START)
        for symbol, outcome in (("NONE", Outcome.UNKNOWN), ("KO", Outcome.FAILED), ("V", Outcome.DEFERRED)):
            await store.note(SymbolResult(number, Symbol(symbol), outcome, 1, START))
        number = await store.begin(Trigger.MANUAL, at=START, symbols=1, due=1)
        await store_overview(store, number, overview(Symbol("TSLA")), at=START)

    with Reader.open(database) as reader:
        assert reader.observed_for(DAILY, START - HOUR) == {"IBM", "PEP", "NONE"}
        assert reader.observed_for(DAILY, START) == set()


async def test_freshness_is_of_every_symbol_ever_requested(database: Path) -> None:
    await note(database, Outcome.UNKNOWN, START)
    with Reader.open(database) as reader:
        (one,) = reader.freshness()
    assert (one.symbol, one.last_tried_at) == ("IBM", START)
    assert one.next_try_at == START + timedelta(hours=20)


@pytest.mark.parametrize(
    ("requests", "unanswered"),
    [
        ([("IBM", None)], {"IBM"}),
        ([("PEP", None)], {"PEP"}),
        ([("IBM", "answered"), ("IBM", None), ("PEP", "answered")], {"IBM"}),
        ([("IBM", None), ("IBM", "answered")], set()),
    ],
)
async def test_a_symbol_is_unanswered_if_its_last_request_has_no_end(
    database: Path, requests: list[tuple[str, str | None]], unanswered: set[str]
) -> None:
    await note(database, Outcome.STORED, START)
    instant = to_text(START)
    with closing(sqlite3.connect(database)) as db, db:
        db.executemany(
            "INSERT INTO requests (run_id, symbol, retry, reserved_at, deadline_at, finished_at, outcome)"
            f" VALUES (1, ?1, 0, '{instant}', '{instant}', iif(?2 IS NULL, NULL, '{instant}'), ?2)",
            requests,
        )

    with Reader.open(database) as reader:
        known = list(reader.freshness())

    assert {one.symbol for one in known if one.is_unanswered} == unanswered
    assert len(known) == len({"IBM", *unanswered})


def test_a_missing_database_has_no_data_and_a_sandbox_beside_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "sandbox.db").touch()
    with pytest.raises(NoData) as missing, Reader.open(tmp_path / "overviews.db"):
        pass
    assert str(tmp_path / "overviews.db") in missing.value.problem
    assert all(name in str(missing.value.remedy) for name in ("pipeline collect", str(tmp_path / "sandbox.db")))


def test_an_older_schema_is_refused_and_the_command_that_upgrades_it_is_named(tmp_path: Path) -> None:
    database = tmp_path / "old.db"
    migrate(database, now=START, folder=earlier_migrations(tmp_path, 1))
    with pytest.raises(DatabaseError) as older, Reader.open(database):
        pass
    assert str(database) in older.value.problem
    assert "pipeline migrate" in str(older.value.remedy)


def test_what_would_take_for_ever_is_stopped_and_the_file_named(database: Path) -> None:
    endless = "WITH RECURSIVE endless(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless) SELECT count(*) FROM endless"
    with (
        pytest.raises(TooSlow, match=r"overviews\.db: reading it took longer.*pipeline doctor"),
        open_for_reading(database) as db,
        bounded(db, database, timedelta(0)),
    ):
        db.execute(endless).fetchone()


def test_every_answer_of_a_reader_is_bounded(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "_INSTRUCTIONS", 1)

    with pytest.raises(TooSlow), Reader.open(database, within=timedelta(0)) as reader:
        reader.runs(1)


async def test_all_answers_of_a_reader_are_of_one_moment(database: Path) -> None:
    async with open_writer(database) as writer:
        await writer.write(note_in_flight, InFlight(RunId(1), KeyId("key"), START, 3))
        with Reader.open(database) as reader:
            counted = len(reader.quota_state(START).spent)
            await writer.write(count_lost, to_text(START + HOUR))  # what was in flight is counted from now on
            assert (counted, reader.in_flight()) == (0, 3)
        with Reader.open(database) as reader:
            assert (len(reader.quota_state(START).spent), reader.in_flight()) == (3, 0)
