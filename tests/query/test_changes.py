"""Comparing: the changes of a symbol through time, narrowed by bounds, fields and size, and its coverage."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.model.changes import Change, ChangeKind
from pipeline.model.document import Document
from pipeline.model.fields import COLUMNS, FIELDS, FieldNotFound, Part
from pipeline.model.values import is_valid, parse_value
from pipeline.query.history import History
from tests.support.changes import changes
from tests.support.observations import Observed, after, database_of, seen, uncovered

CHANGED, APPEARED, DISAPPEARED = ChangeKind.CHANGED, ChangeKind.APPEARED, ChangeKind.DISAPPEARED
COVERED, UNCOVERED = ChangeKind.COVERED, ChangeKind.UNCOVERED


def listed(*observations: Observed, **bounds: Any) -> list[tuple[Any, ...]]:
    return [(one.field, one.kind, one.before, one.after) for one in changes(*observations, **bounds)]


def test_a_change_has_both_values_and_when_each_was_last_and_first_observed() -> None:
    observations = [
        seen(hours, EPS=eps, Name="An Example") for hours, eps in ((0, "2"), (1, "2"), (3, "2.5"), (3.5, "2.5"))
    ]
    observations += [seen(4, EPS="2.5", Name="Another Example")]
    assert changes(*observations) == [
        Change("IBM", "eps", "daily", CHANGED, 2.0, 2.5, 0.25, after(1), after(3), None),
        Change("IBM", "name", "profile", CHANGED, "An Example", "Another Example", None, after(3.5), after(4), None),
    ]


def test_changes_are_ordered_by_symbol_and_time() -> None:
    observations = [
        seen(hours, symbol, EPS=str(hours), Beta=str(hours)) for hours in (0, 1, 2) for symbol in ("PEP", "IBM")
    ]
    assert [(one.symbol, one.field, one.observed_at) for one in changes(*observations)] == [
        (symbol, field, after(hours)) for symbol in ("IBM", "PEP") for hours in (1, 2) for field in ("eps", "beta")
    ]
    assert {one.symbol for one in changes(*observations, symbols=["pep"])} == {"PEP"}


@pytest.mark.parametrize(
    ("one", "other"),
    [("67.10", "67.100"), ("1", "1.0"), ("0", "-0"), ("0.5", 0.5), (1, 1.0), ("None", "-"), ("-", None)],
)
def test_another_spelling_of_a_value_is_a_snapshot_but_no_change(one: object, other: object) -> None:
    observations = [seen(0, EPS=one), seen(1, EPS=other), seen(2, EPS="99")]
    ((field, _, _, now),) = listed(*observations)
    assert (field, now) == ("eps", 99)
    (last,) = changes(*observations)
    assert last.last_confirmed_at == after(1), "the other spelling was observed last"


@pytest.mark.parametrize("name", ["Symbol", "Name"])
def test_another_order_of_keys_is_no_change(name: str) -> None:
    first, second = {"Symbol": "IBM", "Name": "x", "EPS": "1"}, {"EPS": "1", "Name": "x", "Symbol": "IBM"}
    observations = [
        Observed("IBM", after(0), first),
        Observed("IBM", after(1), second),
        Observed("IBM", after(2), {**second, "EPS": "2"}),
    ]
    assert [row[0] for row in listed(*observations)] == ["eps"]


# Bounds


OBSERVED = [
    seen(0, EPS="100", Beta="1.00", Name="x", RevenueTTM="1000", New="1"),
    seen(1, EPS="105", Beta="1.01", Name="y", RevenueTTM="949"),
    seen(2, EPS="0", Beta="1.01", Name="y", RevenueTTM="949"),
    seen(3, EPS="7", Beta="1.01", Name="y", RevenueTTM="949"),
]


def fields(**bounds: Any) -> list[tuple[str, float]]:
    return [(one.field, (one.observed_at - after(0)).total_seconds() / 3600) for one in changes(*OBSERVED, **bounds)]


def test_since_and_until_include_changes_first_observed_then() -> None:
    assert fields(since=after(2)) == [("eps", 2), ("eps", 3)]
    assert fields(since=after(2), until=after(2)) == [("eps", 2)]
    assert [hours for _, hours in fields(until=after(1))] == [1] * 5
    assert fields(until=after(0)) == fields(since=after(4)) == fields(since=after(3), until=after(2)) == []


def test_part_selects_the_fields_of_one_part() -> None:
    assert fields(part="profile") == [("name", 1)]
    assert fields(part=Part.REPORTED) == [("revenue_ttm", 1)]
    assert {field for field, _ in fields(part="daily")} == {"eps", "beta"}


def test_fields_selects_by_either_name() -> None:
    assert fields(fields=["RevenueTTM", "name"]) == [("name", 1), ("revenue_ttm", 1)]


def test_no_fields_means_all_and_the_symbol_is_refused() -> None:
    assert fields(fields=[]) == fields()
    with pytest.raises(FieldNotFound, match="symbol never changes"):
        fields(fields=["symbol"])


def test_a_field_outside_the_catalogue_is_not_confused_with_a_column_of_its_name() -> None:
    observations = (
        seen(0, PERatio="1", pe_ratio="1"),
        seen(1, PERatio="1", pe_ratio="2"),
        seen(2, PERatio="3", pe_ratio="2"),
    )

    assert listed(*observations, fields=["pe_ratio"]) == [("pe_ratio", ChangeKind.CHANGED, 1.0, 3.0)]


def test_min_change_leaves_out_only_numbers_that_changed_by_less() -> None:
    assert fields(min_change=0.05) == [("name", 1), ("revenue_ttm", 1), ("eps", 1), ("New", 1), ("eps", 2), ("eps", 3)]
    assert fields(min_change=0.0501) == [("name", 1), ("revenue_ttm", 1), ("New", 1), ("eps", 2), ("eps", 3)]
    assert fields(min_change=0.052) == [("name", 1), ("New", 1), ("eps", 2), ("eps", 3)]


@pytest.mark.parametrize(
    ("before", "now"), [("3", "3.15"), ("3", "2.85"), ("0.7", "0.735"), ("20", "21"), ("1", "1.05")]
)
def test_a_change_of_exactly_min_change_is_not_lost_to_binary_fractions(before: str, now: str) -> None:
    observations = [seen(0, EPS=before), seen(1, EPS=now)]
    assert listed(*observations, min_change=0.05) == listed(*observations)
    assert listed(*observations, min_change=0.05001) == []


# Coverage


def turns(history: History, **bounds: Any) -> list[tuple[Any, ...]]:
    return [
        (one.kind, one.before, one.after, one.last_confirmed_at, one.observed_at)
        for one in history.changes(**bounds)
        if one.field == "state"
    ]


def coverage(*observations: Observed, **bounds: Any) -> list[tuple[Any, ...]]:
    with History.open(database_of(observations)) as history:
        return turns(history, **bounds)


def test_the_start_and_the_end_of_coverage_are_changes() -> None:
    observations = [uncovered(0), seen(1, EPS="1"), seen(2, EPS="1"), uncovered(3), uncovered(4), seen(5, EPS="2")]
    assert changes(*observations) == [
        Change("IBM", "state", None, COVERED, "unknown", "covered", None, after(0), after(1), None),
        Change("IBM", "state", None, UNCOVERED, "covered", "unknown", None, after(2), after(3), None),
        Change("IBM", "eps", "daily", CHANGED, 1.0, 2.0, 1.0, after(2), after(5), None),
        Change("IBM", "state", None, COVERED, "unknown", "covered", None, after(4), after(5), None),
    ]
    assert [row[0] for row in coverage(*observations, since=after(3))] == [UNCOVERED, COVERED]
    assert [row[0] for row in coverage(*observations, until=after(3))] == [COVERED, UNCOVERED]
    assert coverage(*observations, since=after(3.5), until=after(4)) == coverage(*observations, part="daily") == []


def naive_coverage(observations: Sequence[Observed]) -> list[tuple[Any, ...]]:
    """Return the turns of coverage. Of two observations at one instant, the covered one is the later."""
    states = {True: "covered", False: "unknown"}
    found = sorted((one.at, one.document is not None) for one in observations)
    return [
        (COVERED if now else UNCOVERED, states[was], states[now], last, at)
        for (last, was), (at, now) in pairwise(found)
        if was is not now
    ]


_COVERAGE = st.builds(
    lambda hours, eps: seen(hours, EPS=eps) if eps else uncovered(hours),
    st.integers(0, 9),
    st.sampled_from(["1", "2", None]),
)


@given(
    observations=st.lists(_COVERAGE, max_size=9, unique_by=lambda one: (one.at, one.document is None)),
    cut=st.integers(0, 9),
    since=st.integers(0, 9),
    until=st.integers(0, 9),
)
def test_coverage_turns_where_the_observations_say_in_any_order(
    observations: list[Observed], cut: int, since: int, until: int
) -> None:
    expected = naive_coverage(observations)
    with History.open(database_of(observations[:cut], observations[cut:])) as history:
        assert turns(history) == expected
        bounds = {"since": after(since), "until": after(until)}
        assert turns(history, **bounds) == [row for row in expected if after(since) <= row[-1] <= after(until)]


# Any documents


_NAMES = (
    "EPS", "PERatio", "MarketCapitalization", "LatestQuarter", "RevenueTTM", "ReturnOnEquityTTM", "Name", "CIK", "New",
    "Dropped",
)  # fmt: skip
_VALUES = st.sampled_from(
    ["1", "1.0", "2", "0", "None", "-", "abc", "-99999.99", "2025-12-31", "", 1, 1.0, True, None, {"a": [1, 1.0]}]
)
_DOCUMENTS = st.lists(st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=len(_NAMES)), min_size=1, max_size=5)


def as_seen(received: Document) -> dict[str, str]:
    """Return the values of a document by column: typed if valid, else as received."""
    said = {}
    for name, value in received.items():
        field = FIELDS.get(name)
        if field is None:
            said[name] = value
        else:
            said[field.column] = parse_value(field, value) if value is None or is_valid(field, value) else value
    return {name: json.dumps(value, sort_keys=True) for name, value in said.items()}


@example(documents=[{}, {"LatestQuarter": "2025-12-31"}])
@given(documents=_DOCUMENTS)
def test_replaying_all_changes_from_the_first_snapshot_gives_all_others(documents: list[Document]) -> None:
    rows = changes(*(seen(hours, **received) for hours, received in enumerate(documents)))
    replayed = as_seen(documents[0])
    for hours, received in enumerate(documents):
        for row in rows:
            if row.observed_at == after(hours):
                replay(replayed, row)
        assert replayed == as_seen(received)
    same = [row for row in rows if row.kind is CHANGED and spelled(row.before) == spelled(row.after)]
    assert same == []


def spelled(value: Any) -> str:
    """Return a value as JSON, a date as its text."""
    return json.dumps(value, sort_keys=True, default=str)


def replay(said: dict[str, str], change: Change) -> None:
    """Apply one change, which has to fit the values before."""
    if change.kind is APPEARED:
        assert change.field not in said
    else:
        assert said.pop(change.field) == spelled(change.before)
    if change.kind is not DISAPPEARED:
        said[change.field] = spelled(change.after)
    field = COLUMNS.get(change.field)
    assert change.part == (field.part if field else None)


@pytest.mark.parametrize(
    "only",
    [
        {"suspicious": True}, {"part": Part.DAILY}, {"part": Part.PROFILE}, {"fields": ["eps", "name"]},
        {"fields": ["name"]}, {"suspicious": True, "fields": ["cik"]},
    ],
)  # fmt: skip
def test_a_filter_leaves_out_what_it_says_and_nothing_else(only: dict[str, Any]) -> None:
    observations = [
        seen(hours, symbol, MarketCapitalization=value, EPS=value, Name=name, CIK=name[-1])
        for symbol in ("IBM", "PEP")
        for hours, value, name in ((0, "100", "A 1"), (1, "101", "A 1"), (2, "9999", "A 1"), (3, "9999", "B 2"))
    ]
    every = changes(*observations)
    expected = [
        one
        for one in every
        if (one.part == only.get("part", one.part))
        and one.field in only.get("fields", [one.field])
        and (one.suspicion is not None or "suspicious" not in only)
    ]
    assert changes(*observations, **only) == expected
    assert 0 < len(expected) < len(every)
