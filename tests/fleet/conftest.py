"""What tests of a fleet begin with: connections to its PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from pipeline.fleet.pool import Pool, open_pool


@pytest.fixture
async def pool(fleet_url: str) -> AsyncIterator[Pool]:
    async with open_pool(fleet_url) as pool:
        yield pool
