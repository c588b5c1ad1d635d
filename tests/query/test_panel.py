"""Panel: at each instant what `as_of` says, however it is read, and never what was seen later."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.instants import from_text, to_text
from pipeline.model.fields import CATALOGUE
from pipeline.query import panel
from pipeline.query.history import History
from pipeline.query.panel import PanelRow
from pipeline.query.results import Answer
from pipeline.store.stored_symbols import SymbolNotFound
from tests.support.observations import HOUR, after, database_of, recorded_database, seen, text
from tests.support.point_in_time import (
    AROUND,
    ASKED,
    CONFIRMED,
    LIMITS,
    MILLISECOND,
    OBSERVATIONS,
    SPANS,
    both_ways,
    expected,
)
from tests.support.recordings import needs_recordings
from tests.support.renames import configure, rename

FIELDS = ["pe_ratio", "name", "ebitda"]


def from_tables(answer: Answer[PanelRow]) -> list[tuple[Any, ...]]:
    """Return the rows of the Arrow table, with instants as text."""
    pytest.importorskip("pyarrow")
    table = answer.to_arrow()
    assert table.column_names == list(answer.names)
    columns = [column.to_pylist() for column in table.columns]
    return [
        tuple(to_text(value) if isinstance(value, datetime) else value for value in row)
        for row in zip(*columns, strict=True)
    ]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel, "_CELLS_AT_ONCE", 4)


@pytest.mark.usefixtures("small_blocks")
@given(observations=OBSERVATIONS, at=st.lists(ASKED, min_size=1, max_size=6), lag=SPANS, longest=LIMITS, data=st.data())
def test_each_cell_is_what_as_of_says_less_the_lag(
    observations: Any, at: list[datetime], lag: timedelta, longest: timedelta | None, data: st.DataObject
) -> None:
    """With imports that come late, in any order."""
    filled = data.draw(st.permutations(observations))
    cut = data.draw(st.integers(0, len(filled)))
    with History.open(database_of(filled[:cut], filled[cut:])) as history:
        answer = history.panel(FIELDS, at=at, lag=lag, max_staleness=longest)
        rows = both_ways(lambda: list(answer.rows()))
        assert rows == [
            (to_text(one), symbol, *expected(history, symbol, one, FIELDS, lag=lag, max_staleness=longest))
            for one in sorted(set(at))
            for symbol in history.symbols()
        ]
        assert both_ways(lambda: from_tables(answer)) == rows


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("longest", [None, HOUR])
def test_what_was_confirmed_later_was_last_seen_before(longest: timedelta | None) -> None:
    with History.open(database_of(CONFIRMED)) as history:
        answer = history.panel(["pe_ratio"], at=AROUND, max_staleness=longest)
        rows = both_ways(lambda: list(answer.rows()))
        assert [row[2:] for row in rows] == [
            expected(history, symbol, at, ["pe_ratio"], max_staleness=longest) for at in AROUND for symbol in "AB"
        ]
        assert both_ways(lambda: from_tables(answer)) == rows


@needs_recordings
@pytest.mark.parametrize(
    ("lag", "longest"),
    [(timedelta(0), None), (timedelta(days=1, seconds=7), None), (timedelta(0), timedelta(hours=20))],
)
def test_on_the_recorded_year_every_field_equals_as_of(lag: timedelta, longest: timedelta | None) -> None:
    random = Random(12)
    names = [field.column for field in CATALOGUE[1:]]
    with History.open(recorded_database()) as history:
        first = history.first_observed_at()
        assert first is not None
        seen_at = [one.observed_at for symbol in history.symbols()[:3] for one in history.history(symbol, ["eps"])]
        edges = [one + lag + step * MILLISECOND for one in random.sample(seen_at, 20) for step in (-1, 0, 1)]
        at = sorted({*edges, *(first + timedelta(milliseconds=random.randrange(1 << 36)) for _ in range(60))})
        answer = history.panel("all", at=at, lag=lag, max_staleness=longest)
        rows = list(answer.rows())
        for place, instant in enumerate(at):
            of_instant = rows[place * len(history.symbols()) :][: len(history.symbols())]
            asked = history.as_of(instant - lag, fields="all", max_staleness=longest)
            said = {row[0]: row for row in asked.rows()}
            for _, symbol, *values, observed_at, staleness in of_instant:
                if symbol not in said:
                    assert {*values, observed_at, staleness} == {None}
                else:
                    _, first_seen, _, hours, *expected_values = said[symbol]
                    assert (values, observed_at, staleness) == (expected_values, first_seen, hours)
        assert answer.names == ("at", "symbol", *names, "observed_at", "staleness_hours")
        assert from_tables(answer) == [_dates(row, names) for row in rows]


def _dates(row: tuple[Any, ...], names: list[str]) -> tuple[Any, ...]:
    """Return a row with dates as Arrow has them."""
    kinds = [None, None, *(field.kind for field in CATALOGUE[1:]), None, None]
    return tuple(
        date.fromisoformat(value) if kind == "date" and value else value for value, kind in zip(row, kinds, strict=True)
    )


@pytest.mark.usefixtures("small_blocks")
@given(observations=OBSERVATIONS, at=st.lists(ASKED, min_size=1, max_size=4), data=st.data())
def test_it_does_not_look_ahead(observations: Any, at: list[datetime], data: st.DataObject) -> None:
    """Whatever the future brings, in whatever order it is kept: what was known until then is the same."""
    last = max(at)
    past = [one for one in observations if one.at <= last and one.document]
    if not past:
        return
    with History.open(database_of(past)) as history:
        symbols = history.symbols()
        then = both_ways(lambda: list(history.panel(FIELDS, at=at, symbols=symbols).rows()))
    with History.open(database_of(data.draw(st.permutations(observations)))) as history:
        assert both_ways(lambda: list(history.panel(FIELDS, at=at, symbols=symbols).rows())) == then


@pytest.fixture(scope="module")
def history() -> Iterator[History]:
    observations = [
        seen(0, PERatio="10"), seen(5, PERatio="10"), seen(30, PERatio="11", EPS="2"), seen(0, "PEP", PERatio="9"),
    ]  # fmt: skip
    with History.open(database_of(observations)) as opened:
        yield opened


def test_a_row_is_an_object_with_what_was_known(history: History) -> None:
    first, second = history.panel(["PERatio", "eps"], at=[after(3), after(40)], symbols="ibm", lag=HOUR)

    assert (first.at, first.symbol, first["pe_ratio"], first["EPS"]) == (after(3), "IBM", 10.0, None)
    assert (first.observed_at, first.staleness, first.observed_symbol) == (after(0), 2 * HOUR, None)
    assert (second["pe_ratio"], second.observed_at, second.staleness) == (11.0, after(30), 9 * HOUR)


def test_what_is_not_yet_known_or_too_stale_is_none_and_its_row_stays(history: History) -> None:
    at = [after(0) - MILLISECOND, after(0), after(5) + HOUR, after(5) + HOUR + MILLISECOND]
    answer = history.panel(["pe_ratio"], at=at, symbols=["IBM"], max_staleness=HOUR)

    assert [(row.observed_at, row.staleness, dict(row.values)) for row in answer] == [
        (None, None, {"pe_ratio": None}),
        (after(0), timedelta(0), {"pe_ratio": 10.0}),
        (after(0), HOUR, {"pe_ratio": 10.0}),
        (None, None, {"pe_ratio": None}),
    ]


def test_the_grid_goes_from_the_first_day_to_now_unless_it_is_bounded(history: History) -> None:
    rows = list(history.panel(["eps"], symbols=["IBM"], until=after(30)).rows())
    assert [row[0] for row in rows] == ["2026-03-14T23:59:59.999Z", "2026-03-15T23:59:59.999Z"]

    whole = history.panel(["eps"], symbols=["IBM"], every="1mo")
    assert [row[0] for row in whole.rows()][:1] == ["2026-03-31T23:59:59.999Z"]
    assert all(row.at <= datetime.now(UTC) for row in whole)


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2026-03-14", "2026-03-14T23:59:59.999Z"),
        (date(2026, 3, 14), "2026-03-14T23:59:59.999Z"),
        ("2026-03-14T18:30Z", "2026-03-14T18:30:00.000Z"),
        (after(0), text(0)),
    ],
)
def test_since_is_a_day_or_an_instant(history: History, since: Any, expected: str) -> None:
    first = next(history.panel(["eps"], since=since, until="2026-03-15").rows())
    assert first[0] == expected


def test_instants_are_in_order_and_not_repeated(history: History) -> None:
    answer = history.panel(["eps"], at=[after(2), after(1), after(2), "2026-03-14"], symbols=["PEP"])
    assert [row.at for row in answer] == [after(1), after(2), from_text("2026-03-14T23:59:59.999Z")]
    for one in ("2026-03-14", date(2026, 3, 14)):
        assert [row.at for row in history.panel(["eps"], at=one, symbols=["PEP"])] == [
            from_text("2026-03-14T23:59:59.999Z")
        ]


def test_without_an_instant_there_is_no_row(history: History) -> None:
    answer = history.panel(["eps"], since="2026-03-15", until="2026-03-14")
    assert list(answer.rows()) == []
    assert from_tables(answer) == []


def test_without_fields_the_default_ones_are_returned(history: History) -> None:
    assert history.panel(at=[after(1)]).names == (
        "at", "symbol", "market_capitalization", "pe_ratio", "eps", "latest_quarter", "observed_at", "staleness_hours",
    )  # fmt: skip


def test_what_cannot_be_answered_is_refused(history: History) -> None:
    with pytest.raises(SymbolNotFound):
        history.panel(["eps"], symbols=["NOPE"])
    with pytest.raises(ValueError, match="1q"):
        history.panel(["eps"], every="1y")
    with pytest.raises(ValueError, match="ahead"):
        history.panel(["eps"], lag=-HOUR)
    with pytest.raises(ValueError, match="time zone"):
        history.panel(["eps"], since=datetime(2026, 3, 14))
    with pytest.raises(ValueError, match="drop calendar"):
        history.panel(["eps"], at=[after(1)], since="2026-03-14")


def test_a_lag_may_reach_back_before_all_time(history: History) -> None:
    (row,) = history.panel(["eps"], at=[after(1)], symbols=["PEP"], lag=timedelta.max)
    assert row.observed_at is None


def test_a_lag_is_rounded_up_to_milliseconds(history: History) -> None:
    """A microsecond before it was observed, it was not known."""
    answer = history.panel(
        ["pe_ratio"], at=[after(0), after(0) + MILLISECOND], symbols="IBM", lag=timedelta(microseconds=1)
    )
    assert [row["pe_ratio"] for row in answer] == [None, 10.0]
    assert from_tables(answer) == list(answer.rows())


def test_the_memory_map_of_the_file_is_as_it_was_afterwards(tmp_path: Path) -> None:
    with History.open(database_of([seen(0)])) as opened:
        db: sqlite3.Connection = opened._db
        mapped = db.execute("PRAGMA mmap_size").fetchone()
        assert list(opened.panel(["eps"], at=[after(1)]).rows())
        assert db.execute("PRAGMA mmap_size").fetchone() == mapped != (0,)


@pytest.mark.usefixtures("small_blocks")
@given(
    observations=OBSERVATIONS,
    at=st.lists(ASKED, min_size=1, max_size=5),
    on=st.one_of(st.none(), ASKED),
    data=st.data(),
)
def test_it_follows_a_company_over_its_changes_of_symbol_as_as_of_does(
    observations: Any, at: list[datetime], on: datetime | None, data: st.DataObject
) -> None:
    database = database_of(observations)
    configure(database, rename("A", "B", on), *data.draw(st.sampled_from([[], [rename("B", "C-D")]])))
    with History.open(database) as history:
        answer = history.panel(FIELDS, at=at)
        assert answer.names[-1] == "observed_symbol"
        said = {
            (one, row[0]): (*row[4:7], row[1], row[3], row[7])
            for one in at
            for row in history.as_of(one, fields=FIELDS).rows()
        }
        rows = both_ways(lambda: list(answer.rows()))
        assert {row[:2]: row[2:] for row in rows if row[5]} == {
            (to_text(one), symbol): row for (one, symbol), row in said.items()
        }
        assert len(rows) == len(set(at)) * len(history.symbols())
        assert both_ways(lambda: from_tables(answer)) == rows
