"""Observations of what a company reported for a quarter."""

from tests.support.observations import Observed, seen

Q1, Q2 = "2025-03-31", "2025-06-30"


def reported(hours: float, quarter: str, revenue: str, **fields: str) -> Observed:
    """Return an observation of a company's revenue in a quarter."""
    return seen(hours, LatestQuarter=quarter, RevenueTTM=revenue, **fields)
