"""Changes: what differs between one snapshot and the next, field by field, from Python and from the views."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.changes import Change, ChangeKind, relative_change
from pipeline.model.document import Document
from pipeline.model.fields import COLUMNS, FIELDS, FieldNotFound, Part
from pipeline.model.values import is_valid, parse_value
from pipeline.query.history import History
from tests.support.looks import Look, after, gone, record, recorded_year, seen
from tests.support.recordings import needs_recordings

CHANGED, APPEARED, DISAPPEARED = ChangeKind.CHANGED, ChangeKind.APPEARED, ChangeKind.DISAPPEARED
COVERED, UNCOVERED = ChangeKind.COVERED, ChangeKind.UNCOVERED


def changes(*looks: Look, **asked: Any) -> list[Change]:
    with History.open(record(looks)) as history:
        return list(history.changes(**asked))


def told(*looks: Look, **asked: Any) -> list[tuple[Any, ...]]:
    return [(one.field, one.kind, one.before, one.after) for one in changes(*looks, **asked)]


def between(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return what changed from one document to the next."""
    return told(seen(0, **before), seen(1, **now))


# What a change tells


def test_a_change_tells_both_values_and_when_the_old_was_last_and_the_new_first_seen() -> None:
    looks = [seen(hours, EPS=eps, Name="An Example") for hours, eps in ((0, "2"), (1, "2"), (3, "2.5"), (3.5, "2.5"))]
    looks += [seen(4, EPS="2.5", Name="Another Example")]
    assert changes(*looks) == [
        Change("IBM", "eps", "daily", CHANGED, 2.0, 2.5, 0.25, after(1), after(3), None),
        Change("IBM", "name", "profile", CHANGED, "An Example", "Another Example", None, after(3.5), after(4), None),
    ]


def test_changes_are_told_by_symbol_the_oldest_first() -> None:
    looks = [seen(hours, symbol, EPS=str(hours), Beta=str(hours)) for hours in (0, 1, 2) for symbol in ("PEP", "IBM")]
    assert [(one.symbol, one.field, one.observed_at) for one in changes(*looks)] == [
        (symbol, field, after(hours)) for symbol in ("IBM", "PEP") for hours in (1, 2) for field in ("eps", "beta")
    ]
    assert {one.symbol for one in changes(*looks, symbols=["pep"])} == {"PEP"}


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [
        (2.0, 3.0, 0.5),
        (-2.0, -1.0, 0.5),
        (-2.0, 2.0, 2.0),
        (4, 3, -0.25),
        (2.0, 0.0, -1.0),
        (0.0, 2.0, None),
        (0, 2, None),
        (None, 2.0, None),
        (2.0, None, None),
        ("2", 3.0, None),
        (True, 3, None),
        ("a", "b", None),
    ],
)
def test_the_change_is_relative_to_the_value_before(before: object, now: object, change: float | None) -> None:
    assert relative_change(before, now) == change


@pytest.mark.parametrize(
    ("one", "other"),
    [("67.10", "67.100"), ("1", "1.0"), ("0", "-0"), ("0.5", 0.5), (1, 1.0), ("None", "-"), ("-", None)],
)
def test_another_spelling_of_a_number_is_a_snapshot_and_no_change(one: object, other: object) -> None:
    looks = [seen(0, EPS=one), seen(1, EPS=other), seen(2, EPS="99")]
    ((field, _, _, now),) = told(*looks)
    assert (field, now) == ("eps", 99)
    (last,) = changes(*looks)
    assert last.last_confirmed_at == after(1), "so it was the other spelling that was last seen"


@pytest.mark.parametrize("name", ["Symbol", "Name"])
def test_another_order_of_keys_is_no_change(name: str) -> None:
    first, second = {"Symbol": "IBM", "Name": "x", "EPS": "1"}, {"EPS": "1", "Name": "x", "Symbol": "IBM"}
    looks = [Look("IBM", after(0), first), Look("IBM", after(1), second), Look("IBM", after(2), {**second, "EPS": "2"})]
    assert [row[0] for row in told(*looks)] == ["eps"]


# Fields that come and go


