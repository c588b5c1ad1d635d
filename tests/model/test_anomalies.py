"""Anomalies: changes that the market cannot explain are found; changes that it can explain are not."""

import json
import random
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.anomalies import (
    CHECKED_COLUMNS,
    JUMP_FACTOR,
    NEVER_ZERO,
    RULES,
    STEADY_FRACTION,
    Anomaly,
    find_anomalies,
)
from pipeline.model.changes import ChangeKind, ComparedSnapshot, column, differences
from pipeline.model.fields import FIELDS
from pipeline.model.values import SENTINEL, Value
from pipeline.query.history import History
from tests.support.documents import compared
from tests.support.observations import AFTER_ALL, HOUR, Observed, after, database_of, recorded_database, seen
from tests.support.recordings import needs_recordings, recorded

CALM = {
    "Name": "Facebook Inc",
    "CIK": "1326801",
    "LatestQuarter": "2025-12-31",
    "MarketCapitalization": "1000000",
    "SharesOutstanding": "5000",
    "RevenueTTM": "700000",
    "52WeekHigh": "220",
    "52WeekLow": "180",
    "50DayMovingAverage": "200",
    "200DayMovingAverage": "190",
    "ReturnOnEquityTTM": "0.2",
    "DividendPerShare": "4",
    "ProfitMargin": "0.3",
}
"""A company without anomalies."""


def anomalies(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Anomaly]]:
    """Return the anomalies from one document to the next; both are the calm one except for these fields."""
    changed = differences(compared({**CALM, **was}), compared({**CALM, **now}))
    return [(one.column, one.suspicion) for one in changed if one.suspicion is not None]


def anomalies_of(**now: str) -> list[tuple[str, Anomaly]]:
    return anomalies({}, now)


# Market values


@pytest.mark.parametrize("value", ["2000000", "1800000", "500000", "555555"])
def test_a_market_value_that_jumps_alone_is_suspicious(value: str) -> None:
    assert anomalies_of(MarketCapitalization=value) == [("market_capitalization", Anomaly.UNEXPLAINED_JUMP)]


def test_a_half_applied_split_is_suspicious_and_so_is_its_correction() -> None:
    doubled = {"MarketCapitalization": "2000000"}
    assert anomalies({}, doubled) == anomalies(doubled, {}) == [("market_capitalization", Anomaly.UNEXPLAINED_JUMP)]


@pytest.mark.parametrize("value", ["1790000", "560000", "1000001"])
def test_a_market_value_that_moves_by_less_is_not_suspicious(value: str) -> None:
    assert anomalies_of(MarketCapitalization=value) == []


def test_a_fully_applied_split_is_not_suspicious() -> None:
    split = {
        "SharesOutstanding": "10000", "52WeekHigh": "110", "52WeekLow": "90", "50DayMovingAverage": "100",
        "200DayMovingAverage": "95",
    }  # fmt: skip
    assert anomalies({}, split) == []
    assert anomalies({}, {**split, "MarketCapitalization": "2000000"}) == []


@pytest.mark.parametrize("moved", ["SharesOutstanding", "50DayMovingAverage", "200DayMovingAverage"])
def test_a_market_value_that_jumps_with_shares_or_an_average_is_not_suspicious(moved: str) -> None:
    nearly, enough = (str(round(int(CALM[moved]) * (1 + by))) for by in (STEADY_FRACTION * 0.9, STEADY_FRACTION))
    assert anomalies({}, {"MarketCapitalization": "2000000", moved: enough}) == []
    assert [column for column, _ in anomalies({}, {"MarketCapitalization": "2000000", moved: nearly})] == [
        "market_capitalization"
    ]


@pytest.mark.parametrize("unknown", ["SharesOutstanding", "50DayMovingAverage", "200DayMovingAverage"])
def test_a_jump_is_not_suspicious_where_its_explanation_may_be_missing(unknown: str) -> None:
    assert anomalies({}, {"MarketCapitalization": "2000000", unknown: "None"}) == []


# What fell to nothing


@pytest.mark.parametrize("column", sorted(NEVER_ZERO))
def test_a_fall_to_0_of_a_value_that_is_never_0_is_suspicious(column: str) -> None:
    name = next(field.name for field in FIELDS.values() if field.column == column)
    assert anomalies({}, {name: "0"}) == [(column, Anomaly.COLLAPSED)]
    assert anomalies({name: "0"}, {}) == anomalies({name: "0"}, {name: "0", "Name": "Facebook, Inc"}) == []
    assert anomalies({name: "None"}, {name: "0"}) == anomalies({}, {name: "None"}) == []


def test_a_dividend_or_a_margin_of_0_is_not_suspicious() -> None:
    assert anomalies_of(DividendPerShare="0", ProfitMargin="0", ReturnOnEquityTTM="0") == []


