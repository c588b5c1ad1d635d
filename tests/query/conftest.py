"""Databases to query."""

from pathlib import Path

import pytest

from tests.support.observations import database_of, seen, uncovered
from tests.support.vintages import Q1, Q2, reported


@pytest.fixture(scope="module")
def three() -> Path:
    """Three snapshots, of which the first was seen twice, and another company's."""
    return database_of([
        seen(0, PERatio="10", Name="x"), seen(1, PERatio="10", Name="x"), seen(2, PERatio="11.5", EPS="2"),
        seen(4, PERatio="-"), seen(0, "PEP", PERatio="99"),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def full() -> Path:
    """A record in which every question has an answer."""
    return database_of([
        reported(0, Q1, "100", EPS="1", Name="x", New="1"), reported(1, Q1, "90", EPS="1.5", Name="y", PERatio="abc"),
        reported(2, Q2, "95", EPS="1.5", Name="y"), uncovered(3), seen(4, MarketCapitalization="3"),
    ])  # fmt: skip
