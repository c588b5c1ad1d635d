"""Next run: what is due, missed, or to be resumed, at an instant and after what happened before."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.firings import Firing
from pipeline.model.outcomes import RunStatus, Trigger
from pipeline.schedule.cron import Schedule
from pipeline.schedule.next_run import FIRST_PAUSE, LONGEST_PAUSE, SHORTEST_PAUSE, Decision, ScheduledRun, decide
from tests.support.clocks import START

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
DAY = 24 * HOUR
FIRE = START  # 18:30 on 14 March 2026
DAILY = Schedule("30 18 * * *", "UTC", 36 * HOUR)
EARLIER = Schedule("0 18 * * *", "UTC", 36 * HOUR)
DONE = Firing(FIRE - 30 * DAY, FIRE, RunStatus.COMPLETE, FIRE + MINUTE, 0)


def decided(
    last: Firing,
    now: datetime,
    *,
    resume: bool = True,
    reset_at: datetime = FIRE - 30 * DAY,
    free_at: datetime = FIRE,
) -> Decision:
    return decide(
        [DAILY],
        {str(DAILY): last},
        now=now,
        resume=resume,
        reset_at=reset_at,
        free_at=lambda at: max(at, free_at),
    )


def cut_short(status: RunStatus, *, empty_runs: int = 0) -> Firing:
    return replace(DONE, status=status, empty_runs=empty_runs)


def test_a_fire_time_without_a_run_is_run() -> None:
    assert decided(DONE, FIRE + DAY).run == ScheduledRun(DAILY, FIRE + DAY, Trigger.SCHEDULE)
    assert decided(DONE, FIRE + DAY + MINUTE).run == ScheduledRun(DAILY, FIRE + DAY, Trigger.SCHEDULE)
    assert decided(DONE, FIRE + DAY + 2 * MINUTE).run == ScheduledRun(DAILY, FIRE + DAY, Trigger.CATCH_UP)


def test_after_a_complete_run_there_is_nothing_to_do() -> None:
    nothing = decided(DONE, FIRE + HOUR)
    assert nothing.is_idle
    assert nothing.resumes_at is None


def test_all_but_the_newest_fire_time_are_missed() -> None:
    found = decided(DONE, FIRE + 3 * DAY + HOUR)
    assert found.run == ScheduledRun(DAILY, FIRE + 3 * DAY, Trigger.CATCH_UP)
    assert [list(one.missed) for one in found.missed] == [[FIRE + DAY, FIRE + 2 * DAY]]


def test_of_several_schedules_the_oldest_fire_time_comes_first() -> None:
    last = {str(DAILY): DONE, str(EARLIER): replace(DONE, scheduled_for=FIRE - 30 * MINUTE)}
    found = decide([DAILY, EARLIER], last, now=FIRE + DAY, resume=True, reset_at=FIRE, free_at=lambda at: at)
    assert found.run == ScheduledRun(EARLIER, FIRE + DAY - 30 * MINUTE, Trigger.CATCH_UP)


def test_a_schedule_that_is_not_in_force_yet_is_left_alone() -> None:
    assert decide([DAILY], {}, now=FIRE, resume=True, reset_at=FIRE, free_at=lambda at: at).is_idle


@pytest.mark.parametrize("status", [RunStatus.INTERRUPTED, RunStatus.RUNNING])
def test_a_run_that_was_stopped_or_killed_is_resumed_at_once(status: RunStatus) -> None:
    assert decided(cut_short(status), FIRE + 2 * MINUTE).run == ScheduledRun(DAILY, FIRE, Trigger.CONTINUE)


def test_a_run_that_the_quota_cut_short_is_resumed_when_the_window_frees() -> None:
    last = cut_short(RunStatus.QUOTA_EXHAUSTED)
    early = decided(last, FIRE + HOUR, free_at=FIRE + 5 * HOUR)
    assert early.is_idle
    assert early.resumes_at == FIRE + 5 * HOUR
    assert decided(last, FIRE + 5 * HOUR, free_at=FIRE + 5 * HOUR).run == ScheduledRun(DAILY, FIRE, Trigger.CONTINUE)


def test_a_run_cut_short_by_the_quota_in_a_free_window_is_resumed_after_growing_pauses() -> None:
    """Otherwise an API that throttles everything would get all of a day's requests, a few a minute."""
    ended = FIRE + MINUTE
    for empty_runs, pause in [(0, 15), (1, 15), (2, 30), (3, 60), (5, 240), (50, 240)]:
        last = cut_short(RunStatus.QUOTA_EXHAUSTED, empty_runs=empty_runs)
        assert decided(last, ended + 2 * MINUTE).resumes_at == ended + pause * MINUTE