def test_the_sentinel_is_suspicious_after_a_value() -> None:
    assert anomalies_of(ReturnOnEquityTTM=SENTINEL) == [("return_on_equity_ttm", Anomaly.COLLAPSED)]
    sentinel = {"ReturnOnEquityTTM": SENTINEL}
    assert anomalies(sentinel, {}) == anomalies(sentinel, {**sentinel, "Name": "Facebook, Inc"}) == []
    assert (
        anomalies({"ReturnOnEquityTTM": "None"}, sentinel) == anomalies(sentinel, {"ReturnOnEquityTTM": "None"}) == []
    )


# Quarters


def test_a_quarter_that_goes_back_is_suspicious() -> None:
    assert anomalies_of(LatestQuarter="2025-09-30") == [("latest_quarter", Anomaly.QUARTER_WENT_BACK)]


@pytest.mark.parametrize("quarter", ["2026-03-31", "None"])
def test_a_quarter_that_advances_or_is_missing_is_not_suspicious(quarter: str) -> None:
    assert anomalies_of(LatestQuarter=quarter) == []
    assert anomalies({"LatestQuarter": "None"}, {"LatestQuarter": quarter}) == []


@pytest.mark.parametrize(
    ("quarter", "is_suspicious"),
    [("2026-09-30", True), ("2026-04-17", True), ("2026-04-16", False), ("2026-04-14", False), ("None", False)],
)
def test_a_quarter_that_was_not_over_is_suspicious_but_for_what_time_zones_explain(
    quarter: str, is_suspicious: bool
) -> None:
    expected = [("latest_quarter", Anomaly.QUARTER_NOT_OVER)] if is_suspicious else []
    assert anomalies_of(LatestQuarter=quarter) == expected, "observed on 2026-04-14"
    assert anomalies({"LatestQuarter": "2027-03-31"}, {"LatestQuarter": quarter}) in (
        expected,
        [("latest_quarter", Anomaly.QUARTER_WENT_BACK)],
    )


def test_a_quarter_that_was_not_over_is_reported_once_not_with_each_later_change() -> None:
    ahead = {"LatestQuarter": "2026-09-30"}
    assert anomalies(ahead, {**ahead, "EBITDA": "7"}) == []


def test_a_quarter_that_appears_and_was_not_over_is_suspicious() -> None:
    without = {name: value for name, value in CALM.items() if name != "LatestQuarter"}
    found = differences(compared(without), compared({**CALM, "LatestQuarter": "2026-09-30"}))
    assert [(one.column, one.suspicion) for one in found] == [("latest_quarter", Anomaly.QUARTER_NOT_OVER)]


# Another company


def test_another_cik_is_another_company() -> None:
    assert (
        anomalies_of(CIK="320193") == anomalies_of(CIK="320193", Name="Apple Inc") == [("cik", Anomaly.ANOTHER_COMPANY)]
    )


def test_a_company_with_a_new_name_and_the_same_cik_is_not_suspicious() -> None:
    assert anomalies_of(Name="Meta Platforms Inc") == []
    assert anomalies_of(Name="Meta Platforms Inc", CIK="0001326801") == []


@pytest.mark.parametrize("missing", [{"CIK": "None"}, {"CIK": ""}])
def test_the_name_decides_where_a_cik_is_missing(missing: dict[str, str]) -> None:
    renamed = {"Name": "Meta Platforms Inc"}
    another = [("name", Anomaly.ANOTHER_COMPANY)]
    assert (
        anomalies(missing, renamed)
        == anomalies({}, {**missing, **renamed})
        == anomalies(missing, {**missing, **renamed})
        == another
    )


@pytest.mark.parametrize("name", ["FACEBOOK INC", "Facebook, Inc. - Class A", "None"])
def test_another_spelling_of_a_name_is_not_suspicious(name: str) -> None:
    assert anomalies({"CIK": "None"}, {"CIK": "None", "Name": name}) == []


def test_only_the_beginning_of_a_name_is_compared() -> None:
    """Comparing takes time in proportion to the square: a name of a million characters would take hours."""
    before, after = ({"CIK": "None", "Name": "x" * 200 + letter * 10_000} for letter in "yz")
    assert anomalies(before, after) == []


# The rules


def test_every_anomaly_has_a_rule_in_words_with_its_numbers() -> None:
    assert set(RULES) == set(Anomaly)
    assert f"{JUMP_FACTOR:g}" in RULES[Anomaly.UNEXPLAINED_JUMP]
    assert f"{STEADY_FRACTION:.0%}" in RULES[Anomaly.UNEXPLAINED_JUMP]
    assert SENTINEL in RULES[Anomaly.COLLAPSED]
    assert "CIK" in RULES[Anomaly.ANOTHER_COMPANY]


_NUMBERS = ("0", "None", "10", "18", "100", "180", "181", "179", "1000000", "1800000", "555556")
_CHOICES: dict[str, tuple[str, ...]] = {
    "MarketCapitalization": _NUMBERS,
    "SharesOutstanding": ("0", "100", "None"),
    "50DayMovingAverage": ("0", "100", "105.5", "None"),
    "200DayMovingAverage": ("0", "100", "None"),
    "52WeekHigh": ("0", "1"),
    "ReturnOnEquityTTM": (SENTINEL, "0.1", "None"),
    "CIK": ("1", "01", "2", "None"),
    "Name": ("Alpha", "Omega", "None"),
    "LatestQuarter": ("2025-09-30", "2025-12-31", "2026-12-31", "None"),
}
_DOCUMENT = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in _CHOICES.items()})


