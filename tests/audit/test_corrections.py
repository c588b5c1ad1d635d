"""Corrections: afterwards the record is as if the observations had been made at the right instants, or never."""

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.audit.corrections import Corrected, Correction, Uncorrectable, correct, preview, refuse_damaged
from pipeline.doctor.deep import check_deeply
from pipeline.doctor.findings import Level
from pipeline.errors import Trouble
from pipeline.instants import to_text
from pipeline.model.outcomes import Outcome, SymbolResult, Trigger
from pipeline.model.symbols import Symbol
from pipeline.store.database import connect
from pipeline.store.runs import Store
from pipeline.store.snapshots import observation
from pipeline.store.writer import open_writer
from tests.support.catalogues import content
from tests.support.clocks import START
from tests.support.observations import empty_database
from tests.support.store import HOUR, IBM, LATER, PEP, at, overview, store_overview, version

NOW = to_text(LATER)
Seen = Mapping[int, str]
"""What was observed of IBM, by the hour: a version, or {}."""


def correction(first: float, last: float, shift: float | None, **more: Any) -> Correction:
    """Return a correction of some hours, by hours."""
    step = None if shift is None else shift * HOUR
    return Correction(START + first * HOUR, START + last * HOUR, step, LATER, **more)


async def filled(path: Path, *portions: list[tuple[int, str]]) -> Path:
    shutil.copyfile(empty_database(), path)
    async with open_writer(path) as writer:
        for portion in portions:
            found = [(START + hour * HOUR, None if what == "{}" else version(what)) for hour, what in portion]
            await Store(writer).add([observation(IBM, when, document) for when, document in found])
    return path


async def do(path: Path, what: Correction) -> Corrected:
    with connect(path, "ro") as db:
        shown = preview(db, what)
    async with open_writer(path) as writer:
        await writer.write(correct, what)
    return shown


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


def observations(path: Path) -> dict[str, Any]:
    return {name: held for name, held in content(path).items() if name not in ("fields", "views")}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seen=st.dictionaries(st.integers(0, 9), st.sampled_from(["A", "B", "{}"]), min_size=1, max_size=9),
    window=st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted),
    shift=st.none() | st.integers(-12, 12).filter(bool),
    data=st.data(),
)
async def test_the_record_is_as_if_it_had_been_so_from_the_start(
    tmp_path_factory: pytest.TempPathFactory,
    seen: Seen,
    window: list[int],
    shift: int | None,
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("corrected")
    cut = data.draw(st.integers(0, len(seen)))
    order = data.draw(st.permutations(list(seen.items())))
    path = await filled(folder / "overviews.db", order[:cut], order[cut:])
    first, last = window
    after = [
        (hour if not first <= hour <= last else hour + (shift or 0), what)
        for hour, what in seen.items()
        if shift is not None or not first <= hour <= last
    ]
    kinds = [(hour, what == "{}") for hour, what in after]
    before = observations(path)

    if len(kinds) != len({*kinds}):
        with connect(path, "ro") as db, pytest.raises(Uncorrectable, match="already"):
            preview(db, correction(first, last, shift))
        with pytest.raises(Uncorrectable, match="already"):
            async with open_writer(path) as writer:
                await writer.write(correct, correction(first, last, shift))
        assert observations(path) == before
        return
    shown = await do(path, correction(first, last, shift))

    assert observations(path) == observations(await filled(folder / "straight.db", sorted(after)))
    assert [one for one in check_deeply(path, lambda _done, _total: None) if one.level is Level.PROBLEM] == []
    counted = sum(one.snapshots + one.confirmations + one.uncovered for one in shown.symbols)
    assert counted == sum(first <= hour <= last for hour in seen)


@pytest.fixture
async def collected(tmp_path: Path) -> Path:
    """Return a record of three runs: at hour 0, at hour 10 by a wrong clock, and at hour 2."""
    path = tmp_path / "overviews.db"
    shutil.copyfile(empty_database(), path)
    async with open_writer(path) as writer:
        store = Store(writer)
        for hour, eps in ((0, "1"), (10, "2"), (2, "3")):
            when = START + hour * HOUR
            run = await store.begin(
                Trigger.SCHEDULE, at=when, symbols=3, due=3, schedule="0 * * * * UTC", scheduled_for=when
            )
            for symbol in (IBM, PEP):
                await store_overview(store, run, overview(symbol, EPS=eps), at=when + timedelta(minutes=1))
            await store.note(SymbolResult(run, Symbol("XOM"), Outcome.FAILED, 1, when, "x"))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE runs SET finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '+5 minutes')")
        db.execute("INSERT INTO requests VALUES (1, 2, 'IBM', 0, ?, ?, ?, 'overview', NULL)", [at(10)] * 3)
        db.executemany(
            "INSERT INTO universe VALUES (?, ?, ?, ?)",
            [("IBM", at(0), "c", None), ("PEP", at(10), "c", None), ("XOM", at(0), "c", at(10))],
        )
    return path


