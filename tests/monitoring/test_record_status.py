"""The status of the record at an instant, against what a status of a database that ended there says."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.monitoring.record_status import record_status
from pipeline.monitoring.staleness import standings
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


def test_it_ends_at_the_horizon(database: Path) -> None:
    with History.open(database, until=after(30)) as history:
        status = record_status(history, DAY)
    assert (status.at, status.companies, status.configured) == (after(30), 3, 4)
    assert (status.first_observed_at, status.last_observed_at) == (after(0), after(0))
    assert (status.last_run, status.last_complete_run) == (None, None)
    assert (status.standings.stale, status.standings.pending) == (["FB", "GONE", "IBM", "NEW"], [])

    with History.open(database, until=after(51)) as history:
        status = record_status(history, DAY)
    assert (status.last_observed_at, status.companies) == (after(50), 3)
    assert status.last_run is not None
    assert (status.standings.fresh, status.standings.stale) == (["IBM", "META"], ["GONE", "NEW"])

    with History.open(database) as history:
        history.see_until(after(60))
        assert record_status(history, DAY).standings.fresh == ["IBM"]


def test_an_empty_record_has_a_status() -> None:
    with History.open(database_of([uncovered(5)]), until=after(1)) as history:
        status = record_status(history, DAY)
    assert (status.companies, status.first_observed_at, status.last_observed_at, status.configured) == (
        0,
        None,
        None,
        0,
    )


@given(OBSERVATIONS, st.sampled_from([timedelta(minutes=10), timedelta(hours=1)]))
def test_it_judges_as_the_status_of_the_present_does(observations: list[Observed], stale_after: timedelta) -> None:
    path = database_of(observations)
    symbols = tuple(sorted({one.symbol for one in observations}))
    write_steps(path, [Listed(0, symbols)])
    now = after(2)
    with Reader.open(path) as reader:
        expected = standings(
            [*map(str, symbols)],  # type: ignore[list-item]
            reader.symbol_states(),
            reader.universe(),
            now=now,
            stale_after=stale_after,
        )
    with History.open(path, until=now) as history:
        assert record_status(history, stale_after).standings == expected