def test_a_field_that_the_api_begins_to_send_or_ceases_to_is_a_change() -> None:
    assert between({"EPS": "1"}, {}) == [("eps", DISAPPEARED, 1, None)]
    assert between({}, {"EPS": "1"}) == [("eps", APPEARED, None, 1)]
    assert between({"New": "1"}, {}) == [("New", DISAPPEARED, "1", None)]
    assert between({}, {"New": {"a": [1]}}) == [("New", APPEARED, None, {"a": [1]})]
    assert between({"EPS": "None"}, {}) == [("eps", DISAPPEARED, None, None)]
    assert between({}, {"New": None}) == [("New", APPEARED, None, None)]
    assert between({"PERatio": "abc"}, {}) == [("pe_ratio", DISAPPEARED, "abc", None)]


def test_a_field_that_has_no_column_changes_too() -> None:
    assert between({"New": "1"}, {"New": "2"}) == [("New", CHANGED, "1", "2")]
    assert between({"New": 1}, {"New": True}) == [("New", CHANGED, 1, True)]
    assert between({"New": {"a": 1, "b": 2}, "EPS": "1"}, {"New": {"b": 2, "a": 1}, "EPS": "2"}) == [
        ("eps", CHANGED, 1, 2)
    ]


def test_a_value_that_no_column_can_hold_is_shown_as_it_was_spelled() -> None:
    assert between({"EPS": "1"}, {"EPS": "abc"}) == [("eps", CHANGED, 1, "abc")]
    assert between({"EPS": "abc"}, {"EPS": "1"}) == [("eps", CHANGED, "abc", 1)]
    assert between({"EPS": "abc"}, {"EPS": "None"}) == [("eps", CHANGED, "abc", None)]
    assert between({"EPS": "abc"}, {"EPS": "def"}) == [("eps", CHANGED, "abc", "def")]
    assert between({"EPS": "abc"}, {"EPS": "abc", "Beta": "1"}) == [("beta", APPEARED, None, 1)]
    assert between({"EPS": "1"}, {"EPS": True}) == [("eps", CHANGED, 1, True)]
    assert between({"MarketCapitalization": "5"}, {"MarketCapitalization": "9" * 30}) == [
        ("market_capitalization", CHANGED, 5, "9" * 30)
    ]
    assert between({"LatestQuarter": "2025-12-31"}, {"LatestQuarter": "2025-13-31"}) == [
        ("latest_quarter", CHANGED, "2025-12-31", "2025-13-31")
    ]


def test_the_sentinel_is_no_value() -> None:
    assert between({"ReturnOnEquityTTM": "0.5"}, {"ReturnOnEquityTTM": "-99999.99"}) == [
        ("return_on_equity_ttm", CHANGED, 0.5, None)
    ]
    assert between({"ReturnOnEquityTTM": "None"}, {"ReturnOnEquityTTM": "-99999.99"}) == []


# Narrowed down


LOOKS = [
    seen(0, EPS="100", Beta="1.00", Name="x", RevenueTTM="1000", New="1"),
    seen(1, EPS="105", Beta="1.01", Name="y", RevenueTTM="949"),
    seen(2, EPS="0", Beta="1.01", Name="y", RevenueTTM="949"),
    seen(3, EPS="7", Beta="1.01", Name="y", RevenueTTM="949"),
]


def fields(**asked: Any) -> list[tuple[str, float]]:
    return [(one.field, (one.observed_at - after(0)).total_seconds() / 3600) for one in changes(*LOOKS, **asked)]


def test_since_and_until_are_of_when_the_new_value_was_first_seen_inclusive() -> None:
    assert fields(since=after(2)) == [("eps", 2), ("eps", 3)]
    assert fields(since=after(2), until=after(2)) == [("eps", 2)]
    assert [hours for _, hours in fields(until=after(1))] == [1] * 5
    assert fields(until=after(0)) == fields(since=after(4)) == fields(since=after(3), until=after(2)) == []


def test_part_narrows_it_to_fields_of_one_speed() -> None:
    assert fields(part="profile") == [("name", 1)]
    assert fields(part=Part.REPORTED) == [("revenue_ttm", 1)]
    assert {field for field, _ in fields(part="daily")} == {"eps", "beta"}


def test_fields_narrow_it_by_either_name() -> None:
    assert fields(fields=["RevenueTTM", "name"]) == [("name", 1), ("revenue_ttm", 1)]


def test_no_field_named_is_every_field_and_the_symbol_is_refused_for_it_never_changes() -> None:
    assert fields(fields=[]) == fields()
    with pytest.raises(FieldNotFound, match="symbol never changes"):
        fields(fields=["symbol"])


