"""Calendars: an exchange's closes, early ones too, on the last trading day of each period."""

import importlib
from datetime import date, datetime
from typing import Any

import pytest

from pipeline.instants import of_day
from pipeline.query.grid import Every
from pipeline.query.history import History
from tests.support.observations import database_of, seen


@pytest.fixture(autouse=True, scope="module")
def _calendars() -> None:
    pytest.importorskip("exchange_calendars")


def module() -> Any:
    """Return the module, which imports pandas: not while tests are collected, which each worker does."""
    return importlib.import_module("pipeline.query.calendars")


def texts(calendar: str, every: str, since: date | datetime, until: date) -> list[str]:
    found = module().closes(calendar, Every(every), since, of_day(until, ends=True))
    return [at.strftime("%Y-%m-%d %H:%M") for at in found]


def test_each_trading_day_has_its_close() -> None:
    """Without the holiday, with the early close, and with the clocks of the exchange."""
    assert texts("XNYS", "1d", date(2025, 11, 26), date(2025, 12, 1)) == [
        "2025-11-26 21:00", "2025-11-28 18:00", "2025-12-01 21:00",
    ]  # fmt: skip
    assert texts("xnys", "1d", date(2025, 3, 7), date(2025, 3, 10)) == ["2025-03-07 21:00", "2025-03-10 20:00"]


def test_a_period_has_the_close_of_its_last_trading_day() -> None:
    assert texts("XNYS", "1w", date(2025, 11, 24), date(2025, 12, 5)) == ["2025-11-28 18:00", "2025-12-05 21:00"]
    assert texts("XNYS", "1mo", date(2025, 5, 1), date(2025, 6, 29)) == ["2025-05-30 20:00"]
    assert texts("XNYS", "1q", date(2025, 3, 31), date(2025, 7, 1)) == ["2025-03-31 20:00", "2025-06-30 20:00"]


def test_an_interval_that_ends_before_it_begins_has_no_close() -> None:
    assert texts("XNYS", "1mo", date(2025, 11, 30), date(2025, 11, 28)) == []


def test_an_instant_bounds_the_closes() -> None:
    close = datetime.fromisoformat("2025-11-28T18:00:00Z")
    assert texts("XNYS", "1d", close, date(2025, 11, 30)) == ["2025-11-28 18:00"]
    assert texts("XNYS", "1d", close.replace(minute=1), date(2025, 11, 30)) == []


@pytest.mark.parametrize(("name", "day", "word"), [("XNYX", 2025, "XNYS"), ("XSHG", 1900, "XSHG")])
def test_a_calendar_that_is_unknown_or_does_not_reach_the_days_is_one_line(name: str, day: int, word: str) -> None:
    with pytest.raises(module().CalendarNotFound, match=word) as error:
        module().closes(name, Every.DAY, date(day, 1, 1), of_day(date(day, 2, 1), ends=True))
    assert "\n" not in str(error.value)


def test_a_panel_has_the_closes_as_its_instants() -> None:
    with History.open(database_of([seen(0)])) as history:
        answer = history.panel(["eps"], calendar="XNYS", every="1mo", since="2026-01-01", until="2026-03-31")
        assert [f"{row.at:%d %H:%M}" for row in answer] == ["30 21:00", "27 21:00", "31 20:00"]
