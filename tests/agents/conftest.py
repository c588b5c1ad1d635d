"""A record to ask, and an agent that asks it."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.observations import after, database_of, seen, uncovered
from tests.support.universe import listed
from tests.support.vintages import Q1, Q2

if TYPE_CHECKING:
    from tests.support.agents import Agent

APPLE = {"Name": "Apple Inc", "Sector": "TECHNOLOGY", "Industry": "PHONES", "LatestQuarter": Q1}
LATER = APPLE | {"LatestQuarter": Q2}
PEPSI = {"Name": "PepsiCo", "Sector": "CONSUMER", "Industry": "DRINKS", "LatestQuarter": Q1}
TESLA = {"Name": "Tesla Inc", "Sector": "CONSUMER", "Industry": "CARS", "LatestQuarter": Q1}


@pytest.fixture(scope="package")
def known() -> Path:
    """A record of three companies: one changes, one is restated, one is not covered any more."""
    path = database_of([
        seen(0, "AAPL", **APPLE, PERatio="30", MarketCapitalization="3000", RevenueTTM="100"),
        seen(0, "PEP", **PEPSI, PERatio="20", MarketCapitalization="200", Description="Sells chips."),
        seen(24, "AAPL", **APPLE, PERatio="33", MarketCapitalization="3300", RevenueTTM="90"),
        seen(24, "TSLA", **TESLA, PERatio="-", MarketCapitalization="900"),
        seen(48, "AAPL", **LATER, PERatio="33", MarketCapitalization="3300", RevenueTTM="120"),
        seen(48, "PEP", **PEPSI, PERatio="20", MarketCapitalization="200", Description="Sells chips."),
        uncovered(72, "TSLA"),
    ])  # fmt: skip
    listed(path, (0, "AAPL PEP"), (30, "AAPL TSLA KO"))
    return path


@pytest.fixture
def agent(known: Path) -> "Agent":
    """An agent that asks that record eight days after it begins."""
    agents = pytest.importorskip("tests.support.agents")  # here: a conftest cannot be skipped
    made: Agent = agents.Agent(agents.record_of(known, now=after(192)))
    return made
