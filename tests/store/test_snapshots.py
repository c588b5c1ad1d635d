"""The store: what was seen is kept once, exactly, with the interval in which it is known to have held."""

import asyncio
import itertools
import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import instants
from pipeline.model.document import Document, Overview
from pipeline.model.outcomes import Outcome, RunId, RunStatus, Trigger
from pipeline.model.symbols import Symbol
from pipeline.store.reader import Reader
from pipeline.store.runs import RunResult, Store, SymbolResult
from pipeline.store.snapshots import Observation, observation
from pipeline.store.writer import open_writer
from tests.support.clocks import START
from tests.support.kept import documents, snapshots
from tests.support.looks import empty
from tests.support.recordings import needs_recordings, recorded
from tests.support.storing import store_overview

IBM, PEP = Symbol("IBM"), Symbol("PEP")
HOUR = timedelta(hours=1)
LATER = START + 1000 * HOUR


def overview(symbol: Symbol = IBM, **fields: Any) -> Overview:
    return Overview(symbol, {"Symbol": symbol, "Name": "x", "EPS": "1", "LatestQuarter": "2025-12-31", **fields})


async def keep(database: Path, *looks: tuple[Overview, int]) -> list[Outcome]:
    """Keep the overviews, each at so many hours after the start, a run a look."""
    async with open_writer(database) as writer:
        store = Store(writer)
        outcomes = []
        for seen, hour in looks:
            run = await store.begin(Trigger.MANUAL, at=LATER, symbols=1, due=1)
            outcomes.append(await store_overview(store, run, seen, at=START + hour * HOUR))
        return outcomes


def at(hour: int) -> str:
    return instants.to_text(START + hour * HOUR)


async def test_an_overview_is_stored_once_and_confirmed_after(database: Path) -> None:
    same, other = overview(), overview(EPS="2")
    outcomes = await keep(database, (same, 0), (same, 1), (same, 2), (other, 3), (same, 4))
    assert outcomes == [Outcome.STORED, Outcome.UNCHANGED, Outcome.UNCHANGED, Outcome.STORED, Outcome.STORED]
    assert snapshots(database, "IBM") == [(at(0), at(2)), (at(3), at(3)), (at(4), at(4))]


async def test_what_is_kept_comes_back_exactly(database: Path) -> None:
    received: Document = {"EPS": "1.50", "Symbol": "IBM", "New": {"b": [1, 1.0, True, None], "a": "é"}, "Beta": 1}
    await keep(database, (Overview(IBM, received), 0))
    assert [json.dumps(document) for document in documents(database, "IBM")] == [json.dumps(received)]


async def test_another_order_of_keys_is_no_change(database: Path) -> None:
    one = Overview(IBM, {"Symbol": "IBM", "EPS": "1", "New": {"a": 1, "b": 2}})
    two = Overview(IBM, {"New": {"b": 2, "a": 1}, "EPS": "1", "Symbol": "IBM"})
    assert await keep(database, (one, 0), (two, 1)) == [Outcome.STORED, Outcome.UNCHANGED]


async def test_another_spelling_is_a_new_snapshot(database: Path) -> None:
    assert await keep(database, (overview(EPS="1"), 0), (overview(EPS="1.0"), 1)) == [Outcome.STORED] * 2


async def test_slow_parts_are_kept_once_and_shared(database: Path) -> None:
    await keep(database, *((overview(EPS=str(n)), n) for n in range(20)), (overview(PEP, EPS="7"), 20))
    with sqlite3.connect(database) as db:
        counts = [db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("profiles", "statements", "layouts")]
    db.close()
    assert counts == [1, 1, 1]


async def test_symbols_know_what_is_kept_of_them(database: Path) -> None:
    await keep(database, (overview(), 0), (overview(), 1), (overview(EPS="2"), 2))
    with Reader.open(database) as record:
        state = record.symbol_states()["IBM"]
    assert (state.state, state.since, state.last_look, state.last_outcome) == ("covered", at(0), at(2), "stored")
    assert state.snapshots == 2