def by_the_rules(older: Mapping[str, str], newer: Mapping[str, str]) -> set[tuple[str, Anomaly]]:
    """Return what the rules find in two documents, without the cheap check before."""
    was, now = compared(older), compared(newer)
    return set(
        find_anomalies(columns(was), columns(now), observed_at=now.observed_at, is_sentinel=_has_sentinel(newer))
    )


def _has_sentinel(document: Mapping[str, str]) -> bool:
    return document.get("ReturnOnEquityTTM") == SENTINEL


def columns(seen: ComparedSnapshot) -> dict[str, Value]:
    return {name: column(seen, name) for name in CHECKED_COLUMNS}


@settings(max_examples=100)
@given(_DOCUMENT, _DOCUMENT)
def test_the_cheap_check_misses_no_anomaly(older: dict[str, str], newer: dict[str, str]) -> None:
    """The rules are applied only where a cheap check allows it: that must include each place where one fires."""
    found = differences(compared(older), compared(newer))
    assert {(one.column, one.suspicion) for one in found if one.suspicion is not None} == by_the_rules(older, newer)


# In the database


def test_changes_marks_anomalies_and_can_list_only_those() -> None:
    path = database_of(
        [seen(0, **CALM), seen(1, **{**CALM, "CIK": "2", "RevenueTTM": "0", "Name": "x"}), seen(2, **CALM)]
    )
    with History.open(path) as history:
        found = list(history.changes(suspicious=True))
        assert found == [one for one in history.changes() if one.suspicion is not None]
    assert [(one.field, one.before, one.after, one.observed_at, one.suspicion) for one in found] == [
        ("cik", "1326801", "2", after(1), Anomaly.ANOTHER_COMPANY),
        ("revenue_ttm", 700000, 0, after(1), Anomaly.COLLAPSED),
        ("cik", "2", "1326801", after(2), Anomaly.ANOTHER_COMPANY),
    ]


def test_a_first_snapshot_has_only_its_suspicious_quarter_among_the_changes() -> None:
    path = database_of(
        [seen(0, "A", LatestQuarter="2026-09-30"), seen(0, "B", LatestQuarter="2025-12-31"), seen(0, "C")],
        [seen(1, "A", LatestQuarter="2026-09-30", EPS="2"), seen(1, "B", LatestQuarter="2026-12-31")],
    )
    with History.open(path) as history:
        found = list(history.changes(suspicious=True))
        assert list(history.changes(since=after(0.5), suspicious=True)) == found[1:], "A had its quarter before"
        assert list(history.changes(until=after(0))) == found[:1]
    assert [(one.symbol, one.kind, one.before, one.after, one.last_confirmed_at, one.observed_at) for one in found] == [
        ("A", ChangeKind.FIRST, None, date(2026, 9, 30), None, after(0)),
        ("B", ChangeKind.CHANGED, date(2025, 12, 31), date(2026, 12, 31), after(0), after(1)),
    ]


def test_changes_finds_every_anomaly_among_many_companies() -> None:
    choose = random.Random(7).choice
    pairs = {}
    for number in range(300):
        older = {name: choose(values) for name, values in _CHOICES.items()}
        some = {name: choose(_CHOICES[name]) for name in (choose([*_CHOICES]), "MarketCapitalization")}
        pairs[f"S{number:03}"] = older, older | some
    observations = [seen(hours, name, **one) for name, both in pairs.items() for hours, one in enumerate(both)]
    with History.open(database_of(observations)) as history:
        changes = list(history.changes(suspicious=True))
    listed = {(one.symbol, one.field, one.suspicion) for one in changes if one.kind is not ChangeKind.FIRST}
    expected = {(name, *found) for name, (older, newer) in pairs.items() for found in by_the_rules(older, newer)}
    assert listed == expected
    assert {suspicion for _, _, suspicion in listed} == set(Anomaly)


@needs_recordings
def test_the_recorded_year_has_no_anomaly() -> None:
    with History.open(recorded_database()) as history:
        assert list(history.changes(suspicious=True)) == []


@needs_recordings
def test_five_years_of_recorded_overviews_have_no_anomaly() -> None:
    """By symbol in time order, sometimes years apart: more changes than in any daily history.

    They were recorded without their times: here after the end of each quarter.
    """
    lines = sorted(recorded("overviews.jsonl.gz"), key=lambda line: (line["symbol"], line["recorded_as"]))
    observations = [
        Observed(line["symbol"], AFTER_ALL + hours * HOUR, json.loads(line["body"])) for hours, line in enumerate(lines)
    ]
    with History.open(database_of(observations)) as history:
        assert list(history.changes(suspicious=True)) == []
        assert len({(one.symbol, one.observed_at) for one in history.changes()}) > 50