def test_a_field_that_the_catalogue_lacks_is_not_taken_for_a_column_of_its_name() -> None:
    looks = seen(0, PERatio="1", pe_ratio="1"), seen(1, PERatio="1", pe_ratio="2"), seen(2, PERatio="3", pe_ratio="2")

    assert told(*looks, fields=["pe_ratio"]) == [("pe_ratio", ChangeKind.CHANGED, 1.0, 3.0)]


def test_min_change_leaves_out_numbers_that_changed_by_less_and_nothing_else() -> None:
    assert fields(min_change=0.05) == [("name", 1), ("revenue_ttm", 1), ("eps", 1), ("New", 1), ("eps", 2), ("eps", 3)]
    assert fields(min_change=0.0501) == [("name", 1), ("revenue_ttm", 1), ("New", 1), ("eps", 2), ("eps", 3)]
    assert fields(min_change=0.052) == [("name", 1), ("New", 1), ("eps", 2), ("eps", 3)]


@pytest.mark.parametrize(
    ("before", "now"), [("3", "3.15"), ("3", "2.85"), ("0.7", "0.735"), ("20", "21"), ("1", "1.05")]
)
def test_a_change_that_is_just_min_change_is_not_lost_to_binary_fractions(before: str, now: str) -> None:
    looks = [seen(0, EPS=before), seen(1, EPS=now)]
    assert told(*looks, min_change=0.05) == told(*looks)
    assert told(*looks, min_change=0.05001) == []


# Symbols that begin or cease to be covered


def turns(asked: History, **bounds: Any) -> list[tuple[Any, ...]]:
    return [
        (one.kind, one.before, one.after, one.last_confirmed_at, one.observed_at)
        for one in asked.changes(**bounds)
        if one.field == "state"
    ]


def coverage(*looks: Look, **bounds: Any) -> list[tuple[Any, ...]]:
    with History.open(record(looks)) as asked:
        return turns(asked, **bounds)


def test_a_symbol_that_ceases_or_begins_to_be_covered_is_a_change() -> None:
    looks = [gone(0), seen(1, EPS="1"), seen(2, EPS="1"), gone(3), gone(4), seen(5, EPS="2")]
    assert changes(*looks) == [
        Change("IBM", "state", None, COVERED, "unknown", "covered", None, after(0), after(1), None),
        Change("IBM", "state", None, UNCOVERED, "covered", "unknown", None, after(2), after(3), None),
        Change("IBM", "eps", "daily", CHANGED, 1.0, 2.0, 1.0, after(2), after(5), None),
        Change("IBM", "state", None, COVERED, "unknown", "covered", None, after(4), after(5), None),
    ]
    assert [row[0] for row in coverage(*looks, since=after(3))] == [UNCOVERED, COVERED]
    assert [row[0] for row in coverage(*looks, until=after(3))] == [COVERED, UNCOVERED]
    assert coverage(*looks, since=after(3.5), until=after(4)) == coverage(*looks, part="daily") == []


def naive_coverage(looks: Sequence[Look]) -> list[tuple[Any, ...]]:
    """Return how coverage turned. Of two looks at one instant, that which found the symbol covered is the later."""
    states = {True: "covered", False: "unknown"}
    found = sorted((look.at, look.document is not None) for look in looks)
    return [
        (COVERED if now else UNCOVERED, states[was], states[now], last, at)
        for (last, was), (at, now) in pairwise(found)
        if was is not now
    ]


_COVERAGE = st.builds(
    lambda hours, eps: seen(hours, EPS=eps) if eps else gone(hours),
    st.integers(0, 9),
    st.sampled_from(["1", "2", None]),
)


@settings(max_examples=30, deadline=None)
@given(
    looks=st.lists(_COVERAGE, max_size=9, unique_by=lambda look: (look.at, look.document is None)),
    cut=st.integers(0, 9),
    since=st.integers(0, 9),
    until=st.integers(0, 9),
)
def test_coverage_turns_where_the_looks_say_in_whatever_order_they_came(
    looks: list[Look], cut: int, since: int, until: int
) -> None:
    expected = naive_coverage(looks)
    with History.open(record(looks[:cut], looks[cut:])) as asked:
        assert turns(asked) == expected
        bounds = {"since": after(since), "until": after(until)}
        assert turns(asked, **bounds) == [row for row in expected if after(since) <= row[-1] <= after(until)]


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
    """Return what a document says, by column: typed where it can be, and as received where it cannot."""
    said = {}
    for name, value in received.items():
        field = FIELDS.get(name)
        if field is None:
            said[name] = value
        else:
            said[field.column] = parse_value(field, value) if value is None or is_valid(field, value) else value
    return {name: json.dumps(value, sort_keys=True) for name, value in said.items()}


