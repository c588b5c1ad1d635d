"""What most tests begin with: a migrated database, a clock, and the API's stand-in on loopback."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from pipeline.sandbox.companies import Companies
from pipeline.sandbox.server import SandboxApi
from tests.support.clocks import ManualClock
from tests.support.looks import empty


@pytest.fixture
def hands() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "overviews.db"
    shutil.copy(empty(), path)
    return path


@dataclass(frozen=True)
class Served:
    """The stand-in API, and where it is."""

    api: SandboxApi
    base_url: str


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    api = SandboxApi(companies=Companies(), limits=(), day=lambda: date(2026, 3, 13))
    async with api.serve() as base_url:
        yield Served(api, base_url)
