from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.firings import Firing
from pipeline.model.outcomes import RunStatus, Trigger
from pipeline.schedule.cron import Schedule
from pipeline.schedule.next_run import FIRST_PAUSE, LONGEST_PAUSE, REST, Due, Errand, due
from tests.support.clocks import START

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
DAY = 24 * HOUR
FIRE = START  # 18:30 on 14 March 2026
DAILY = Schedule("30 18 * * *", "UTC", 36 * HOUR)
EARLIER = Schedule("0 18 * * *", "UTC", 36 * HOUR)
DONE = Firing(FIRE - 30 * DAY, FIRE, RunStatus.COMPLETE, FIRE + MINUTE, 0)


def what(
    last: Firing,
    now: datetime,
    *,
    goes_on: bool = True,
    anew_at: datetime = FIRE - 30 * DAY,
    free_at: datetime = FIRE,
) -> Due:
    return due(
        [DAILY],
        {str(DAILY): last},
        now=now,
        goes_on=goes_on,
        anew_at=anew_at,
        free_at=lambda at: max(at, free_at),
    )


def cut_short(status: RunStatus, *, fruitless: int = 0) -> Firing:
    return replace(DONE, status=status, fruitless=fruitless)


def test_a_fire_time_that_nothing_ran_for_is_run() -> None:
    assert what(DONE, FIRE + DAY).errand == Errand(DAILY, FIRE + DAY, Trigger.SCHEDULE)
    assert what(DONE, FIRE + DAY + MINUTE).errand == Errand(DAILY, FIRE + DAY, Trigger.SCHEDULE)
    assert what(DONE, FIRE + DAY + 2 * MINUTE).errand == Errand(DAILY, FIRE + DAY, Trigger.CATCH_UP)


def test_when_all_is_done_there_is_nothing_to_do() -> None:
    nothing = what(DONE, FIRE + HOUR)
    assert nothing.is_nothing
    assert nothing.continues_at is None


def test_older_ones_are_missed() -> None:
    found = what(DONE, FIRE + 3 * DAY + HOUR)
    assert found.errand == Errand(DAILY, FIRE + 3 * DAY, Trigger.CATCH_UP)
    assert [list(one.missed) for one in found.missed] == [[FIRE + DAY, FIRE + 2 * DAY]]


def test_of_several_schedules_the_oldest_fire_time_comes_first() -> None:
    last = {str(DAILY): DONE, str(EARLIER): replace(DONE, scheduled_for=FIRE - 30 * MINUTE)}
    found = due([DAILY, EARLIER], last, now=FIRE + DAY, goes_on=True, anew_at=FIRE, free_at=lambda at: at)
    assert found.errand == Errand(EARLIER, FIRE + DAY - 30 * MINUTE, Trigger.CATCH_UP)


def test_a_schedule_that_is_not_in_force_yet_is_left_alone() -> None:
    assert due([DAILY], {}, now=FIRE, goes_on=True, anew_at=FIRE, free_at=lambda at: at).is_nothing


@pytest.mark.parametrize("status", [RunStatus.INTERRUPTED, RunStatus.RUNNING])
def test_what_a_stop_or_a_kill_cut_short_is_gone_on_with_at_once(status: RunStatus) -> None:
    assert what(cut_short(status), FIRE + 2 * MINUTE).errand == Errand(DAILY, FIRE, Trigger.CONTINUE)


def test_what_the_quota_cut_short_is_gone_on_with_when_the_window_frees() -> None:
    last = cut_short(RunStatus.QUOTA_EXHAUSTED)
    early = what(last, FIRE + HOUR, free_at=FIRE + 5 * HOUR)
    assert early.is_nothing
    assert early.continues_at == FIRE + 5 * HOUR
    assert what(last, FIRE + 5 * HOUR, free_at=FIRE + 5 * HOUR).errand == Errand(DAILY, FIRE, Trigger.CONTINUE)


