"""Runs against the stand-in API."""

from pathlib import Path

import pytest

from tests.support.clocks import ManualClock
from tests.support.runs import Runs
from tests.support.sandbox import Served


@pytest.fixture
def runs(database: Path, served: Served, clock: ManualClock) -> Runs:
    return Runs(database, served, clock)
