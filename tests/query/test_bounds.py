"""Bounds: the instants that questions take."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from pipeline.query.bounds import instant, span
from pipeline.query.history import History
from tests.support.observations import Observed, database_of, seen

MILLISECOND = timedelta(milliseconds=1)


@pytest.mark.parametrize("day", ["2026-03-14", date(2026, 3, 14)])
def test_a_date_means_its_end_in_utc(day: str | date) -> None:
    last = datetime(2026, 3, 14, 23, 59, 59, 999_000, UTC)
    observations = [Observed("A", last, {"Symbol": "A"}), Observed("B", last + MILLISECOND, {"Symbol": "B"})]
    with History.open(database_of(observations)) as history:
        assert [(one.symbol, one.staleness) for one in history.as_of(day)] == [("A", timedelta(0))]
        assert [one.symbol for one in history.as_of("2026-03-15")] == ["A", "B"]
        east = timezone(timedelta(hours=5, minutes=30))
        assert [one.symbol for one in history.as_of((last + MILLISECOND).astimezone(east))] == ["A", "B"]
        assert [one.symbol for one in history.as_of("2026-03-15T01:59:59.999+02:00")] == ["A"]


def test_a_naive_instant_is_refused() -> None:
    with History.open(database_of([seen(0)])) as history, pytest.raises(ValueError, match="time zone"):
        history.as_of(datetime(2026, 3, 14))


@pytest.mark.parametrize("given", ["2d", "48h", timedelta(days=2)])
def test_a_span_is_a_timedelta_or_text_as_on_the_command_line(given: str | timedelta) -> None:
    assert span(given) == timedelta(days=2)


@pytest.mark.parametrize(("given", "error"), [(48, TypeError), (None, TypeError), ("two days", ValueError)])
def test_anything_else_is_refused_as_a_span(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="span"):
        span(given)


def test_a_timestamp_of_pandas_is_cut_to_what_a_datetime_holds() -> None:
    """Arithmetic on one with nanoseconds fails outside of the years that they can count."""
    pandas = pytest.importorskip("pandas")
    given = pandas.Timestamp("2026-03-14T14:30:00.999999999-04:00")
    found = instant(given, day_ends=True)
    assert (type(found), found.isoformat()) == (datetime, "2026-03-14T18:30:00.999999+00:00")
