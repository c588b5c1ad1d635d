"""Vintages: the values of a quarter, each with when it was known, and those that replaced another."""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import instants
from pipeline.model.fields import FISCAL_FIELDS, FieldNotFound
from pipeline.query.history import History
from pipeline.query.results import Vintage
from tests.support.observations import Observed, after, database_of, text
from tests.support.vintages import Q1, Q2, reported


def _vintage(symbol: str, field: str, quarter: str, value: Any, *others: Any) -> Vintage:
    return Vintage._make([symbol, field, date.fromisoformat(quarter), value, *_instants(others[:2]), *others[2:]])


def vintages(*observations: Observed, **bounds: Any) -> list[tuple[Any, ...]]:
    with History.open(database_of(observations)) as history:
        answer = history.vintages("IBM", ["revenue_ttm"], **bounds)
        assert list(answer) == [_vintage(*row) for row in answer.rows()]
        return [row[2:] for row in answer.rows()]


def _instants(texts: Sequence[str]) -> list[datetime]:
    return [instants.from_text(one) for one in texts]


def test_a_vintage_is_a_value_of_a_quarter_with_the_interval_in_which_it_was_known() -> None:
    observations = [
        reported(0, Q1, "100"),
        reported(1, Q1, "100"),
        reported(2, Q1, "100", EPS="1"),
        reported(3, Q2, "100"),
        reported(4, Q2, "120"),
        reported(5, Q2, "120"),
    ]
    assert vintages(*observations) == [
        (Q1, 100, text(0), text(2), False, None, None),
        (Q2, 100, text(3), text(3), False, None, None),
        (Q2, 120, text(4), text(5), True, 100, 0.2),
    ]


def test_a_value_that_was_missing_for_a_while_is_one_vintage() -> None:
    observations = [reported(0, Q1, "100"), reported(1, Q1, "None"), reported(2, Q1, "100"), reported(3, "None", "7")]
    assert vintages(*observations) == [(Q1, 100, text(0), text(2), False, None, None)]


def test_a_value_that_comes_back_is_a_vintage_again() -> None:
    observations = [reported(0, Q1, "100"), reported(1, Q1, "50"), reported(2, Q1, "100"), reported(3, Q2, "7")]
    assert vintages(*observations) == [
        (Q1, 100, text(0), text(0), False, None, None),
        (Q1, 50, text(1), text(1), True, 100, -0.5),
        (Q1, 100, text(2), text(2), True, 50, 1.0),
        (Q2, 7, text(3), text(3), False, None, None),
    ]


def test_a_quarter_that_went_back_for_a_while_is_one_vintage() -> None:
    observations = [reported(0, Q1, "100"), reported(1, Q2, "120"), reported(2, Q1, "100"), reported(3, Q2, "120")]
    assert vintages(*observations) == [
        (Q1, 100, text(0), text(2), False, None, None),
        (Q2, 120, text(1), text(3), False, None, None),
    ]


@given(
    st.lists(st.tuples(st.sampled_from([Q1, Q2]), st.sampled_from(["100", "90", "None"])), min_size=1, max_size=6),
    st.integers(0, 6),
    st.integers(0, 6),
)
def test_an_interval_has_the_vintages_that_were_first_known_in_it(
    reports: list[tuple[str, str]], since: int, until: int
) -> None:
    # A snapshot each: one that is confirmed after the interval says so, whatever the interval.
    observations = [reported(hour, *report, EPS=str(hour)) for hour, report in enumerate(reports)]
    known = vintages(*observations[: until + 1])
    assert vintages(*observations, since=after(since), until=after(until)) == [
        row for row in known if row[2] >= text(since)
    ]


def test_since_and_until_select_vintages_by_when_they_were_first_known() -> None:
    """A restatement is one, however long ago the value was first told that it takes the place of."""
    observations = [
        reported(0, Q1, "100"),
        reported(1, Q1, "100", EPS="2"),
        reported(2, Q1, "90"),
        reported(3, Q1, "80"),
    ]
    assert vintages(*observations, since=after(1)) == vintages(*observations)[1:]
    assert vintages(*observations, since=after(2)) == vintages(*observations)[1:]
    assert vintages(*observations, since=after(2), until=after(2)) == [(Q1, 90, text(2), text(2), True, 100, -0.1)]
    assert vintages(*observations, until=after(1)) == [(Q1, 100, text(0), text(1), False, None, None)]


def test_restatements_are_of_all_symbols_or_of_some() -> None:
    """The statements of one company are those of another here: they are kept once, and told of each."""
    observations = [
        reported(0, Q1, "100"),
        reported(1, Q1, "90"),
        reported(1, Q1, "90", Name="x")._replace(symbol="KO"),
    ]
    observations += [one._replace(symbol="PEP") for one in (*observations[:2], reported(2, Q2, "3"))]
    with History.open(database_of(observations)) as history:
        answer = [(one.symbol, one.before, one.value, one.known_from) for one in history.restatements()]
        assert answer == [("IBM", 100, 90, after(1)), ("PEP", 100, 90, after(1))]
        assert [one.symbol for one in history.restatements(["PEP"])] == ["PEP"]
        assert [one.symbol for one in history.restatements(since=after(1))] == ["IBM", "PEP"]
        assert list(history.restatements(since=after(2))) == list(history.restatements(fields=["ebitda"])) == []


def test_without_fields_vintages_are_of_a_quarters_statements() -> None:
    with History.open(database_of([reported(0, Q1, "1", EBITDA="2", SharesOutstanding="3")])) as history:
        assert [one.field for one in history.vintages("IBM")] == ["revenue_ttm", "ebitda"]
        assert [one.value for one in history.vintages("IBM", ["SharesOutstanding"])] == [3]
    assert all(field.part == "reported" for field in FISCAL_FIELDS)


@pytest.mark.parametrize("field", ["pe_ratio", "name", "latest_quarter"])
def test_a_field_that_is_not_reported_by_quarter_has_no_vintages(three: Path, field: str) -> None:
    with History.open(three) as history, pytest.raises(FieldNotFound, match="pipeline history"):
        history.vintages("IBM", [field])


def naive_vintages(observations: Sequence[tuple[str, str]]) -> list[tuple[Any, ...]]:
    """Return the vintages of quarters and values, seen an hour apart: (quarter, value, from, until)."""
    quarters: dict[str, list[list[Any]]] = {}
    for hours, (quarter, value) in enumerate(observations):
        if "None" in (quarter, value):
            continue
        of_quarter = quarters.setdefault(quarter, [])
        if of_quarter and of_quarter[-1][0] == int(value):
            of_quarter[-1][2] = text(hours)
        else:
            of_quarter.append([int(value), text(hours), text(hours)])
    return [(quarter, *one) for quarter, known in quarters.items() for one in known]


@given(st.lists(st.tuples(st.sampled_from([Q1, Q2, "None"]), st.sampled_from(["0", "1", "2", "None"])), max_size=9))
def test_vintages_are_those_of_going_through_every_observation(observations: list[tuple[str, str]]) -> None:
    told = vintages(
        *(reported(hours, *observation) for hours, observation in enumerate(observations)),
        reported(100, "None", "None"),
    )
    assert [row[:4] for row in told] == naive_vintages(observations)
    for quarter in (Q1, Q2):
        of_quarter = [row for row in told if row[0] == quarter]
        assert [row[5] for row in of_quarter] == [None, *(row[1] for row in of_quarter)][: len(of_quarter)]
        assert [row[4] for row in of_quarter] == [number > 0 for number in range(len(of_quarter))]
