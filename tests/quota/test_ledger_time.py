"""The ledger's time: no clock makes a slot older than it is, as far as anybody can know."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.api.server_time import MOST_OFF, ServerTime
from pipeline.instants import MILLISECOND
from pipeline.model.slots import LedgerMark
from pipeline.quota.ledger_clock import LedgerClock
from pipeline.quota.ledger_time import (
    AGREES_WITHIN,
    Standing,
    UntrustedClock,
    confirmed,
    known_now,
    least_now,
    trusted,
    unconfirmed,
)
from pipeline.uptime import Uptime, of_linux, of_macos, read_uptime
from tests.support.clocks import START, ManualClock

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
BOOT = Uptime("a", HOUR)
MARK = LedgerMark(START, BOOT)
ANY_SPAN = st.timedeltas(timedelta(), timedelta(days=400))
ANY_STEP = st.timedeltas(timedelta(days=-400), timedelta(days=400))


def later(span: timedelta) -> Uptime:
    return Uptime("a", BOOT.span + span)


@given(passed=ANY_SPAN, off=ANY_STEP)
@settings(max_examples=200)
def test_within_a_boot_no_more_has_passed_than_the_uptime_says(passed: timedelta, off: timedelta) -> None:
    wall, uptime = START + passed + off, later(passed)

    standing = trusted(MARK, wall=wall, uptime=uptime)

    assert (standing is None) == (abs(off) > AGREES_WITHIN)
    if standing is not None:
        assert standing.now <= START + passed + timedelta(milliseconds=50)
        assert standing.dates_from >= standing.now
    assert least_now(MARK, wall=wall, uptime=uptime) == min(wall, START + passed)


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_a_slot_from_the_future_makes_any_clock_suspect(ahead: timedelta) -> None:
    standing = trusted(MARK, wall=START, uptime=BOOT, newest=START + ahead)

    assert (standing is None) == (ahead > timedelta())


def test_a_ledger_without_a_mark_begins_by_the_wall_clock() -> None:
    assert trusted(None, wall=START, uptime=BOOT) == Standing(START, START)


@pytest.mark.parametrize("uptime", [None, Uptime("b", DAY), Uptime("a", HOUR - SECOND)])
def test_after_another_boot_nothing_is_known_to_have_passed(uptime: Uptime | None) -> None:
    assert known_now(MARK, uptime) is None
    assert trusted(MARK, wall=START, uptime=uptime) is None
    assert unconfirmed(MARK, wall=START + DAY, uptime=uptime) == Standing(START, START + DAY)


@given(passed=ANY_SPAN, off=ANY_STEP, since_boot=st.none() | ANY_SPAN)
@settings(max_examples=200)
def test_a_clock_is_refused_unless_the_server_shows_the_same(
    passed: timedelta, off: timedelta, since_boot: timedelta | None
) -> None:
    """And slots of this boot become as old as they are: those of the mark's instant, as old as the mark."""
    wall, server = START + passed + off, ServerTime(START + passed, START + passed + SECOND)
    uptime = Uptime("b", timedelta()) if since_boot is None else later(since_boot)
    if not server.is_within(MOST_OFF, wall):
        with pytest.raises(UntrustedClock, match=f"{wall:%Y-%m-%d %H:%M:%S} UTC, the API's server"):
            confirmed(MARK, server, wall=wall, uptime=uptime)
        return
    standing = confirmed(MARK, server, wall=wall, uptime=uptime)

    assert server.earliest <= standing.now <= standing.dates_from <= server.latest
    assert (standing.shift is None) == (since_boot is None)
    if standing.shift is not None and since_boot is not None:
        assert timedelta() <= since_boot - (standing.now - (MARK.at + standing.shift.by)) <= SECOND


@pytest.mark.parametrize("hours", [10, -10])
def test_only_what_a_confirmed_clock_has_dated_stays_where_the_uptime_stood_still(hours: int) -> None:
    now, span = START + DAY, DAY - hours * HOUR
    mark = LedgerMark(START, BOOT, START + SECOND)

    standing = confirmed(mark, ServerTime(now, now), wall=now, uptime=later(span))

    assert standing.shift is not None
    assert standing.shift.by == hours * HOUR
    is_still = hours > 0
    assert (standing.shift.since > START + SECOND) == is_still


@pytest.mark.parametrize(
    ("standing", "heard", "confirmed_at"),
    [
        (Standing(START, START), [timedelta()], START),
        (Standing(START, START), [-MOST_OFF], START),
        (Standing(START, START), [3 * SECOND, timedelta()], None),
        (Standing(START, START), [-2 * MOST_OFF], None),
        (Standing(START, START), [], None),
        (Standing(START, START + HOUR), [HOUR], None),
        (Standing(START, START + HOUR, is_confirmed=True), [HOUR], START + HOUR),
    ],
)
def test_what_a_process_dates_is_confirmed_if_no_answer_says_that_it_was_later(
    clock: ManualClock, standing: Standing, heard: list[timedelta], confirmed_at: datetime | None
) -> None:
    """And if it is on one time line with what was dated before."""
    for before in (None, START - DAY):
        own = LedgerClock(clock.as_clock(), standing, before)
        for off in heard:
            own.hear(ServerTime(START + off, START + off + SECOND))
        assert own.mark().confirmed_at == (before if confirmed_at is None else confirmed_at + MILLISECOND)


@given(passed=ANY_SPAN, wall=ANY_STEP)
@settings(max_examples=200)
def test_without_a_servers_time_only_what_is_known_has_passed(passed: timedelta, wall: timedelta) -> None:
    shown = START + passed + wall
    if wall < -AGREES_WITHIN:
        with pytest.raises(UntrustedClock, match="has reached"):
            unconfirmed(MARK, wall=shown, uptime=later(passed))
        return
    standing = unconfirmed(MARK, wall=shown, uptime=later(passed))

    assert (standing.now, standing.is_confirmed) == (START + passed, False)
    assert standing.dates_from >= shown


@pytest.mark.parametrize("step", [25 * HOUR, -25 * HOUR])
def test_the_ledgers_clock_goes_on_whatever_the_wall_clock_is_set_to(clock: ManualClock, step: timedelta) -> None:
    own = LedgerClock(clock.as_clock(), Standing(START, START))
    clock.advance(HOUR)
    clock.set_by(step)

    assert own.now() == START + HOUR
    assert own.mark() == LedgerMark(START + HOUR, clock.uptime)


def test_a_server_that_is_ahead_dates_what_it_has_just_answered(clock: ManualClock) -> None:
    own = LedgerClock(clock.as_clock(), Standing(START, START))
    own.hear(ServerTime(START + DAY, START + DAY + SECOND))

    assert own.now() == START + DAY + SECOND
    assert own.mark().at == START  # what was dated before is no older by that

    behind = LedgerClock(clock.as_clock(), Standing(START, START))
    behind.hear(ServerTime(START - DAY, START - DAY + SECOND))
    assert behind.now() == START


@pytest.mark.parametrize("read", [read_uptime, of_linux, of_macos])
def test_a_system_says_its_uptime_or_nothing(read: Callable[[], Uptime | None]) -> None:
    one, other = read(), read()

    if one is not None:
        assert other is not None
        assert one.boot == other.boot
        assert timedelta() < one.span <= other.span
