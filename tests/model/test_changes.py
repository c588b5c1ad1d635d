"""Changes: what differs between one snapshot and the next, field by field."""

from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.model.changes import ChangeKind, differences, relative_change
from tests.support.documents import compared

CHANGED, APPEARED, DISAPPEARED = ChangeKind.CHANGED, ChangeKind.APPEARED, ChangeKind.DISAPPEARED


def between(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return what changed from one document to the next."""
    return [(one.column, one.kind, one.before, one.after) for one in differences(compared(before), compared(now))]


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
def test_a_change_is_relative_to_the_previous_value(before: object, now: object, change: float | None) -> None:
    assert relative_change(before, now) == change


@pytest.mark.parametrize(
    ("one", "other"),
    [("67.10", "67.100"), ("1", "1.0"), ("0", "-0"), ("0.5", 0.5), (1, 1.0), ("None", "-"), ("-", None)],
)
def test_another_spelling_of_a_value_is_no_change(one: object, other: object) -> None:
    assert between({"EPS": one}, {"EPS": other}) == []


def test_another_order_of_keys_is_no_change() -> None:
    assert between({"Name": "x", "EPS": "1"}, {"EPS": "1", "Name": "x"}) == []
    assert between({"Name": "x", "EPS": "1"}, {"EPS": "2", "Name": "x"}) == [("eps", CHANGED, 1, 2)]


def test_a_field_that_the_api_starts_or_stops_sending_is_a_change() -> None:
    assert between({"EPS": "1"}, {}) == [("eps", DISAPPEARED, 1, None)]
    assert between({}, {"EPS": "1"}) == [("eps", APPEARED, None, 1)]
    assert between({"New": "1"}, {}) == [("New", DISAPPEARED, "1", None)]
    assert between({}, {"New": {"a": [1]}}) == [("New", APPEARED, None, {"a": [1]})]
    assert between({"EPS": "None"}, {}) == [("eps", DISAPPEARED, None, None)]
    assert between({}, {"New": None}) == [("New", APPEARED, None, None)]
    assert between({"PERatio": "abc"}, {}) == [("pe_ratio", DISAPPEARED, "abc", None)]


def test_a_field_without_a_column_changes_too() -> None:
    assert between({"New": "1"}, {"New": "2"}) == [("New", CHANGED, "1", "2")]
    assert between({"New": 1}, {"New": True}) == [("New", CHANGED, 1, True)]
    assert between({"New": {"a": 1, "b": 2}, "EPS": "1"}, {"New": {"b": 2, "a": 1}, "EPS": "2"}) == [
        ("eps", CHANGED, 1, 2)
    ]


def test_a_value_that_its_column_cannot_hold_is_shown_as_received() -> None:
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


def test_the_sentinel_is_a_missing_value() -> None:
    assert between({"ReturnOnEquityTTM": "0.5"}, {"ReturnOnEquityTTM": "-99999.99"}) == [
        ("return_on_equity_ttm", CHANGED, 0.5, None)
    ]
    assert between({"ReturnOnEquityTTM": "None"}, {"ReturnOnEquityTTM": "-99999.99"}) == []
