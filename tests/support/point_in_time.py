"""What panels and joins are to answer, the slow way: `as_of`, asked for each instant. And histories to ask about."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st

from pipeline.query import known
from pipeline.query.history import History
from tests.support.clocks import START
from tests.support.observations import HOUR, Observed

T = TypeVar("T")
MILLISECOND = timedelta(milliseconds=1)
INSTANTS = st.sampled_from([START + n * timedelta(minutes=7, milliseconds=123) for n in range(12)])
ASKED = st.builds(lambda at, step: at + step * MILLISECOND, INSTANTS, st.sampled_from([-1, 0, 1]))
"""Instants at which something may have been observed, and those a millisecond before and after."""
SPANS = st.sampled_from([timedelta(0), MILLISECOND, timedelta(minutes=14), timedelta(days=1)])
LIMITS = st.one_of(st.none(), st.just(timedelta.max), SPANS)
SYMBOLS = ("A", "B", "C-D")
OBSERVATIONS = st.lists(
    st.builds(
        lambda symbol, at, found: Observed(
            symbol, at, found and {"Symbol": symbol, "PERatio": found, "Name": f"name {found}", "EBITDA": "1"}
        ),
        st.sampled_from(SYMBOLS),
        INSTANTS,
        st.sampled_from(["1", "1", "1", "1.0", "2", None]),
    ),
    unique_by=lambda one: one[:2],
    min_size=1,
    max_size=24,
).filter(lambda observations: any(one.document for one in observations))
"""Observations of several companies: of versions that come again, of another spelling, and of no coverage."""


CONFIRMED = [
    Observed(symbol, START + (hour + shift) * HOUR, {"Symbol": symbol, "PERatio": ratio})
    for symbol, shift in (("A", 0), ("B", 0.5))
    for hour, ratio in ((0, "1"), (2, "1"), (4, "1"), (6, "2"), (8, "1"), (9, "1"))
]
"""Two companies with documents that were observed again, and later instants to ask about: before and after each."""
AROUND = [START + (half / 2) * HOUR + step * MILLISECOND for half in range(21) for step in (-1, 0, 1)]


def expected(
    history: History,
    symbol: str,
    at: datetime,
    fields: Sequence[str],
    *,
    lag: timedelta = timedelta(0),
    max_staleness: timedelta | None = None,
) -> tuple[Any, ...]:
    """Return the values of fields, when they were first seen, and their staleness in hours, as `as_of` says."""
    answer = history.as_of(at - lag, fields=fields, max_staleness=max_staleness)
    known = {row[0]: dict(zip(answer.names, row, strict=True)) for row in answer.rows()}
    row = known.get(symbol.upper(), {})
    return tuple(row.get(name) for name in (*fields, "observed_at", "staleness_hours"))


def both_ways(ask: Callable[[], T]) -> T:
    """Return what is found by seeks, having checked that reading the snapshots in order finds the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "_SNAPSHOTS_A_SEEK", 0)
        by_seeks = ask()
        patch.setattr(known, "_SNAPSHOTS_A_SEEK", 1000)
        assert ask() == by_seeks
    return by_seeks
