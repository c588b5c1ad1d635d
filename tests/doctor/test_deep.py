"""The deep check: finds what SQLite's own check does not, names it, and accuses no sound record."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.doctor.deep import check_deeply
from pipeline.doctor.findings import Finding, Level
from pipeline.model.outcomes import Outcome, SymbolResult, Trigger
from pipeline.model.renames import Rename
from pipeline.model.symbols import Symbol
from pipeline.store.renames import record_renames
from pipeline.store.runs import Store
from pipeline.store.snapshots import observation
from pipeline.store.writer import open_writer
from tests.support.clocks import START
from tests.support.hard_record import hard_record
from tests.support.observations import database_of, empty_database, recorded_database, seen, uncovered
from tests.support.recordings import needs_recordings
from tests.support.store import HOUR, IBM, collected, note, store_overview, version


def deep(path: Path) -> list[Finding]:
    return list(check_deeply(path, lambda _done, _total: None))


def problems(path: Path) -> list[str]:
    return [one.found for one in deep(path) if one.level is Level.PROBLEM]


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            assert db.execute(statement).rowcount > 0, statement


def test_columns_that_users_have_added_are_not_compared(made: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(made, tmp_path / "theirs.db"))
    change(path, *(f"UPDATE {add(path, table)} SET theirs = 'x'" for table in ("snapshots", "profiles", "statements")))

    assert problems(path) == []


def add(path: Path, table: str) -> str:
    """Add a column to a table, and return the table."""
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"ALTER TABLE {table} ADD COLUMN theirs TEXT")
    return table


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a record with all that can be damaged, which must not be changed."""
    same = {"EPS": "1", "EBITDA": "5", "Name": "x", "New": "1"}
    path = database_of(
        [seen(0, **same), seen(0.5, **same), seen(1, **same), seen(2, **same | {"EPS": "2"})],
        [uncovered(3), seen(0, "FB", EPS="3", Name="y")],
    )
    asyncio.run(_run_on(path))
    return path


async def _run_on(path: Path) -> None:
    async with open_writer(path) as writer:
        await record_renames(writer, "", [Rename(Symbol("FB"), Symbol("META"), START)])
    await collected(path, (version("z"), 4))
    await note(path, Outcome.FAILED, START + 5 * HOUR)


@pytest.fixture
def record(made: Path, tmp_path: Path) -> Path:
    """Return a copy of it."""
    return Path(shutil.copy(made, tmp_path / "overviews.db"))


def test_what_is_as_written_is_said_in_one_line_with_how_far_it_came(record: Path) -> None:
    shown: list[tuple[int, int]] = []

    (found,) = check_deeply(record, lambda done, total: shown.append((done, total)))

    assert (found.level, found.found) == (Level.OK, "deep: 4 snapshots, as written")
    assert shown == sorted(shown)
    assert shown[-1] == (shown[-1][1],) * 2