async def test_runs_and_lists_move_with_what_they_observed_and_the_ledger_stays(collected: Path) -> None:
    ledger = rows(collected, "SELECT * FROM requests")

    done = await do(collected, correction(9, 11, -9))

    assert [(one.symbol, one.first, one.first_moved) for one in done.symbols] == [
        (symbol, at(10 + 1 / 60), at(1 + 1 / 60)) for symbol in ("IBM", "PEP")
    ]
    assert (done.runs, done.outcomes) == (1, 3)
    assert rows(collected, "SELECT started_at, finished_at, scheduled_for, schedule FROM runs WHERE id = 2") == [
        (at(1), at(1 + 5 / 60), at(10), None)
    ]
    assert rows(collected, "SELECT DISTINCT at FROM outcomes WHERE run_id = 2 ORDER BY 1") == [
        (at(1),), (at(1 + 1 / 60),)
    ]  # fmt: skip
    assert rows(collected, "SELECT symbol, since, until FROM universe ORDER BY 1") == [
        ("IBM", at(0), None), ("PEP", at(1), None), ("XOM", at(0), at(1))
    ]  # fmt: skip
    assert rows(collected, "SELECT eps FROM snapshots WHERE symbol = 'IBM' ORDER BY observed_at") == [(1,), (2,), (3,)]
    assert rows(collected, "SELECT last_look, last_try, snapshots FROM symbols WHERE symbol = 'IBM'") == [
        (at(2 + 1 / 60), at(2 + 1 / 60), 3)
    ]
    assert rows(collected, "SELECT * FROM requests") == ledger


async def test_what_is_removed_was_never_observed_and_the_ledger_stays(collected: Path) -> None:
    ledger = rows(collected, "SELECT * FROM requests")

    await do(collected, correction(9, 11, None))

    assert rows(collected, "SELECT id FROM runs ORDER BY id") == [(1,), (3,)]
    assert rows(collected, "SELECT count(*) FROM outcomes WHERE run_id = 2") == [(0,)]
    assert rows(collected, "SELECT symbol, since, until FROM universe ORDER BY 1") == [
        ("IBM", at(0), None), ("PEP", NOW, None), ("XOM", at(0), NOW)
    ]  # fmt: skip
    assert rows(collected, "SELECT eps FROM snapshots WHERE symbol = 'IBM' ORDER BY observed_at") == [(1,), (3,)]
    assert rows(collected, "SELECT * FROM requests") == ledger


async def test_only_some_symbols_leave_runs_and_others_as_they_are(collected: Path) -> None:
    runs = rows(collected, "SELECT * FROM runs")

    done = await do(collected, correction(9, 11, -9, symbols=["IBM"]))

    assert ([one.symbol for one in done.symbols], done.runs, done.outcomes) == (["IBM"], 0, 0)
    assert rows(collected, "SELECT * FROM runs") == runs
    assert rows(collected, "SELECT max(observed_at) FROM snapshots WHERE symbol = 'PEP'") == [(at(10 + 1 / 60),)]
    assert rows(collected, "SELECT max(observed_at) FROM snapshots WHERE symbol = 'IBM'") == [(at(2 + 1 / 60),)]