async def test_many_at_once_share_a_commit_and_lose_nothing(database: Path) -> None:
    names = [Symbol(f"S{n}") for n in range(300)]
    async with open_writer(database) as writer:
        store = Store(writer)
        run = await store.begin(Trigger.MANUAL, at=START, symbols=300, due=300)
        outcomes = await asyncio.gather(
            *(store_overview(store, run, overview(name, EPS=str(n)), at=START) for n, name in enumerate(names))
        )
    assert set(outcomes) == {Outcome.STORED}
    assert all(len(snapshots(database, name)) == 1 for name in names)


# In whatever order


def in_order(looks: Sequence[tuple[str, int]]) -> list[tuple[str, str, str]]:
    """What the record is to be: each run of equal looks, from its first to its last."""
    kept: list[tuple[str, str, str]] = []
    for version, hour in sorted(looks, key=lambda look: look[1]):
        if kept and kept[-1][0] == version:
            kept[-1] = (version, kept[-1][1], at(hour))
        else:
            kept.append((version, at(hour), at(hour)))
    return kept


def kept_versions(database: Path) -> list[tuple[str, str, str]]:
    with sqlite3.connect(database) as db:
        rows = db.execute("SELECT extra, observed_at, confirmed_at FROM overviews ORDER BY observed_at").fetchall()
    db.close()
    return [(json.loads(extra)["v"], observed, confirmed) for extra, observed, confirmed in rows]


def looks_kept(database: Path) -> list[str]:
    with sqlite3.connect(database) as db:
        rows = db.execute("SELECT at FROM looks UNION SELECT observed_at FROM snapshots ORDER BY 1").fetchall()
    db.close()
    return [row[0] for row in rows]


def version(name: str) -> Overview:
    return Overview(IBM, {"Symbol": "IBM", "v": name})


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
async def test_the_record_is_the_same_in_whatever_order_it_was_filled(database: Path, order: tuple[int, ...]) -> None:
    looks = [("A", 0), ("A", 1), ("B", 2), ("A", 3)]
    await keep(database, *((version(looks[n][0]), looks[n][1]) for n in order))
    assert kept_versions(database) == in_order(looks)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), versions=st.lists(st.sampled_from("ABC"), min_size=1, max_size=9))
async def test_any_looks_in_any_order_again_and_again(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, versions: list[str]
) -> None:
    looks = [(name, hour) for hour, name in enumerate(versions)]
    filled = data.draw(st.permutations(looks)) + data.draw(st.lists(st.sampled_from(looks), max_size=3))
    path = tmp_path_factory.mktemp("store") / "overviews.db"
    shutil.copyfile(empty(), path)
    await keep(path, *((version(name), hour) for name, hour in filled))
    assert kept_versions(path) == in_order(looks)
    assert looks_kept(path) == [at(hour) for _, hour in looks]
    with Reader.open(path) as record:
        state = record.symbol_states()["IBM"]
    assert state.snapshots == len(in_order(looks))
    assert state.last_look == at(len(looks) - 1)


# Recordings: what others kept, in whatever order, in chunks, and among runs


def observed(found: str, hour: int) -> Observation:
    return observation(IBM, START + hour * HOUR, None if found == "{}" else version(found))


async def add(database: Path, *looks: tuple[str, int]) -> list[Outcome]:
    async with open_writer(database) as writer:
        return await Store(writer).add([observed(found, hour) for found, hour in looks])


