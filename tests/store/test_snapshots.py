"""Snapshots: each version is stored once, exactly, with the interval it was seen in, whatever the order."""

import asyncio
import itertools
import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.model.checksums import Summed, checksum, sum_of
from pipeline.model.document import Document, Overview
from pipeline.model.outcomes import Outcome, Trigger
from pipeline.model.symbols import Symbol
from pipeline.store.migration_steps import daily_columns
from pipeline.store.runs import Store
from pipeline.store.writer import open_writer
from tests.support.clocks import START
from tests.support.database import documents, snapshots
from tests.support.observations import empty_database
from tests.support.recordings import needs_recordings, recorded
from tests.support.store import (
    HOUR,
    IBM,
    LATER,
    PEP,
    at,
    collected,
    imported,
    note,
    overview,
    state_of,
    store_overview,
    version,
)


async def test_an_overview_is_stored_once_and_confirmed_after(database: Path) -> None:
    same, other = overview(), overview(EPS="2")
    outcomes = await collected(database, (same, 0), (same, 1), (same, 2), (other, 3), (same, 4))
    assert outcomes == [Outcome.STORED, Outcome.UNCHANGED, Outcome.UNCHANGED, Outcome.STORED, Outcome.STORED]
    assert snapshots(database, "IBM") == [(at(0), at(2)), (at(3), at(3)), (at(4), at(4))]


async def test_a_document_comes_back_exactly(database: Path) -> None:
    received: Document = {"EPS": "1.50", "Symbol": "IBM", "New": {"b": [1, 1.0, True, None], "a": "é"}, "Beta": 1}
    await collected(database, (Overview(IBM, received), 0))
    assert [json.dumps(document) for document in documents(database, "IBM")] == [json.dumps(received)]


async def test_each_snapshot_has_the_checksum_of_what_the_file_holds_of_it(database: Path) -> None:
    odd = {"EPS": 1, "Symbol": "IBM", "Beta": "-0", "MarketCapitalization": "9e18", "New": "é", "PERatio": "1.50"}
    await collected(database, (overview(PERatio="28"), 0), (Overview(IBM, odd), 2), (overview(PEP), 3))
    await imported(database, ("A", 1), ("{}", 4))

    with closing(sqlite3.connect(database)) as db:
        columns = daily_columns(db)
        rows = db.execute(
            "SELECT symbol, observed_at, p.digest, s.digest, l.digest, extra, checksum, "
            f"{', '.join(columns)} FROM snapshots, profiles p, statements s, layouts l"
            " WHERE p.id = profile_id AND s.id = statement_id AND l.id = layout_id"
        ).fetchall()

    assert len(rows) == 4
    for symbol, observed_at, profile, statement, layout, extra, kept, *daily in rows:
        snapshot = Summed(symbol, observed_at, profile, statement, layout, daily, extra)
        assert kept == checksum(sum_of(snapshot, columns))


async def test_another_order_of_keys_is_no_change(database: Path) -> None:
    one = Overview(IBM, {"Symbol": "IBM", "EPS": "1", "New": {"a": 1, "b": 2}})
    two = Overview(IBM, {"New": {"b": 2, "a": 1}, "EPS": "1", "Symbol": "IBM"})
    assert await collected(database, (one, 0), (two, 1)) == [Outcome.STORED, Outcome.UNCHANGED]


async def test_another_spelling_is_a_new_snapshot(database: Path) -> None:
    assert await collected(database, (overview(EPS="1"), 0), (overview(EPS="1.0"), 1)) == [Outcome.STORED] * 2


async def test_parts_that_rarely_change_are_stored_once_and_shared(database: Path) -> None:
    await collected(database, *((overview(EPS=str(n)), n) for n in range(20)), (overview(PEP, EPS="7"), 20))
    with sqlite3.connect(database) as db:
        counts = [db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("profiles", "statements", "layouts")]
    db.close()
    assert counts == [1, 1, 1]


async def test_many_at_once_share_a_commit_and_lose_nothing(database: Path) -> None:
    names = [Symbol(f"S{n}") for n in range(300)]
    async with open_writer(database) as writer:
        store = Store(writer)
        run = await store.begin(Trigger.MANUAL, at=START, symbols=300, due=300)
        outcomes = await asyncio.gather(
            *(store_overview(store, run, overview(name, EPS=str(n)), at=START) for n, name in enumerate(names))
        )
    assert set(outcomes) == {Outcome.STORED}
    with closing(sqlite3.connect(database)) as db:
        assert db.execute("SELECT symbol, count(*) FROM snapshots GROUP BY 1").fetchall() == [
            (name, 1) for name in sorted(names)
        ]


def in_order(observed: Sequence[tuple[str, int]]) -> list[tuple[str, str, str]]:
    """What is to be stored: each run of equal versions, from its first observation to its last."""
    kept: list[tuple[str, str, str]] = []
    for name, hour in sorted(observed, key=lambda one: one[1]):
        if kept and kept[-1][0] == name:
            kept[-1] = (name, kept[-1][1], at(hour))
        else:
            kept.append((name, at(hour), at(hour)))
    return kept


