"""Reach: which instants may be asked about, and which of three refusals a later one gets."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Trouble
from pipeline.query.reach import AfterAddress, AfterLock, BeyondReach, InFuture, Reach, check_order

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
LOCK = datetime(2026, 3, 15, 23, 59, 59, 999_000, tzinfo=UTC)
NOON = LOCK.replace(hour=12, minute=0, second=0, microsecond=0)
OPEN = Reach.of_record(now=NOW, lock=None)
LOCKED = Reach.of_record(now=NOW, lock=LOCK)
AT_NOON = Reach(NOON, is_address=True)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("reach", "asked", "at"),
    [
        (OPEN, "2026-03-14", datetime(2026, 3, 14, 23, 59, 59, 999_000, tzinfo=UTC)),
        (OPEN, "2026-03-14T18:30+02:00", datetime(2026, 3, 14, 16, 30, tzinfo=UTC)),
        (OPEN, "now", NOW),
        (OPEN, "7d", NOW - 7 * DAY),
        (OPEN, "today", NOW),
        (OPEN, "2026-03-20", NOW),
        (LOCKED, "now", LOCK),
        (LOCKED, "today", LOCK),
        (LOCKED, "2026-03-15", LOCK),
        (LOCKED, "7d", LOCK - 7 * DAY),
        (Reach(NOON, NOON), "2026-03-15", NOON),
        (AT_NOON, "2026-03-15", NOON),
        (AT_NOON, "3h", NOON - timedelta(hours=3)),
    ],
)
def test_the_records_clock_stands_at_the_end_and_its_day_is_not_over(reach: Reach, asked: str, at: datetime) -> None:
    assert reach.instant("at", asked, day_ends=True) == at


@pytest.mark.parametrize("asked", ["2026-03-21", "2026-03-20T12:01Z", "2030-01-01"])
def test_the_future_is_refused(asked: str) -> None:
    with pytest.raises(InFuture, match=r"at '.*in the future.*2026-03-20T12:00:00.000Z"):
        OPEN.instant("at", asked, day_ends=True)


@pytest.mark.parametrize("asked", ["2026-03-16T00:00Z", "2026-03-16", "2026-03-20", "2030-01-01"])
def test_what_is_after_the_lock_is_refused_with_the_latest_instant_that_is_not(asked: str) -> None:
    for reach in (LOCKED, Reach(NOON, LOCK, is_address=True)):
        with pytest.raises(AfterLock, match=r"until '.*after the lock.*2026-03-15T23:59:59.999Z"):
            reach.instant("until", asked, day_ends=True)


@pytest.mark.parametrize("lock", [None, LOCK])
def test_what_is_after_the_instant_of_the_address_is_refused_with_that(lock: datetime | None) -> None:
    with pytest.raises(AfterAddress, match=r"2026-03-15T12:00:00.000Z"):
        Reach(NOON, lock, is_address=True).instant("since", "2026-03-15T12:01Z", day_ends=False)


def test_a_lock_in_the_future_does_not_open_the_future() -> None:
    assert Reach.of_record(now=NOW, lock=NOW + DAY).at == NOW


@pytest.mark.parametrize("asked", ["", "soon", "2026-13-01", "1899-12-31"])
def test_a_text_that_is_none_is_refused_with_those_that_are(asked: str) -> None:
    with pytest.raises(Trouble, match=r"invalid b .*2026-03-14T18:30Z") as refused:
        OPEN.instant("b", asked, day_ends=True)
    assert not isinstance(refused.value, BeyondReach)


def test_a_day_stays_a_day_where_grids_begin() -> None:
    assert OPEN.day_or_instant("since", "2026-03-20") == date(2026, 3, 20)
    assert OPEN.day_or_instant("since", "7d") == NOW - 7 * DAY
    with pytest.raises(InFuture):
        OPEN.day_or_instant("since", "2026-03-21")


def test_an_interval_does_not_end_before_it_begins() -> None:
    check_order(None, NOW)
    check_order(NOW, NOW)
    with pytest.raises(Trouble, match="later than until"):
        check_order(NOW, NOON)


@given(st.datetimes(datetime(1900, 1, 2), datetime(2199, 1, 1), timezones=st.just(UTC)), st.booleans(), st.booleans())
def test_no_text_leads_past_the_end(asked: datetime, is_day: bool, day_ends: bool) -> None:
    text = asked.date().isoformat() if is_day else asked.isoformat(timespec="seconds")
    for reach in (OPEN, LOCKED, AT_NOON):
        try:
            assert reach.instant("at", text, day_ends=day_ends) <= reach.at
        except BeyondReach:
            assert asked > reach.at
