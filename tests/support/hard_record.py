"""A record that is hard to read for tools that guess: what is a type, a missing value, a number."""

from functools import cache
from pathlib import Path

from tests.support.observations import Observed, database_of, seen

SYMBOLS = ["BF.B", "BRK-B", "IBM", "NA"]
"""With a dot, with a hyphen, and one that pandas takes for a missing value."""
NULLS_FIRST = 150
"""Polars guesses a type from the first 100 rows."""
SNAPSHOTS = NULLS_FIRST + 10
"""Of each symbol."""
LARGE = 2**53 + 1
"""A float cannot hold it."""
NEVER = "peg_ratio"
"""A field without a value in any snapshot."""


@cache
def hard_record() -> Path:
    """Return a database of such snapshots, which must not be changed."""
    return database_of([_observed(symbol, hour) for symbol in SYMBOLS for hour in range(SNAPSHOTS)])


def _observed(symbol: str, hour: int) -> Observed:
    late = {"SharesFloat": str(LARGE), "ExDividendDate": "2026-03-31"} if hour >= NULLS_FIRST else {}
    return seen(
        hour,
        symbol,
        Name=f'"{symbol}", Inc',
        CIK="0000051143",  # a text of digits
        MarketCapitalization=str(LARGE + hour),
        RevenueTTM="None" if hour % 3 == 0 else str(LARGE + 2 * (hour > 100)),  # restated once
        LatestQuarter="2025-12-31" if hour % 3 else "None",
        EPS=str(1 + hour / 8),
        PEGRatio="None",
        DividendDate="None",
        **late,
    )
