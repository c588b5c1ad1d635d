"""Staleness: fresh while observed, pending for as long after it was configured, then stale."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import instants
from pipeline.model.symbols import Symbol
from pipeline.monitoring.staleness import Standing, configured_since, standing, standings
from pipeline.store.reader import Listed, SymbolState
from tests.support.clocks import START
from tests.support.store import HOUR, at

STALE_AFTER = 72 * HOUR
NOW = START + 100 * HOUR
FRESH, PENDING, STALE, UNKNOWN = Standing


def covered(hour: float) -> SymbolState:
    return SymbolState("IBM", "covered", None, at(hour), None, None, None, 1, at(hour))


def denied(hour: float, last_overview: float | None = None) -> SymbolState:
    """Return the state of a symbol for which the API answered `{}` at an hour; it may have had an overview before."""
    seen = None if last_overview is None else at(last_overview)
    return SymbolState("IBM", "unknown", None, at(hour), None, None, None, int(seen is not None), seen)


TRIED = SymbolState("IBM", None, None, None, None, at(99), "failed", 0, None)
"""Requested, and never observed."""


def since(hour: float, until: float | None = None) -> Listed:
    return Listed(START + hour * HOUR, None if until is None else START + until * HOUR)


@pytest.mark.parametrize(
    ("state", "listed", "expected"),
    [
        (covered(28), [since(0)], FRESH),
        (covered(27), [since(0)], STALE),
        (covered(27), [since(0, 5), since(95)], PENDING),  # removed, and added again long after
        (covered(27), [since(95)], PENDING),  # imported, then configured
        (None, [since(28)], PENDING),
        (None, [since(27)], STALE),
        (TRIED, [since(28)], PENDING),
        (TRIED, [since(27)], STALE),
        (None, [], PENDING),  # no run has seen it listed yet
        (covered(27), [], PENDING),
        (denied(99), [since(0)], UNKNOWN),  # never covered
        (denied(99), [since(99)], UNKNOWN),
        (denied(99, 28), [since(0)], UNKNOWN),
        (denied(99, 27), [since(0)], STALE),
        (denied(99, 27), [since(95)], PENDING),
        (covered(100 + 1 / 12), [since(0)], FRESH),  # clocks of a fleet may differ by five minutes
        (covered(100.1), [since(0)], STALE),  # dated by a wrong clock
        (covered(100.1), [since(99)], STALE),
        (denied(100.2, 100.1), [since(0)], STALE),
    ],
)
def test_how_a_symbol_stands(state: SymbolState | None, listed: Sequence[Listed], expected: Standing) -> None:
    assert standing(state, listed, now=NOW, stale_after=STALE_AFTER) is expected


@given(st.integers(-(10**8), 10**9))
def test_only_what_was_observed_lately_and_not_in_the_future_is_fresh(milliseconds_ago: int) -> None:
    ibm, ago = Symbol("IBM"), timedelta(milliseconds=milliseconds_ago)
    seen = replace(covered(0), last_overview=instants.to_text(NOW - ago))

    found = standings((ibm,), {"IBM": seen}, {"IBM": [since(-1000)]}, now=NOW, stale_after=STALE_AFTER)

    is_ahead = -ago > timedelta(minutes=5)
    assert found.ahead == ([ibm] if is_ahead else [])
    assert found.fresh == ([ibm] if ago <= STALE_AFTER and not is_ahead else [])
    assert found.stale == [one for one in (ibm,) if one not in found.fresh]


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ([since(10)], 10),
        ([since(0, 20), since(92)], 0),  # removed for no longer than it takes to become stale
        ([since(0, 20), since(93)], 93),
        ([since(0, 5), since(77, 80), since(90)], 0),
        ([since(0, 90), since(5, 20)], 0),  # two configurations
        ([since(0, 40)], 0),  # out of the list only since then
        ([since(0, 20)], None),
        ([], None),
    ],
)
def test_a_short_gap_does_not_make_a_symbol_new(listed: Sequence[Listed], expected: int | None) -> None:
    found = configured_since(listed, now=NOW, longest_gap=STALE_AFTER)

    assert found == (None if expected is None else START + expected * HOUR)


STATES = st.none() | st.sampled_from([TRIED, covered(28), covered(27), denied(99), denied(99, 28), denied(99, 27)])
INTERVALS = st.sampled_from([(), (since(0),), (since(95),), (since(0, 5), since(95))])


@given(found=st.lists(st.tuples(STATES, INTERVALS), max_size=30))
def test_every_configured_symbol_stands_in_one_way_and_each_unknown_one_is_named(
    found: list[tuple[SymbolState | None, tuple[Listed, ...]]],
) -> None:
    symbols = [Symbol(f"S{number}") for number in range(len(found))]
    states: dict[str, SymbolState] = {
        symbol: state for symbol, (state, _) in zip(symbols, found, strict=True) if state is not None
    }
    universe: dict[str, Sequence[Listed]] = {symbol: listed for symbol, (_, listed) in zip(symbols, found, strict=True)}

    all_of_them = standings(symbols, states, universe, now=NOW, stale_after=STALE_AFTER)

    unknown_alone = set(all_of_them.unknown) - {*all_of_them.stale, *all_of_them.pending}
    parts = [*all_of_them.fresh, *all_of_them.pending, *all_of_them.stale, *unknown_alone]
    assert sorted(parts) == sorted(symbols)
    assert [one for one in symbols if one in states and states[one].state == "unknown"] == all_of_them.unknown
    assert set(all_of_them.uncovered) <= set(all_of_them.unknown)


def test_what_a_clock_that_was_ahead_wrote_does_not_make_a_symbol_pending_for_ever() -> None:
    listed = [since(500)]

    def stands(now: datetime) -> Standing:
        return standing(None, listed, now=now, stale_after=STALE_AFTER)

    assert [stands(START + hour * HOUR) for hour in (100, 572, 573)] == [PENDING, PENDING, STALE]