def whole(database: Path) -> list[Any]:
    """Everything that looks leave behind, but for the numbers under which parts are kept."""
    queries = (
        "SELECT symbol, observed_at, confirmed_at, extra FROM overviews ORDER BY 1, 2",
        "SELECT symbol, at FROM looks ORDER BY 1, 2",
        "SELECT symbol, at FROM uncovered ORDER BY 1, 2",
        "SELECT symbol, state, since, last_look, next_try, last_try, last_outcome, snapshots FROM symbols ORDER BY 1",
    )
    with sqlite3.connect(database) as db:
        rows = [db.execute(query).fetchall() for query in queries]
    db.close()
    return rows


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), found=st.lists(st.sampled_from(["A", "B", "{}"]), min_size=1, max_size=9))
async def test_recordings_in_any_order_and_chunks_among_runs_make_the_same_record(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, found: list[str]
) -> None:
    looks = [(one, hour) for hour, one in enumerate(found)]
    straight, mixed = (tmp_path_factory.mktemp("store") / name for name in ("straight.db", "mixed.db"))
    for path in (straight, mixed):
        shutil.copyfile(empty(), path)
    await add(straight, *looks)
    left = data.draw(st.permutations(looks)) + data.draw(st.lists(st.sampled_from(looks), max_size=3))
    while left:
        count = data.draw(st.integers(1, len(left)))
        chunk, left = left[:count], left[count:]
        if data.draw(st.booleans()):
            await add(mixed, *chunk)
        else:
            for one, hour in chunk:
                if one == "{}":
                    await note(mixed, Outcome.UNKNOWN, START + hour * HOUR, began=LATER)
                else:
                    await keep(mixed, (version(one), hour))
    assert whole(mixed) == whole(straight)


async def test_what_became_of_each_observation_is_told_in_their_order(database: Path) -> None:
    outcomes = await add(database, ("A", 5), ("{}", 4), ("A", 3), ("B", 5), ("B", 4), ("A", 3))
    assert outcomes == [
        Outcome.STORED, Outcome.UNKNOWN, Outcome.STORED, Outcome.REJECTED, Outcome.STORED, Outcome.UNCHANGED,
    ]  # fmt: skip
    assert kept_versions(database) == [("A", at(3), at(3)), ("B", at(4), at(4)), ("A", at(5), at(5))]


async def test_of_two_documents_for_one_instant_the_first_stays(database: Path) -> None:
    outcomes = await keep(database, (version("A"), 0), (version("B"), 0), (version("A"), 1), (version("B"), 1))
    assert outcomes == [Outcome.STORED, Outcome.REJECTED, Outcome.UNCHANGED, Outcome.REJECTED]
    assert kept_versions(database) == [("A", at(0), at(1))]


@needs_recordings
async def test_every_recorded_overview_is_kept_exactly(database: Path) -> None:
    lines = list(recorded("overviews.jsonl.gz"))
    looks = [(Overview(Symbol(line["symbol"]), json.loads(line["body"])), n) for n, line in enumerate(lines)]
    outcomes = await keep(database, *looks)
    assert set(outcomes) <= {Outcome.STORED, Outcome.UNCHANGED}
    kept = {json.dumps(d) for symbol in {line["symbol"] for line in lines} for d in documents(database, symbol)}
    assert kept == {json.dumps(json.loads(line["body"])) for line in lines}


# What is no overview


async def note(
    database: Path, outcome: Outcome, when: datetime, *, attempts: int = 1, began: datetime | None = None
) -> None:
    async with open_writer(database) as writer:
        store = Store(writer)
        run = await store.begin(Trigger.MANUAL, at=began or when, symbols=1, due=1)
        await store.note(SymbolResult(run, IBM, outcome, attempts, when, "why"))


async def test_a_symbol_that_is_not_covered_is_asked_again_after_1_2_4_to_30_days(database: Path) -> None:
    when = START
    for days in (1, 2, 4, 8, 16, 30, 30):
        await note(database, Outcome.UNKNOWN, when)
        with Reader.open(database) as record:
            state = record.symbol_states()["IBM"]
        assert state.state == "unknown"
        assert state.since == instants.to_text(START)
        assert state.next_try == instants.to_text(when + timedelta(days=days))
        when += timedelta(days=days)


async def test_what_a_run_finds_out_days_after_it_began_counts(database: Path) -> None:
    when = START + timedelta(days=3)  # a long list, or the machine slept meanwhile
    await note(database, Outcome.UNKNOWN, when, began=START)
    with Reader.open(database) as record:
        state = record.symbol_states()["IBM"]
    assert (state.state, state.next_try) == ("unknown", instants.to_text(when + timedelta(days=1)))