def stored_versions(database: Path) -> list[tuple[str, str, str]]:
    with sqlite3.connect(database) as db:
        rows = db.execute("SELECT extra, observed_at, confirmed_at FROM overviews ORDER BY observed_at").fetchall()
    db.close()
    return [(json.loads(extra)["v"], first, last) for extra, first, last in rows]


def stored_instants(database: Path) -> list[str]:
    with sqlite3.connect(database) as db:
        rows = db.execute("SELECT at FROM looks UNION SELECT observed_at FROM snapshots ORDER BY 1").fetchall()
    db.close()
    return [row[0] for row in rows]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
async def test_the_database_is_the_same_in_whatever_order_it_was_filled(database: Path, order: tuple[int, ...]) -> None:
    observed = [("A", 0), ("A", 1), ("B", 2), ("A", 3)]
    await collected(database, *((version(observed[n][0]), observed[n][1]) for n in order))
    assert stored_versions(database) == in_order(observed)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), versions=st.lists(st.sampled_from("ABC"), min_size=1, max_size=9))
async def test_observations_may_come_in_any_order_and_more_than_once(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, versions: list[str]
) -> None:
    observed = [(name, hour) for hour, name in enumerate(versions)]
    filled = data.draw(st.permutations(observed)) + data.draw(st.lists(st.sampled_from(observed), max_size=3))
    path = tmp_path_factory.mktemp("store") / "overviews.db"
    shutil.copyfile(empty_database(), path)
    await collected(path, *((version(name), hour) for name, hour in filled))
    assert stored_versions(path) == in_order(observed)
    assert stored_instants(path) == [at(hour) for _, hour in observed]
    state = state_of(path)
    assert state.snapshots == len(in_order(observed))
    assert state.last_look == at(len(observed) - 1)


def whole(database: Path) -> list[Any]:
    """All that observations leave behind, but for the ids of shared parts."""
    queries = (
        "SELECT symbol, observed_at, confirmed_at, extra FROM overviews ORDER BY 1, 2",
        "SELECT symbol, observed_at, checksum FROM snapshots ORDER BY 1, 2",
        "SELECT symbol, at FROM looks ORDER BY 1, 2",
        "SELECT symbol, at FROM uncovered ORDER BY 1, 2",
        "SELECT symbol, state, since, last_look, next_try, last_try, last_outcome, snapshots FROM symbols ORDER BY 1",
    )
    with sqlite3.connect(database) as db:
        rows = [db.execute(query).fetchall() for query in queries]
    db.close()
    return rows


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), found=st.lists(st.sampled_from(["A", "B", "{}"]), min_size=1, max_size=9))
async def test_imports_and_runs_in_any_order_and_chunks_make_the_same_database(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, found: list[str]
) -> None:
    observed = [(one, hour) for hour, one in enumerate(found)]
    straight, mixed = (tmp_path_factory.mktemp("store") / name for name in ("straight.db", "mixed.db"))
    for path in (straight, mixed):
        shutil.copyfile(empty_database(), path)
    await imported(straight, *observed)
    left = data.draw(st.permutations(observed)) + data.draw(st.lists(st.sampled_from(observed), max_size=3))
    while left:
        count = data.draw(st.integers(1, len(left)))
        chunk, left = left[:count], left[count:]
        if data.draw(st.booleans()):
            await imported(mixed, *chunk)
        else:
            for one, hour in chunk:
                if one == "{}":
                    await note(mixed, Outcome.UNKNOWN, START + hour * HOUR, began=LATER)
                else:
                    await collected(mixed, (version(one), hour))
    assert whole(mixed) == whole(straight)


async def test_each_observation_gets_its_outcome_in_order(database: Path) -> None:
    outcomes = await imported(database, ("A", 5), ("{}", 4), ("A", 3), ("B", 5), ("B", 4), ("A", 3))
    assert outcomes == [
        Outcome.STORED, Outcome.UNKNOWN, Outcome.STORED, Outcome.REJECTED, Outcome.STORED, Outcome.UNCHANGED,
    ]  # fmt: skip
    assert stored_versions(database) == [("A", at(3), at(3)), ("B", at(4), at(4)), ("A", at(5), at(5))]


async def test_of_two_documents_for_one_instant_the_first_stays(database: Path) -> None:
    outcomes = await collected(database, (version("A"), 0), (version("B"), 0), (version("A"), 1), (version("B"), 1))
    assert outcomes == [Outcome.STORED, Outcome.REJECTED, Outcome.UNCHANGED, Outcome.REJECTED]
    assert stored_versions(database) == [("A", at(0), at(1))]


@needs_recordings
async def test_every_recorded_overview_comes_back_exactly(database: Path) -> None:
    lines = list(recorded("overviews.jsonl.gz"))
    observed = [(Overview(Symbol(line["symbol"]), json.loads(line["body"])), n) for n, line in enumerate(lines)]
    outcomes = await collected(database, *observed)
    assert set(outcomes) <= {Outcome.STORED, Outcome.UNCHANGED}
    kept = {json.dumps(d) for symbol in {line["symbol"] for line in lines} for d in documents(database, symbol)}
    assert kept == {json.dumps(json.loads(line["body"])) for line in lines}
