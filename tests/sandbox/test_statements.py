"""Statements: quarters come some weeks after their end, and are rarely restated."""

from datetime import date
from itertools import pairwise

import pytest

from tests.support.companies import year


def test_a_quarter_is_shown_some_weeks_after_its_end_until_the_next() -> None:
    waits = []
    for snapshots in year().values():
        quarters = [received["LatestQuarter"] for _, received in snapshots]
        assert quarters == sorted(quarters)
        assert len(set(quarters)) in (4, 5, 6)
        waits += [
            (day - date.fromisoformat(after["LatestQuarter"])).days
            for (_, before), (day, after) in pairwise(snapshots)
            if before["LatestQuarter"] != after["LatestQuarter"]
        ]

    assert min(waits) >= 10
    assert max(waits) <= 60
    assert max(waits) - min(waits) >= 35


def test_a_new_quarter_brings_new_figures() -> None:
    for snapshots in year().values():
        for (_, before), (_, after) in pairwise(snapshots):
            if before["LatestQuarter"] != after["LatestQuarter"]:
                assert before["RevenueTTM"] != after["RevenueTTM"]


def test_a_quarter_is_restated_now_and_then() -> None:
    quarters = sum(len({received["LatestQuarter"] for _, received in snapshots}) for snapshots in year().values())
    restated = [
        (before, after)
        for snapshots in year().values()
        for (_, before), (_, after) in pairwise(snapshots)
        if before["LatestQuarter"] == after["LatestQuarter"] and before["RevenueTTM"] != after["RevenueTTM"]
    ]

    assert 0.02 < len(restated) / quarters < 0.12
    for before, after in restated:
        assert float(after["RevenueTTM"]) == pytest.approx(float(before["RevenueTTM"]), rel=0.04)