async def test_a_symbol_covered_again_begins_anew(database: Path) -> None:
    await note(database, Outcome.UNKNOWN, START)
    await note(database, Outcome.UNKNOWN, START + HOUR)
    await keep(database, (overview(), 2))
    with Reader.open(database) as record:
        assert (record.symbol_states()["IBM"].state, record.symbol_states()["IBM"].next_try) == ("covered", None)
    await note(database, Outcome.UNKNOWN, START + 3 * HOUR)
    with Reader.open(database) as record:
        state = record.symbol_states()["IBM"]
    assert (state.since, state.next_try) == (at(3), instants.to_text(START + 3 * HOUR + timedelta(days=1)))
    assert len(snapshots(database, "IBM")) == 1


async def test_a_look_in_the_future_hides_nothing_that_is_seen_now(database: Path) -> None:
    await note(database, Outcome.UNKNOWN, LATER + 1000 * HOUR)
    await keep(database, (overview(), 0))
    with Reader.open(database) as record:
        state = record.symbol_states()["IBM"]
    assert (state.state, state.last_look, state.next_try, state.snapshots) == ("covered", at(0), None, 1)


async def test_a_clock_that_was_ahead_does_not_make_a_symbol_due_for_ever(database: Path) -> None:
    ahead = 24 * 365
    await keep(database, (overview(), ahead))
    await keep(database, (overview(), 0))
    with Reader.open(database) as record:
        assert record.symbol_states()["IBM"].last_look == at(0)


async def test_a_recording_does_not_undo_a_later_try(database: Path) -> None:
    await add(database, ("A", 0))
    await note(database, Outcome.REJECTED, START + 5 * HOUR)
    await add(database, ("A", 2))
    with Reader.open(database) as record:
        state = record.symbol_states()["IBM"]
    assert (state.last_look, state.last_try, state.last_outcome) == (at(2), at(5), "rejected")


async def test_a_failure_is_a_try_and_no_look(database: Path) -> None:
    await keep(database, (overview(), 0))
    await note(database, Outcome.FAILED, START + HOUR)
    await note(database, Outcome.DEFERRED, START + 2 * HOUR, attempts=0)
    with Reader.open(database) as record:
        state = record.symbol_states()["IBM"]
    assert (state.last_look, state.last_try, state.last_outcome) == (at(0), at(1), "failed")


async def test_a_run_says_how_it_ended_and_how_each_symbol_did(database: Path) -> None:
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


async def test_a_run_whose_process_died_is_marked_by_the_next(database: Path) -> None:
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


async def test_a_run_under_way_is_counted_as_far_as_it_is(database: Path) -> None:
    async with open_writer(database) as writer:
        store = Store(writer)
        run = await store.begin(Trigger.MANUAL, at=START, symbols=9, due=9)
        await store_overview(store, run, overview(), at=START)
        await store.note(SymbolResult(run, PEP, Outcome.UNKNOWN, 1, START, None))
        with Reader.open(database) as record:
            (running,) = record.runs(1)
    assert (running.status, running.due, running.stored, running.unknown, running.failed) == ("running", 9, 1, 1, 0)


async def test_a_run_whose_process_died_keeps_the_counts_of_what_came_of_it(database: Path) -> None:
    async with open_writer(database) as writer:
        store = Store(writer)
        run = await store.begin(Trigger.SCHEDULE, at=START, symbols=9, due=3)
        await store.note(SymbolResult(run, Symbol("AAPL"), Outcome.FAILED, 3, START, "no connection"))
        await store.note(SymbolResult(run, Symbol("IBM"), Outcome.UNKNOWN, 1, START))
        await store.begin(Trigger.MANUAL, at=START + HOUR, symbols=1, due=1)

    with closing(sqlite3.connect(database)) as db:
        row = db.execute("SELECT status, failed, unknown, stored, detail FROM runs WHERE id = ?", (run,)).fetchone()
    assert row == ("interrupted", 1, 1, 0, "the process ended without finishing it")
