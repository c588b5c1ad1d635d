"""Snapshots: what was known at an instant, without looking ahead, and one company through time."""

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import instants
from pipeline.query.history import History
from pipeline.query.snapshots import DEFAULT_FIELDS
from tests.support.clocks import START
from tests.support.observations import (
    HOUR,
    Observed,
    after,
    database_of,
    recorded_database,
    recorded_year,
    seen,
    text,
    uncovered,
)
from tests.support.recordings import needs_recordings

MILLISECOND = timedelta(milliseconds=1)
_INSTANTS = st.sampled_from([START + n * timedelta(minutes=7, milliseconds=123) for n in range(12)])
_OBSERVATIONS = st.lists(
    st.builds(
        lambda symbol, at, found: Observed(symbol, at, found and {"Symbol": symbol, "PERatio": found, "Name": "x"}),
        st.sampled_from(["A", "B", "C-D"]),
        _INSTANTS,
        st.sampled_from(["1", "1.0", "2", None]),
    ),
    unique_by=lambda one: one[:2],
    max_size=20,
)
"""Observations of several companies: of versions that come again, of another spelling, and of no coverage."""


def known(observations: Sequence[Observed], at: datetime) -> list[tuple[str, datetime, datetime, float]]:
    """Return what is to be known at an instant, the naive way: symbol, first seen, last seen, P/E ratio."""
    answer = []
    for symbol in sorted({one.symbol for one in observations}):
        run: list[Observed] = []
        for one in sorted(one for one in observations if one.symbol == symbol and one.document and one.at <= at):
            run = [*run, one] if run and run[-1].document == one.document else [one]
        if run:
            assert run[0].document is not None
            answer.append((symbol, run[0].at, run[-1].at, float(run[0].document["PERatio"])))
    return answer


@given(observations=_OBSERVATIONS, data=st.data())
def test_as_of_is_the_newest_snapshot_and_the_last_observation_not_after_the_instant(
    observations: list[Observed], data: st.DataObject
) -> None:
    filled = data.draw(st.permutations(observations))
    cut = data.draw(st.integers(0, len(filled)))
    with History.open(database_of(filled[:cut], filled[cut:])) as history:
        for step in (-MILLISECOND, timedelta(0), MILLISECOND):
            at = data.draw(_INSTANTS) + step
            expected = known(observations, at)
            answer = list(history.as_of(at, fields=["pe_ratio"]))
            assert [(one.symbol, one.observed_at, one.confirmed_at, one["pe_ratio"]) for one in answer] == expected
            assert [one.staleness for one in answer] == [at - last for _, _, last, _ in expected]

            longest = data.draw(st.sampled_from([timedelta(0), MILLISECOND, timedelta(minutes=14), timedelta.max]))
            fresh = [one.symbol for one in history.as_of(at, max_staleness=longest)]
            assert fresh == [symbol for symbol, _, last, _ in expected if at - last <= longest]
            assert [one["Symbol"] for one in history.documents_as_of(at, max_staleness=longest)] == fresh


@given(observations=_OBSERVATIONS, at=_INSTANTS, data=st.data())
def test_as_of_does_not_look_ahead(observations: list[Observed], at: datetime, data: st.DataObject) -> None:
    """Whatever the future brings, in whatever order it is kept: nothing in the answer is another."""
    past = [one for one in observations if one.at <= at]
    with History.open(database_of(past)) as history:
        rows = list(history.as_of(at).rows())
        documents = [json.dumps(one) for one in history.documents_as_of(at)]
    with History.open(database_of(data.draw(st.permutations(observations)))) as history:
        assert list(history.as_of(at).rows()) == rows
        assert [json.dumps(one) for one in history.documents_as_of(at)] == documents


def test_a_document_that_came_and_went_and_came_again_is_known_as_it_was() -> None:
    observations = [
        seen(0, PERatio="1"),
        seen(1, PERatio="1"),
        uncovered(2),
        seen(3, PERatio="2"),
        seen(4, PERatio="1"),
    ]
    with History.open(database_of(observations)) as history:
        answers = [next(iter(history.as_of(after(hours), ["IBM"], ["pe_ratio"]))) for hours in (0.5, 2.5, 3.5, 9)]
    assert [(one["pe_ratio"], one.observed_at, one.confirmed_at, one.staleness) for one in answers] == [
        (1, after(0), after(0), HOUR / 2),
        (1, after(0), after(1), HOUR * 1.5),
        (2, after(3), after(3), HOUR / 2),
        (1, after(4), after(4), HOUR * 5),
    ]


@needs_recordings
def test_as_of_a_day_of_the_recorded_year_equals_a_database_of_the_observations_until_then() -> None:
    observations = recorded_year()
    days = [date(2023, 7, 22), date(2023, 12, 31)]
    with History.open(recorded_database()) as whole:
        for day in days:
            end = instants.of_day(day, ends=True)
            with History.open(database_of([one for one in observations if one.at <= end])) as then:
                rows = list(then.as_of(day).rows())
                assert rows
                assert list(whole.as_of(day).rows()) == rows
                assert list(whole.documents_as_of(day)) == list(then.documents_as_of("2026-01-01"))


def test_history_is_a_row_a_snapshot_with_when_it_was_first_and_last_seen(three: Path) -> None:
    with History.open(three) as history:
        answer = history.history("ibm", ["PERatio", "pe_ratio", "name", "Eps"])
        assert answer.names == ("symbol", "observed_at", "confirmed_at", "pe_ratio", "name", "eps")
        rows = list(answer.rows())
    assert rows == [
        ("IBM", text(0), text(1), 10.0, "x", None),
        ("IBM", text(2), text(2), 11.5, None, 2.0),
        ("IBM", text(4), text(4), None, None, None),
    ]


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [
        (None, None, [0, 2, 4]),
        (after(2), None, [2, 4]),
        (after(2) + MILLISECOND, None, [4]),
        (None, after(2), [0, 2]),
        (None, after(2) - MILLISECOND, [0]),
        (after(2), after(2), [2]),
        (after(4), after(2), []),
        (date(2026, 3, 14), None, [0, 2, 4]),
        ("2026-03-15", None, []),
        (None, "2026-03-14", [0, 2, 4]),
        (None, date(2026, 3, 13), []),
    ],
)
def test_since_and_until_are_inclusive(three: Path, since: Any, until: Any, hours: list[int]) -> None:
    with History.open(three) as history:
        assert [one.observed_at for one in history.history("IBM", since=since, until=until)] == list(map(after, hours))


def test_without_fields_the_default_ones_are_returned(three: Path) -> None:
    with History.open(three) as history:
        assert history.history("IBM").names[3:] == tuple(field.column for field in DEFAULT_FIELDS)
        assert history.as_of("now").names[4:] == tuple(field.column for field in DEFAULT_FIELDS)
