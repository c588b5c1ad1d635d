"""Standings at a past instant: how the symbols that were configured then stood, by what had been observed."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.symbols import Symbol
from pipeline.monitoring.staleness import Standings, standings
from pipeline.query.history import History
from pipeline.store.reader import Reader
from tests.support.observations import Observed, after, database_of, seen, uncovered
from tests.support.point_in_time import OBSERVATIONS
from tests.support.renames import rename
from tests.support.timeline import Ended, Listed, Ran, Renamed, seen_fields, write_steps

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def database() -> Path:
    """A record of a few companies: of one nothing is known, one is not covered any more, one was renamed."""
    made = database_of([seen(0, "IBM", EPS="1"), seen(0, "GONE", EPS="1"), seen(0, "FB", EPS="1")])
    run = Ran(
        48,
        (
            Ended("IBM", 49, fields=seen_fields(EPS="2")),
            Ended("META", 50, fields=seen_fields(EPS="1")),
        ),
        51,
    )
    write_steps(
        made,
        [
            Listed(1, ("FB", "GONE", "IBM", "NEW")),
            Renamed((rename("FB", "META", after(40)),)),
            run,
            Listed(52, ("IBM",)),
        ],
    )
    return made


def _standings(history: History, stale_after: timedelta = DAY) -> Standings:
    seen, configured = {one.symbol: one for one in history.last_seen()}, history.configured()
    return standings(tuple(map(Symbol, configured)), seen, configured, now=history.now, stale_after=stale_after)


def test_they_are_those_of_the_horizon(database: Path) -> None:
    with History.open(database, until=after(30)) as history:
        found = _standings(history)
        assert (found.fresh, found.stale, found.pending) == ([], ["FB", "GONE", "IBM", "NEW"], [])
    with History.open(database, until=after(51)) as history:
        found = _standings(history)
        assert (found.fresh, found.stale) == (["IBM", "META"], ["GONE", "NEW"])
    with History.open(database) as history:
        history.see_until(after(60))
        assert _standings(history).fresh == ["IBM"]


def test_an_empty_record_has_none() -> None:
    with History.open(database_of([uncovered(5)]), until=after(1)) as history:
        assert (history.last_seen(), history.configured()) == ([], {})


@given(OBSERVATIONS, st.sampled_from([timedelta(minutes=10), timedelta(hours=1)]))
def test_they_are_what_the_states_of_symbols_say(observations: list[Observed], stale_after: timedelta) -> None:
    path = database_of(observations)
    symbols = tuple(Symbol(one) for one in sorted({one.symbol for one in observations}))
    write_steps(path, [Listed(0, symbols)])
    with Reader.open(path) as reader:
        states, lists = reader.symbol_states(), reader.universe()
    expected = standings(symbols, states, lists, now=after(2), stale_after=stale_after)
    with History.open(path, until=after(2)) as history:
        assert _standings(history, stale_after) == expected