def test_a_failed_run_is_resumed_after_growing_pauses() -> None:
    ended = FIRE + MINUTE
    assert decided(cut_short(RunStatus.FAILED), ended).resumes_at == ended + FIRST_PAUSE
    assert decided(cut_short(RunStatus.FAILED, empty_runs=99), ended).resumes_at == ended + LONGEST_PAUSE
    assert decided(cut_short(RunStatus.FAILED), ended + FIRST_PAUSE).run == ScheduledRun(DAILY, FIRE, Trigger.CONTINUE)


def test_a_restart_or_reload_ends_the_pause() -> None:
    now = FIRE + 5 * MINUTE
    found = decided(cut_short(RunStatus.FAILED, empty_runs=9), now, reset_at=FIRE + 4 * MINUTE)
    assert found.run == ScheduledRun(DAILY, FIRE, Trigger.CONTINUE)


@pytest.mark.parametrize("status", [RunStatus.COMPLETE, RunStatus.PARTIAL, RunStatus.MISSED])
def test_a_run_that_was_not_cut_short_is_not_resumed(status: RunStatus) -> None:
    assert decided(cut_short(status), FIRE + HOUR).is_idle


def test_nothing_is_resumed_where_that_is_switched_off() -> None:
    assert decided(cut_short(RunStatus.INTERRUPTED), FIRE + HOUR, resume=False).is_idle


@pytest.mark.parametrize(("daily", "earlier", "first"), [(1, 3, DAILY), (3, 1, EARLIER)])
def test_the_run_that_has_waited_longest_is_resumed_first(daily: int, earlier: int, first: Schedule) -> None:
    """Otherwise a long list would take each slot that frees, and another schedule's symbols would never get one."""
    cut = cut_short(RunStatus.QUOTA_EXHAUSTED)
    last = {
        str(DAILY): replace(cut, finished_at=FIRE + daily * HOUR),
        str(EARLIER): replace(cut, scheduled_for=FIRE - 30 * MINUTE, finished_at=FIRE + earlier * HOUR),
    }
    found = decide(
        [DAILY, EARLIER],
        last,
        now=FIRE + 5 * HOUR,
        resume=True,
        reset_at=FIRE,
        free_at=lambda at: max(at, FIRE + 4 * HOUR),
    )
    assert found.run is not None
    assert (found.run.schedule, found.run.trigger) == (first, Trigger.CONTINUE)


def test_after_the_clock_was_set_back_a_future_fire_time_is_not_resumed() -> None:
    assert decided(cut_short(RunStatus.INTERRUPTED), FIRE - HOUR).is_idle


@settings(max_examples=100)
@given(
    minutes=st.integers(0, 60 * 24 * 3),
    status=st.sampled_from([*RunStatus]),
    empty_runs=st.integers(0, 100),
    free_in=st.integers(-100, 10_000),
    resume=st.booleans(),
)
def test_resumes_at_is_when_there_is_something_to_run(
    *, minutes: int, status: RunStatus, empty_runs: int, free_in: int, resume: bool
) -> None:
    now = FIRE + 2 * MINUTE + minutes * MINUTE
    last = replace(DONE, status=status, empty_runs=empty_runs)
    free_at = FIRE + free_in * MINUTE
    found = decided(last, now, resume=resume, free_at=free_at)

    if found.resumes_at is not None:
        assert found.run is None
        assert found.resumes_at > now
        then = decided(last, found.resumes_at, resume=resume, free_at=free_at)
        assert then.run is not None
    if found.run is not None and found.run.trigger is Trigger.CONTINUE:
        assert resume
        assert found.run.fire_time == FIRE
        assert status in (RunStatus.RUNNING, RunStatus.INTERRUPTED) or now >= FIRE + MINUTE + SHORTEST_PAUSE
