"""What most tests begin with: a migrated database, a clock, and the API's stand-in on loopback."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.clocks import ManualClock
from tests.support.observations import empty_database
from tests.support.sandbox import Served, serving

settings.register_profile("no wall clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no wall clock")  # a busy machine is no failure


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "overviews.db"
    shutil.copy(empty_database(), path)
    return path


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as served:
        yield served