async def test_only_what_one_run_observed(collected: Path) -> None:
    done = await do(collected, correction(0, 11, None, runs=[1]))

    assert (len(done.symbols), done.runs) == (2, 1)
    assert rows(collected, "SELECT id FROM runs") == [(2,), (3,)]
    assert rows(collected, "SELECT eps FROM snapshots WHERE symbol = 'IBM' ORDER BY observed_at") == [(3,), (2,)]


@pytest.mark.parametrize(("minutes", "ended", "left"), [(0.5, 0, 1), (3, 1, 3), (-1, None, 0)])
async def test_what_is_removed_of_a_run_that_spans_the_bounds(
    collected: Path, minutes: float, ended: float | None, left: int
) -> None:
    """A run that began before stays, without what it did then, and ended with the last outcome that is left."""
    done = await do(collected, correction(10 + minutes / 60, 11, None))

    gone = 3 - left
    assert (done.runs, done.outcomes) == (1, gone)
    assert rows(collected, "SELECT count(*) FROM outcomes WHERE run_id = 2") == [(left,)]
    assert rows(collected, "SELECT finished_at FROM runs WHERE id = 2") == (
        [] if ended is None else [(at(10 + ended / 60),)]
    )


async def test_a_symbol_of_which_an_attempt_alone_is_known_goes_with_it(collected: Path) -> None:
    """But not one that was observed."""
    assert ("XOM", at(2)) in rows(collected, "SELECT symbol, last_try FROM symbols")

    await do(collected, correction(2, 3, None))

    assert rows(collected, "SELECT symbol FROM symbols ORDER BY 1") == [("IBM",), ("PEP",)]


async def test_a_symbol_of_which_nothing_is_left_is_not_known_any_more(tmp_path: Path) -> None:
    path = await filled(tmp_path / "overviews.db", [(0, "A"), (1, "{}")])

    await do(path, correction(0, 1, None))

    assert rows(path, "SELECT * FROM symbols") == []


@pytest.mark.parametrize(
    ("at", "shift", "which"),
    [
        (0, 2000, "in the future"),
        (0, 10**7 * 24, "in the future"),
        (5000, -1, "in the future"),
        (0, -1_000_000, "before 1970"),
        (0, -10_000_000, "before 1970"),
        (0, -(10**7) * 24, "before 1970"),
    ],
)
async def test_nothing_is_moved_beyond_the_present_or_before_1970(
    tmp_path: Path, at: int, shift: int, which: str
) -> None:
    path = await filled(tmp_path / "overviews.db", [(at, "A")])

    with pytest.raises(Uncorrectable, match=f"would be {which}:"):
        await do(path, correction(at, at + 1, shift))


@pytest.mark.parametrize(
    ("portion", "last", "is_all"),
    [([(0, "A"), (1, "A"), (2, "{}")], 2, True), ([(0, "A"), (1, "A"), (2, "{}")], 1, False), ([], 2, False)],
)
async def test_every_observation_is_all_of_a_record_that_has_some(
    tmp_path: Path, portion: list[tuple[int, str]], last: int, is_all: bool
) -> None:
    path = await filled(tmp_path / "overviews.db", portion)

    with connect(path, "ro") as db:
        assert preview(db, correction(0, last, None)).is_all is is_all


@pytest.mark.parametrize("damage", ["UPDATE snapshots SET eps = 7", "UPDATE layouts SET keys = '[]'"])
async def test_what_is_damaged_is_not_written_again(tmp_path: Path, damage: str) -> None:
    path = await filled(tmp_path / "overviews.db", [(0, "A")])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(damage)

        with pytest.raises(Trouble, match="IBM"):
            refuse_damaged(db, ["IBM"])


async def test_what_no_row_can_hold_ends_a_correction_with_nothing_changed(tmp_path: Path) -> None:
    path = await filled(tmp_path / "overviews.db", [(0, "A"), (1, "B")])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DELETE FROM layouts")
        db.execute("UPDATE snapshots SET layout_id = 99, checksum = NULL")
        db.execute("INSERT INTO layouts VALUES (99, x'00', '[]')")
    before = observations(path)

    with pytest.raises(Trouble, match="damaged"):
        await do(path, correction(0, 1, -1))

    assert observations(path) == before
