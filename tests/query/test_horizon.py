"""Horizon: a history that is locked answers as one did that ended there, and cannot be asked about what came later."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given

from pipeline.query import horizon
from pipeline.query.bounds import BeyondHorizon
from pipeline.query.history import History
from pipeline.query.join import JoinError
from pipeline.store.database import DatabaseError
from pipeline.store.reader import NoData
from pipeline.store.stored_symbols import SymbolNotFound
from tests.support.observations import Observed, after, database_of, seen, text, uncovered
from tests.support.point_in_time import ASKED, MILLISECOND, OBSERVATIONS
from tests.support.renames import configure, rename

QUESTIONS: dict[str, Callable[[History], object]] = {
    "symbols": lambda history: history.symbols(),
    "first observation": lambda history: history.first_observed_at(),
    "as of": lambda history: list(history.as_of("now", fields="all")),
    "documents": lambda history: list(history.documents_as_of("now")),
    "changes": lambda history: list(history.changes()),
    "history": lambda history: [list(history.history(one, "all")) for one in history.symbols()],
    "vintages": lambda history: [list(history.vintages(one)) for one in history.symbols()],
    "panel": lambda history: list(history.panel("pe_ratio", every="1d")),
}


@given(OBSERVATIONS, ASKED)
def test_a_locked_history_answers_as_one_that_ended_there(observations: list[Observed], at: datetime) -> None:
    whole, cut = database_of(observations), database_of([one for one in observations if one.at <= at])
    with History.open(whole, until=at) as locked, History.open(cut, until=at) as ended:
        for name, question in QUESTIONS.items():
            assert _answer(question, locked) == _answer(question, ended), name


def _answer(question: Callable[[History], object], history: History) -> object:
    try:
        return question(history)
    except NoData as error:
        return str(error).partition("holds")[2]


@given(OBSERVATIONS)
def test_a_horizon_after_all_changes_no_answer(observations: list[Observed]) -> None:
    database = database_of(observations)
    with History.open(database) as unlimited, History.open(database, until=after(10_000)) as locked:
        for name in ("symbols", "first observation", "changes", "history", "vintages"):
            assert QUESTIONS[name](locked) == QUESTIONS[name](unlimited), name


@given(OBSERVATIONS)
def test_the_states_of_symbols_follow_from_what_is_seen(observations: list[Observed]) -> None:
    database = database_of(observations)
    query = "SELECT symbol, state, since, last_look, last_overview, snapshots FROM symbols ORDER BY symbol"
    with History.open(database) as unlimited, History.open(database, until=after(10_000)) as locked:
        assert _rows(locked, query) == _rows(unlimited, query)


def _rows(history: History, query: str) -> list[tuple[object, ...]]:
    return history._db.execute(query).fetchall()


def test_a_confirmation_after_the_horizon_has_not_happened(three: Path) -> None:
    with History.open(three, until=after(0.5)) as history:
        (snapshot,) = history.history("IBM")
        assert snapshot.confirmed_at == after(0)


def test_a_horizon_can_be_moved_but_not_beyond_the_lock(three: Path) -> None:
    with History.open(three) as history:
        history.see_until(after(0))
        assert len(list(history.history("IBM"))) == 1
        history.see_until(after(3))
        assert len(list(history.history("IBM"))) == 2
    with History.open(three, until=after(3)) as locked:
        locked.see_until(after(0))
        locked.see_until(after(3))
        with pytest.raises(BeyondHorizon, match="2026"):
            locked.see_until(after(3) + timedelta(milliseconds=1))


LATER = after(48)
"""A later day than the one of the horizon."""


@pytest.mark.parametrize(
    "ask",
    [
        lambda history: history.as_of(LATER),
        lambda history: history.as_of(LATER.date()),
        lambda history: history.documents_as_of(LATER),
        lambda history: history.history("IBM", since=LATER),
        lambda history: history.history("IBM", until=LATER),
        lambda history: history.changes(until=str(LATER.date())),
        lambda history: history.vintages("IBM", until=LATER),
        lambda history: history.restatements(until=LATER),
        lambda history: history.panel(at=[after(1), LATER]),
        lambda history: history.panel(since=LATER),
        lambda history: history.panel(until=LATER),
        lambda history: history.universe(LATER),
    ],
)
def test_a_question_about_a_later_instant_is_refused(three: Path, ask: Callable[[History], object]) -> None:
    with History.open(three, until=after(2)) as history, pytest.raises(BeyondHorizon, match="after"):
        ask(history)


def test_now_is_the_horizon_and_its_day_ends_there(three: Path) -> None:
    ends_at = after(2.5)
    with History.open(three, until=ends_at) as history:
        (now,) = history.as_of("now", ["IBM"])
        (that_day,) = history.as_of(ends_at.date(), ["IBM"])
        assert now == that_day
        assert now.staleness == timedelta(hours=0.5)
        assert [one.at for one in history.panel("eps", symbols=["IBM"], since=ends_at.date())] == []
        with pytest.raises(BeyondHorizon):
            history.as_of(ends_at.date() + timedelta(days=1))


def test_a_company_seen_only_later_is_unknown_and_not_suggested(three: Path) -> None:
    database = database_of([seen(0, "AAPL"), uncovered(1, "AAPM"), seen(5, "AAPM")])
    with History.open(database, until=after(2)) as history, pytest.raises(DatabaseError) as unknown:
        history.history("AAPM")
    assert "did you mean AAPL?" in str(unknown.value)
    assert "all 1" in str(unknown.value)


def test_a_history_that_ends_before_the_record_begins_holds_no_snapshot(three: Path) -> None:
    with History.open(three, until=date(2020, 1, 1)) as history:
        assert history.symbols() == []
        assert history.first_observed_at() is None
        with pytest.raises(NoData):
            history.check_symbols([])


@pytest.fixture(scope="module")
def renamed() -> Path:
    """A company that was renamed at hour 10, and the other company that has its old symbol since then."""
    database = database_of([
        seen(0, "FB", EPS="1"), seen(9, "FB", EPS="2"), seen(11, "META", EPS="3"), seen(12, "FB", EPS="50"),
    ])  # fmt: skip
    configure(database, rename("FB", "META", after(10), reused=True))
    return database


def test_a_rename_that_came_later_has_not_happened(renamed: Path) -> None:
    with History.open(renamed, until=after(10) - MILLISECOND) as history:
        (snapshot,) = history.as_of("now")
        assert (snapshot.symbol, snapshot.observed_symbol) == ("FB", None)
        assert "observed_symbol" not in history.as_of("now").names
        assert [name.symbol for name in history.names("FB")] == ["FB"]
        with pytest.raises(SymbolNotFound, match="META"):
            history.history("META")


def test_a_rename_up_to_the_horizon_counts(renamed: Path) -> None:
    with History.open(renamed, until=after(10)) as history:
        (snapshot,) = history.as_of("now")
        assert (snapshot.symbol, snapshot.observed_symbol) == ("META", "FB")
        assert [(name.symbol, name.since, name.until) for name in history.names("META")] == [
            ("FB", None, after(10)),
            ("META", after(10), None),
        ]


def test_a_company_cannot_be_named_by_a_later_instant(renamed: Path) -> None:
    with History.open(renamed, until=after(11)) as history:
        assert history.check_symbols([f"FB@{text(9)}"]) == ["META"]
        for later in (text(12), (after(12) + timedelta(days=2)).date()):
            with pytest.raises(SymbolNotFound, match="after"):
                history.check_symbols([f"FB@{later}"])


def test_a_row_of_a_later_instant_cannot_be_joined(renamed: Path) -> None:
    table = pa.table({"symbol": ["FB", "FB", "FB"], "time": [after(1), after(5), after(6)]})
    with History.open(renamed, until=after(5)) as history:
        joined = history.join(table.slice(0, 2), ["eps"]).to_arrow()
        assert joined["eps"].to_pylist() == [1, 1]
        assert len(history.join(table, ["eps"], lag="1h")) == 3
        with pytest.raises(JoinError, match=r"row 3: .* after"):
            history.join(table, ["eps"])


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM main.snapshots",
        "SELECT max(observed_at) FROM main.overviews",
        "SELECT * FROM spans",
        "SELECT * FROM companies",
        "ATTACH 'file:other.db?mode=ro' AS other",
        "DROP VIEW temp.snapshots",
    ],
)
def test_what_has_no_view_is_refused(three: Path, statement: str) -> None:
    with History.open(three, until=after(1)) as history, pytest.raises(sqlite3.DatabaseError):
        _rows(history, statement)


@pytest.mark.parametrize(
    ("table", "written_once"),
    [
        ("runs", {"id", "trigger", "scheduled_for", "started_at", "due", "schedule"}),
        ("symbols", {"symbol"}),
        ("universe", {"symbol", "since", "configuration"}),
    ],
)
def test_of_rows_that_are_written_again_the_other_columns_are_as_they_were(
    three: Path, table: str, written_once: set[str]
) -> None:
    with History.open(three) as history:
        columns = {name for (name,) in _rows(history, f"SELECT name FROM pragma_table_xinfo('{table}')")}
    assert columns - horizon._VIEWS[table].columns.keys() == written_once, "what would a new column tell of later?"


def test_the_public_views_show_no_more(three: Path) -> None:
    with History.open(three, until=after(1.5)) as history:
        for view in ("overviews", "latest_overviews"):
            assert _rows(history, f"SELECT max(confirmed_at) FROM {view} WHERE symbol = 'IBM'") == [(text(1),)]
        for view in ("overview_changes", "restatements"):
            assert _rows(history, f"SELECT * FROM {view}") == []


def test_the_lock_of_a_day_is_its_end(three: Path) -> None:
    with History.open(three, until="2026-03-14") as history:
        assert history.horizon == datetime(2026, 3, 14, 23, 59, 59, 999_000, UTC)