DAMAGE = {
    "profiles": ("UPDATE profiles SET name = 'X' WHERE name = 'x'", "id 1 (of IBM)"),
    "statements": ("UPDATE statements SET ebitda = 4 WHERE ebitda = 5", "id 1 (of IBM)"),
    "layouts": ("UPDATE layouts SET keys = replace(keys, 'EPS', 'EPT') WHERE id = 1", "(of IBM)"),
    "snapshots: eps": ("UPDATE snapshots SET eps = 2.5 WHERE eps = 2", "IBM at 2026-03-14T20:30"),
    "snapshots: missing": ("UPDATE snapshots SET eps = NULL WHERE eps = 2", "IBM at 2026-03-14T20:30"),
    "snapshots: added": ("UPDATE snapshots SET beta = 2 WHERE eps = 2", "IBM at 2026-03-14T20:30"),
    "snapshots: extra": ("""UPDATE snapshots SET extra = '{"New": "2"}' WHERE eps = 2""", "IBM at 2026-03-14T20:30"),
    "snapshots: key": (
        "UPDATE snapshots SET observed_at = '2026-03-14T20:30:00.001Z' WHERE eps = 2",
        "IBM at 2026-03-14T20:30:00.001Z",
    ),
    "snapshots: another's": (
        "UPDATE snapshots SET profile_id = (SELECT profile_id FROM snapshots WHERE symbol = 'FB') WHERE eps = 2",
        "IBM at 2026-03-14T20:30",
    ),
    "snapshots: no part": ("UPDATE snapshots SET statement_id = 99 WHERE eps = 2", "IBM at 2026-03-14T20:30"),
    "snapshots: confirmation": (
        "UPDATE snapshots SET reconfirmed_at = '2026-03-14T19:30:00.001Z' WHERE reconfirmed_at IS NOT NULL",
        "IBM at 2026-03-14T18:30",
    ),
    "snapshots: instant": ("UPDATE snapshots SET observed_at = '2026-03-14T20:30:00.00Z' WHERE eps = 2", "IBM at"),
    "snapshots: symbol": ("UPDATE snapshots SET symbol = 'FC' WHERE symbol = 'FB'", "FC at"),
    "symbols: symbol": ("UPDATE symbols SET symbol = 'FC' WHERE symbol = 'FB'", "FB"),
    "looks": ("INSERT INTO looks VALUES ('IBM', '2026-03-14T01:00:00.000Z')", "IBM at 2026-03-14T01:00"),
    "looks: symbol": ("INSERT INTO looks VALUES ('IBN', '2026-03-14T01:00:00.000Z')", "IBN at 2026-03-14T01:00"),
    "snapshots: a confirmation": (
        "UPDATE looks SET at = '2026-03-14T18:45:00.000Z' WHERE at = '2026-03-14T19:00:00.000Z'",
        "IBM at 2026-03-14T18:30",
    ),
    "uncovered": ("UPDATE uncovered SET at = '2026-13-14T01:00:00.000Z'", "IBM at 2026-13-14"),
    "symbols: snapshots": ("UPDATE symbols SET snapshots = 9 WHERE symbol = 'IBM'", "IBM"),
    "symbols: since": ("UPDATE symbols SET since = '2026-03-14T01:00:00.000Z' WHERE symbol = 'IBM'", "IBM"),
    "symbols: last_look": ("UPDATE symbols SET last_look = '2026-03-14T01:00:00.000Z' WHERE symbol = 'IBM'", "IBM"),
    "symbols: last_overview": (
        "UPDATE symbols SET last_overview = '2026-03-14T01:00:00.000Z' WHERE symbol = 'IBM'", "IBM",
    ),
    "symbols: next_try": ("UPDATE symbols SET next_try = '2026-04-14T01:00:00.000Z' WHERE symbol = 'IBM'", "IBM"),
    "symbols: last_try": ("UPDATE symbols SET last_try = '2026-03-15T01:00:00.000Z' WHERE symbol = 'FB'", "FB"),
    "symbols: last_outcome": ("UPDATE symbols SET last_outcome = 'sailed' WHERE symbol = 'IBM'", "IBM"),
    "symbols: state": ("UPDATE symbols SET state = NULL WHERE symbol = 'IBM'", "IBM"),
    "outcomes": ("UPDATE outcomes SET run_id = 99 WHERE outcome = 'failed'", "99 IBM"),
    "outcomes: outcome": ("UPDATE outcomes SET outcome = 'sailed' WHERE outcome = 'failed'", "2 IBM"),
    "runs": ("UPDATE runs SET started_at = '2026-03-14 18:30' WHERE id = 1", ": 1"),
    "spans": ("UPDATE spans SET company = 'META' WHERE symbol = 'FB' AND since = (SELECT max(since) FROM spans)", "FB"),
    "renames": ("UPDATE renames SET at = '2026-03-14T18:30:00.0000Z'", "FB"),
    "universe": (
        "INSERT INTO universe VALUES ('IBM', '2026-03-15T01:00:00.000Z', '', '2026-03-14T01:00:00.000Z')",
        "IBM",
    ),
    "fields": ("UPDATE fields SET unit = 'EUR' WHERE field = 'ebitda'", "ebitda"),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_named_with_its_table_and_key_where_sqlite_finds_none(record: Path, what: str) -> None:
    statement, key = DAMAGE[what]

    change(record, statement)

    with closing(sqlite3.connect(record)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    found = [one for one in deep(record) if one.level is Level.PROBLEM]
    assert [one for one in found if one.found.startswith(what.partition(":")[0]) and key in one.found], found
    assert all(one.remedy for one in found)


def test_a_view_of_another_program_is_named(record: Path) -> None:
    with closing(sqlite3.connect(record, isolation_level=None)) as db:
        db.execute("DROP VIEW latest_overviews")
        db.execute("CREATE VIEW latest_overviews AS SELECT * FROM overviews")

    assert "latest_overviews" in problems(record)[0]


def test_of_many_rows_the_first_are_named_and_the_others_counted(tmp_path: Path) -> None:
    path = Path(shutil.copy(hard_record(), tmp_path / "overviews.db"))
    change(path, "UPDATE snapshots SET eps = eps + 1 WHERE symbol = 'IBM'")

    (found,) = problems(path)

    assert found.startswith("snapshots: 160 rows with a wrong checksum: IBM at ")
    assert found.endswith(" and 157 more")


def test_text_that_is_not_utf8_is_found_like_any_other_damage(record: Path) -> None:
    change(
        record,
        "UPDATE profiles SET name = CAST(x'ff' AS TEXT) WHERE name = 'x'",
        "UPDATE snapshots SET symbol = CAST(x'ff41' AS TEXT) WHERE symbol = 'FB'",
        "UPDATE symbols SET last_look = CAST(x'ff' AS TEXT) WHERE symbol = 'IBM'",
    )

    assert len(problems(record)) >= 4


def test_snapshots_from_before_checksums_are_counted_and_no_problem(record: Path) -> None:
    change(
        record,
        "UPDATE snapshots SET checksum = NULL WHERE symbol = 'IBM'",
        "UPDATE snapshots SET eps = 7 WHERE eps = 2",
    )

    levels = {one.level: one.found for one in deep(record)}

    assert Level.PROBLEM not in levels
    assert "3 snapshots without a checksum" in levels[Level.NOTE]


@needs_recordings
def test_a_recorded_year_is_sound() -> None:
    assert problems(recorded_database()) == []


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(["A", "B", "{}", "run", "failed"]), st.integers(-60, 60)), max_size=12))
async def test_no_sound_record_is_accused_whatever_the_clock_said(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("deep") / "overviews.db"
    shutil.copyfile(empty_database(), path)
    async with open_writer(path) as writer:
        store = Store(writer)
        for number, (what, hour) in enumerate(steps):
            at = START + hour * HOUR
            if what == "run":
                run = await store.begin(Trigger.MANUAL, at=at, symbols=1, due=1)
                await store_overview(store, run, version("C"), at=at + number * timedelta(minutes=1))
            elif what == "failed":
                run = await store.begin(Trigger.MANUAL, at=at, symbols=1, due=1)
                await store.note(SymbolResult(run, IBM, Outcome.FAILED, 1, at, "why"))
            else:
                await store.add([observation(IBM, at, None if what == "{}" else version(what))])

    assert problems(path) == []