@settings(max_examples=30, deadline=None)
@given(documents=_DOCUMENTS)
def test_replaying_all_changes_from_the_first_snapshot_gives_each_of_the_others(documents: list[Document]) -> None:
    rows = changes(*(seen(hours, **received) for hours, received in enumerate(documents)))
    replayed = as_seen(documents[0])
    for hours, received in enumerate(documents):
        for row in rows:
            if row.observed_at == after(hours):
                replay(replayed, row)
        assert replayed == as_seen(received)
    same = [row for row in rows if row.kind is CHANGED and json.dumps(row.before) == json.dumps(row.after)]
    assert same == []


def replay(said: dict[str, str], change: Change) -> None:
    """Make one change, which has to fit what was said before."""
    if change.kind is APPEARED:
        assert change.field not in said
    else:
        assert said.pop(change.field) == json.dumps(change.before, sort_keys=True)
    if change.kind is not DISAPPEARED:
        said[change.field] = json.dumps(change.after, sort_keys=True)
    field = COLUMNS.get(change.field)
    assert change.part == (field.part if field else None)


# The views


def view(path: Path, name: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return sorted(db.execute(f"SELECT * FROM {name}").fetchall(), key=repr)


def by_columns(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return rows of changes as the view has them: the columns' values alone."""
    told = []
    for symbol, column, part, _, before, now, change, last, observed, _ in rows:
        field = COLUMNS.get(column)
        if field is not None:
            was, is_now = (None if value is None else _in_column(column, value) for value in (before, now))
            if was != is_now:
                # A field that comes or goes is none to the view, if it had a value: NULL to a value, or back.
                told.append((symbol, column, part, was, is_now, change, last, observed))
    return sorted(told, key=repr)


def _in_column(column: str, value: Any) -> Any:
    """Return the value that the column holds, None where it can hold none of it."""
    field = COLUMNS[column]
    if field.kind in ("text", "date"):
        return parse_value(field, value)
    return value if type(value) in (int, float) else None


def restated(path: Path) -> list[tuple[Any, ...]]:
    """Return the restatements of Python's that took the place of a value in the very snapshot before."""
    with History.open(path) as asked:
        rows = list(asked.restatements().rows())
        direct = []
        for symbol, field, quarter, value, known_from, _, _, before, change in rows:
            snapshots = list(asked.history(symbol, [field, "latest_quarter"], until=known_from).rows())
            if len(snapshots) > 1 and snapshots[-2][3:] == (before, quarter):
                direct.append((symbol, field, quarter, before, value, change, snapshots[-2][2], known_from))
    return sorted(direct, key=repr)


def assert_views_agree(path: Path) -> None:
    with History.open(path) as asked:
        assert view(path, "overview_changes") == by_columns(asked.changes().rows())
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


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"LatestQuarter": st.sampled_from(["2025-12-31", "2025-09-30", "None"])},
            optional=dict.fromkeys(_REPORTED_NAMES[1:], _COLUMN_VALUES),
        ),
        max_size=8,
    )
)
def test_the_views_tell_what_python_tells(documents: list[Document]) -> None:
    assert_views_agree(record([seen(n // 2, "AB"[n % 2], **received) for n, received in enumerate(documents)]))


def test_the_views_know_every_field_of_the_catalogue() -> None:
    """Each takes one value, another, and none."""
    other = {"integer": "2", "real": "2.5", "text": "y", "date": "2025-12-31"}
    value = {"integer": "1", "real": "1.5", "text": "x", "date": "2025-09-30"}
    every = [field for field in FIELDS.values() if field.name != "Symbol"]
    looks = [
        seen(0, **{field.name: value[field.kind] for field in every}),
        seen(1, **{field.name: other[field.kind] for field in every}),
        seen(2, **{field.name: field.missing for field in every}),
    ]
    path = record(looks)
    assert_views_agree(path)
    assert {row[1] for row in view(path, "overview_changes")} == {field.column for field in every}
    assert len(view(path, "overview_changes")) == 2 * len(every)


@needs_recordings
def test_the_views_tell_what_python_tells_of_the_recorded_year() -> None:
    path = record(list(recorded_year()))
    assert_views_agree(path)
    assert len(view(path, "overview_changes")) > 13_000
    assert len(view(path, "restatements")) > 200