def test_a_quota_that_ended_though_the_window_was_free_is_asked_again_after_ever_longer_pauses() -> None:
    """Or an API that throttles whatever it is asked would be sent all of a day's allowance, a few requests a minute."""
    ended = FIRE + MINUTE
    for fruitless, pause in [(0, 15), (1, 15), (2, 30), (3, 60), (5, 240), (50, 240)]:
        last = cut_short(RunStatus.QUOTA_EXHAUSTED, fruitless=fruitless)
        assert what(last, ended + 2 * MINUTE).continues_at == ended + pause * MINUTE


def test_a_run_that_failed_is_gone_on_with_after_ever_longer_pauses() -> None:
    ended = FIRE + MINUTE
    assert what(cut_short(RunStatus.FAILED), ended).continues_at == ended + FIRST_PAUSE
    assert what(cut_short(RunStatus.FAILED, fruitless=99), ended).continues_at == ended + LONGEST_PAUSE
    assert what(cut_short(RunStatus.FAILED), ended + FIRST_PAUSE).errand == Errand(DAILY, FIRE, Trigger.CONTINUE)


def test_whoever_mended_something_need_not_wait() -> None:
    now = FIRE + 5 * MINUTE
    found = what(cut_short(RunStatus.FAILED, fruitless=9), now, anew_at=FIRE + 4 * MINUTE)
    assert found.errand == Errand(DAILY, FIRE, Trigger.CONTINUE)


@pytest.mark.parametrize("status", [RunStatus.COMPLETE, RunStatus.PARTIAL, RunStatus.MISSED])
def test_what_was_not_cut_short_is_not_gone_on_with(status: RunStatus) -> None:
    assert what(cut_short(status), FIRE + HOUR).is_nothing


def test_nothing_is_gone_on_with_where_that_is_not_wanted() -> None:
    assert what(cut_short(RunStatus.INTERRUPTED), FIRE + HOUR, goes_on=False).is_nothing


def test_of_those_to_go_on_with_the_one_that_has_waited_longest_comes_first() -> None:
    """Else a list as long as the allowance would take each slot that frees, and another's symbol never get one."""
    last = {
        str(DAILY): replace(cut_short(RunStatus.QUOTA_EXHAUSTED), finished_at=FIRE + 3 * HOUR),
        str(EARLIER): replace(
            cut_short(RunStatus.QUOTA_EXHAUSTED), scheduled_for=FIRE - 30 * MINUTE, finished_at=FIRE + HOUR
        ),
    }
    found = due(
        [DAILY, EARLIER],
        last,
        now=FIRE + 5 * HOUR,
        goes_on=True,
        anew_at=FIRE,
        free_at=lambda at: max(at, FIRE + 4 * HOUR),
    )
    assert found.errand == Errand(EARLIER, FIRE - 30 * MINUTE, Trigger.CONTINUE)


def test_a_fire_time_that_the_clock_was_set_back_over_is_not_gone_on_with_before_it_comes_again() -> None:
    assert what(cut_short(RunStatus.INTERRUPTED), FIRE - HOUR).is_nothing


@given(
    minutes=st.integers(0, 60 * 24 * 3),
    status=st.sampled_from([*RunStatus]),
    fruitless=st.integers(0, 100),
    free_in=st.integers(-100, 10_000),
    goes_on=st.booleans(),
)
def test_whatever_happened_it_is_told_when_there_will_be_something_to_do(
    *, minutes: int, status: RunStatus, fruitless: int, free_in: int, goes_on: bool
) -> None:
    now = FIRE + 2 * MINUTE + minutes * MINUTE
    last = replace(DONE, status=status, fruitless=fruitless)
    free_at = FIRE + free_in * MINUTE
    found = what(last, now, goes_on=goes_on, free_at=free_at)

    if found.continues_at is not None:
        assert found.errand is None
        assert found.continues_at > now
        then = what(last, found.continues_at, goes_on=goes_on, free_at=free_at)
        assert then.errand is not None
    if found.errand is not None and found.errand.trigger is Trigger.CONTINUE:
        assert goes_on
        assert found.errand.fire_time == FIRE
        assert status in (RunStatus.RUNNING, RunStatus.INTERRUPTED) or now >= FIRE + MINUTE + REST
