"""Questions within the universe: as-of, documents, changes and restatements of what was configured then."""

from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.query.history import History
from tests.support.observations import after, database_of, seen
from tests.support.renames import configure, rename
from tests.support.universe import listed
from tests.support.vintages import Q1, reported


@pytest.fixture(scope="module")
def database() -> Path:
    """A is dropped from the list after two hours, B joins it then, and C never was in it. All have data throughout."""
    places = [(symbol, hour) for symbol in "ABC" for hour in range(5)]
    path = database_of([reported(at, Q1, str(100 + at), EPS=str(at + 1), symbol=symbol) for symbol, at in places])
    listed(path, (0, "A"), (2, "B"))
    return path


def test_as_of_has_what_was_configured_then_though_it_was_dropped_since(database: Path) -> None:
    with History.open(database) as history:
        at = {hour: [one.symbol for one in history.as_of(after(hour), universe=True)] for hour in (0, 1.9, 2, 4)}

    assert at == {0: ["A"], 1.9: ["A"], 2: ["B"], 4: ["B"]}


def test_it_goes_with_symbols(database: Path) -> None:
    with History.open(database) as history:
        assert [one.symbol for one in history.as_of(after(4), ["A", "B"], universe=True)] == ["B"]
        assert list(history.as_of(after(4), ["C"], universe=True)) == []
        assert [one["Symbol"] for one in history.documents_as_of(after(1), universe=True)] == ["A"]


def test_changes_and_restatements_are_of_what_was_configured_when_they_were_seen(database: Path) -> None:
    with History.open(database) as history:
        changes = {(one.symbol, one.observed_at) for one in history.changes(fields=["eps"], universe=True)}
        restated = {(one.symbol, one.known_from) for one in history.restatements(None, ["revenue_ttm"], universe=True)}

    expected = {("A", after(1)), ("B", after(2)), ("B", after(3)), ("B", after(4))}
    assert changes == restated == expected


def test_the_universe_itself_can_be_asked_for(database: Path) -> None:
    with History.open(database) as history:
        assert [history.universe(after(hour)) for hour in (-1, 0, 3)] == [[], ["A"], ["B"]]
        assert history.universe_began_at() == after(0)


def test_a_renamed_company_is_in_it_under_its_newest_symbol() -> None:
    path = database_of([seen(0, "FB", EPS="1"), seen(3, "META", EPS="2")])
    listed(path, (0, "FB"), (3, "META"))
    configure(path, rename("FB", "META", after(2)))
    with History.open(path) as history:
        answers = [history.as_of(after(hour), None, ["eps"], universe=True) for hour in (1, 2.5, 4)]
        found = [(one.symbol, one["eps"]) for answer in answers for one in answer]

    assert found == [("META", 1), ("META", 1), ("META", 2)]


def test_where_no_list_was_noted_nothing_was_configured() -> None:
    with History.open(database_of([seen(0)])) as history:
        assert list(history.as_of(after(1), universe=True)) == []
        assert history.universe_began_at() is None


@pytest.mark.parametrize("lag", [timedelta(0), timedelta(hours=1)])
def test_a_panel_has_the_rows_of_what_was_configured_at_their_instants(database: Path, lag: timedelta) -> None:
    at = [after(hour) + lag for hour in (0, 1.9, 2, 4)]
    with History.open(database) as history:
        answer = history.panel(["eps"], at=at, universe=True, lag=lag)
        rows = [(row.at - lag, row.symbol) for row in answer]
        assert rows == [(after(0), "A"), (after(1.9), "A"), (after(2), "B"), (after(4), "B")]
        pytest.importorskip("pyarrow")
        assert answer.to_arrow().column("symbol").to_pylist() == [symbol for _, symbol in rows]
        assert answer.to_arrow().column("eps").to_pylist() == [row["eps"] for row in answer]
