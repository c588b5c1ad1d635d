"""A record of a few companies that shows what pages of one company have to show, and a site of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.observations import database_of, seen, uncovered
from tests.support.site import SiteClient, served

DAY = 24
NAME = "Acme <b>& Sons</b> \u202e株"
"""A hostile name."""
NONE = "\N{EN DASH}"
"""What stands where there is no value."""


@pytest.fixture(scope="session")
def eventful() -> Path:
    """Return a record in which values change, are restated, missing, suspicious, and not in the catalogue."""

    def acme(day: int, **fields: object) -> dict[str, object]:
        return {
            "Name": NAME,
            "Description": "Makes <script>alert(1)</script> anvils.",
            "MarketCapitalization": str(3_400_000_000_000 + day * 10_000_000_000),
            "PERatio": f"{28 + day / 4:.2f}",
            "EPS": "6.10",
            "SharesOutstanding": "15000000000",
            "50DayMovingAverage": "230.5",
            "200DayMovingAverage": "215.0",
            "ProfitMargin": "0.24",
            "OperatingMarginTTM": "0.31" if day < 9 else "0.30",
            "RevenueTTM": "400000000000" if day < 6 else "410000000000",
            "LatestQuarter": "2025-12-31",
            "Extra<i>": day // 5,
            **fields,
        }

    days = [seen(day * DAY, "ACME", **acme(day)) for day in range(12) if day != 7]
    return database_of(
        [
            *days,
            uncovered(7 * DAY, "ACME"),
            seen(12 * DAY, "ACME", **acme(12, PERatio="None")),
            seen(13 * DAY, "ACME", **acme(13, MarketCapitalization="34000000")),
            *(seen(day * DAY, "ZETA", RevenueTTM=str(9 + day), LatestQuarter="2025-12-31") for day in range(2)),
            *(seen(day * DAY, "BETA", Name="Beta", PERatio="11.5", EPS=str(day)) for day in range(3)),
            *(seen(0, f"C{number:03}", PERatio="10") for number in range(120)),
            *(seen(DAY, f"C{number:03}", PERatio="12", EPS="1") for number in range(120)),
        ]
    )


@pytest.fixture
async def site(eventful: Path) -> AsyncIterator[SiteClient]:
    async with served(eventful) as client:
        yield client
