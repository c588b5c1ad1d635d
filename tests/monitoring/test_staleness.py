"""Staleness: a symbol is stale when its last observation is too old, or overdue."""

import pytest

from pipeline.monitoring.staleness import stale
from pipeline.store.reader import SymbolState
from tests.support.clocks import START
from tests.support.store import HOUR, IBM, at


def state(last_look: str | None, state: str | None = "covered", last_overview: str | None = None) -> SymbolState:
    seen = last_overview or (last_look if state == "covered" else None)
    return SymbolState("IBM", state, None, last_look, None, None, None, int(seen is not None), seen)


@pytest.mark.parametrize(
    ("found", "scheduled_since", "is_stale"),
    [
        (state(at(5)), 0, False),
        (state(at(4)), 0, True),
        (state(at(4), "unknown"), 0, False),  # the API has never covered it
        (state(at(6), "unknown", at(4)), 0, True),
        (state(at(6), "unknown", at(5)), 0, False),
        (state(None, None), 0, True),
        (None, 0, True),
        (None, 6, False),  # the schedule is newer: nothing can have been missed yet
        (state(None, None), 6, False),
        (state(at(4)), 6, True),
        (None, None, True),
    ],
)
def test_a_symbol_is_stale_if_its_last_observation_is_too_old(
    found: SymbolState | None, scheduled_since: int | None, *, is_stale: bool
) -> None:
    states = {} if found is None else {"IBM": found}
    since = None if scheduled_since is None else START + scheduled_since * HOUR

    assert stale([IBM], states, observed_since=START + 5 * HOUR, scheduled_since=since) == [IBM] * is_stale
