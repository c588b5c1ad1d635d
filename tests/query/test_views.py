"""The views of changes and restatements: they contain what the Python API returns."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.model.document import Document
from pipeline.model.fields import COLUMNS, FIELDS
from pipeline.model.values import parse_value
from pipeline.query.history import History
from tests.support.observations import database_of, recorded_database, seen
from tests.support.recordings import needs_recordings


def view(path: Path, name: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return sorted(db.execute(f"SELECT * FROM {name}").fetchall(), key=repr)


def by_columns(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return rows of changes as the view has them: values of columns only."""
    expected = []
    for symbol, column, part, _, before, now, change, last, observed, _ in rows:
        field = COLUMNS.get(column)
        if field is not None:
            was, is_now = (None if value is None else _in_column(column, value) for value in (before, now))
            if was != is_now:
                # To the view a field that appears or disappears with a value is a change from or to NULL.
                expected.append((symbol, column, part, was, is_now, change, last, observed))
    return sorted(expected, key=repr)


def _in_column(column: str, value: Any) -> Any:
    """Return the value that the column holds, None if it cannot."""
    field = COLUMNS[column]
    if field.kind in ("text", "date"):
        return parse_value(field, value)
    return value if type(value) in (int, float) else None


def restated(path: Path) -> list[tuple[Any, ...]]:
    """Return the restatements of the Python API, as the view has them."""
    found = []
    with History.open(path) as history:
        for symbol in history.symbols():
            last_known = ""
            for _, field, quarter, value, known_from, known_until, is_restatement, before, change in history.vintages(
                symbol
            ).rows():
                if is_restatement:
                    found.append((symbol, field, quarter, before, value, change, last_known, known_from))
                last_known = known_until
        everyone = [(*row[:3], row[7], row[3], row[8], row[4]) for row in history.restatements().rows()]
    assert sorted(everyone, key=repr) == sorted(((*row[:6], row[7]) for row in found), key=repr)
    return sorted(found, key=repr)


def assert_views_agree(path: Path) -> None:
    with History.open(path) as history:
        assert view(path, "overview_changes") == by_columns(history.changes().rows())
    assert view(path, "restatements") == restated(path)


_COLUMN_VALUES = st.sampled_from(["1", "1.0", "2", "-2.5", "0", "None", "-", "x", "2025-12-31"])
_REPORTED_NAMES = (
    "LatestQuarter",
    "RevenueTTM",
    "BookValue",
    "EBITDA",
    "AnalystRatingBuy",
    "Name",
    "EPS",
    "Beta",
    "New",
)


_DOCUMENTS = st.fixed_dictionaries(
    {"LatestQuarter": st.sampled_from(["2025-12-31", "2025-09-30", "2025-06-30", "None"])},
    optional=dict.fromkeys(_REPORTED_NAMES[1:], _COLUMN_VALUES),
)


@given(st.lists(_DOCUMENTS, max_size=8))
def test_the_views_contain_what_python_returns(documents: list[Document]) -> None:
    assert_views_agree(database_of([seen(n // 2, "AB"[n % 2], **received) for n, received in enumerate(documents)]))


_QUARTERS = st.sampled_from(["2025-12-31", "2025-09-30", "None"])
_VALUES = st.sampled_from(["1", "2", "None"])


@given(
    st.lists(st.tuples(_QUARTERS, _VALUES, _VALUES, _VALUES), min_size=3, max_size=12).flatmap(
        lambda rows: st.tuples(st.just(rows), st.permutations(range(len(rows))))
    )
)
@example(([("2025-12-31", "1", "1", "1"), ("2025-09-30", "1", "1", "1"), ("2025-12-31", "2", "1", "1")], [0, 1, 2]))
@example(([("2025-12-31", "1", "1", "1"), ("2025-12-31", "None", "1", "1"), ("2025-12-31", "2", "1", "1")], [0, 1, 2]))
def test_restatements_are_the_same_in_sql_and_in_python_whatever_lies_between_and_however_it_is_stored(
    given_: tuple[list[tuple[str, str, str, str]], list[int]],
) -> None:
    """A quarter may come back after others, with a value that was missing; the analysts change without the rest."""
    reported, order = given_
    observations = [
        seen(n, LatestQuarter=quarter, RevenueTTM=revenue, EBITDA=ebitda, AnalystRatingBuy=analysts)
        for n, (quarter, revenue, ebitda, analysts) in enumerate(reported)
    ]
    path = database_of(*([observations[n]] for n in order))
    assert view(path, "restatements") == restated(path)


def test_the_views_contain_every_field_of_the_catalogue() -> None:
    """Each takes one value, another, and none."""
    other = {"integer": "2", "real": "2.5", "text": "y", "date": "2025-12-31"}
    value = {"integer": "1", "real": "1.5", "text": "x", "date": "2025-09-30"}
    every = [field for field in FIELDS.values() if field.name != "Symbol"]
    observations = [
        seen(0, **{field.name: value[field.kind] for field in every}),
        seen(1, **{field.name: other[field.kind] for field in every}),
        seen(2, **{field.name: field.missing for field in every}),
    ]
    path = database_of(observations)
    assert_views_agree(path)
    assert {row[1] for row in view(path, "overview_changes")} == {field.column for field in every}
    assert len(view(path, "overview_changes")) == 2 * len(every)


@needs_recordings
def test_the_views_contain_what_python_returns_for_the_recorded_year() -> None:
    path = recorded_database()
    assert_views_agree(path)
    assert len(view(path, "overview_changes")) > 13_000
    assert len(view(path, "restatements")) > 200
