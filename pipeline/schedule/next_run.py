"""Next run: decide what the daemon runs now, from the schedules and what the database has of their last runs."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline import instants
from pipeline.model.firings import Firing
from pipeline.model.outcomes import RunStatus, Trigger
from pipeline.schedule.cron import ON_TIME, PastFireTimes, Schedule, past_fire_times

SHORTEST_PAUSE = timedelta(minutes=1)
"""Between two runs for one fire time after the quota ended."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=15), timedelta(hours=4)
"""After a failed run, before its fire time is resumed; doubled with each further failure."""
_MOST_DOUBLINGS = 8


@dataclass(frozen=True, slots=True)
class ScheduledRun:
    """A run for a fire time."""

    schedule: Schedule
    fire_time: datetime
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do at an instant."""

    run: ScheduledRun | None
    """The run to start now."""
    missed: tuple[PastFireTimes, ...]
    """Fire times that are too old to run: to be recorded as missed."""
    resumes_at: datetime | None
    """If there is nothing to run now: when a run that was cut short can be resumed."""

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to run and nothing to record."""
        return self.run is None and not self.missed


FreeAt = Callable[[datetime], datetime]
"""Returns when the quota admits the next request, as of the given instant."""


def decide(
    schedules: Iterable[Schedule],
    last: Mapping[str, Firing],
    *,
    now: datetime,
    resume: bool,
    reset_at: datetime,
    free_at: FreeAt,
) -> Decision:
    """Return what to do now: run the oldest fire time that is due, or else resume a run that was cut short.

    `last` has each schedule's last firing by the schedule's text; schedules that are not in it are not in force yet.
    `resume`: whether runs that were cut short are resumed. `reset_at`: when somebody last started the daemon, or
    reloaded its configuration, which ends the pause after a failure.
    """
    past = [
        past_fire_times(schedule, since=_handled_until(last[str(schedule)]), now=now)
        for schedule in schedules
        if str(schedule) in last
    ]
    missed = tuple(one for one in past if next(one.missed, None) is not None)
    due = [
        ScheduledRun(one.schedule, one.newest, Trigger.SCHEDULE if now - one.newest <= ON_TIME else Trigger.CATCH_UP)
        for one in past
        if one.newest is not None
    ]
    if due:
        return Decision(min(due, key=lambda run: run.fire_time), missed, None)
    cut_short = [(one.schedule, last[str(one.schedule)]) for one in past] if resume else []
    run, resumes_at = _resume(cut_short, now=now, reset_at=reset_at, free_at=free_at)
    return Decision(run, missed, resumes_at)


def first_since(schedules: Iterable[Schedule], now: datetime) -> dict[str, datetime]:
    """Return since when each schedule counts in a new database: so that its newest past fire time is caught up."""
    newest = {
        schedule: past_fire_times(schedule, since=instants.EARLIEST_PLAUSIBLE, now=now).newest for schedule in schedules
    }
    return {str(schedule): now if at is None else at - instants.MILLISECOND for schedule, at in newest.items()}


def _handled_until(firing: Firing) -> datetime:
    """Return the instant up to which all fire times have run or are recorded as missed."""
    return max(firing.since, firing.scheduled_for or firing.since)


def _resume(
    firings: Iterable[tuple[Schedule, Firing]], *, now: datetime, reset_at: datetime, free_at: FreeAt
) -> tuple[ScheduledRun | None, datetime | None]:
    """Return the run to resume now; or None, and when the first one can be resumed.

    The run that has waited longest comes first: otherwise one long list would take each slot that frees, and the
    symbols of another schedule would never get one.
    """
    waiting = [
        (at, firing.finished_at or now, str(schedule), ScheduledRun(schedule, fire_time, Trigger.CONTINUE))
        for schedule, firing in firings
        if (fire_time := firing.scheduled_for) is not None
        and (at := _resumes_at(firing, now=now, reset_at=reset_at, free_at=free_at)) is not None
    ]
    ready = [(ended, name, run) for at, ended, name, run in waiting if at <= now]
    if ready:
        return min(ready, key=lambda one: one[:2])[2], None
    return None, min((at for at, *_ in waiting), default=None)


def _resumes_at(firing: Firing, *, now: datetime, reset_at: datetime, free_at: FreeAt) -> datetime | None:
    """Return when a fire time can be resumed; None if its last run was not cut short."""
    if firing.scheduled_for is None or firing.scheduled_for > now:
        return None  # the clock was set back: this fire time will come again
    ended = min(firing.finished_at or now, now)
    doublings = min(max(firing.empty_runs - 1, 0), _MOST_DOUBLINGS)
    pause: timedelta = min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)
    match firing.status:
        case RunStatus.INTERRUPTED if firing.empty_runs > 1 and reset_at <= ended:
            return ended + pause  # repeatedly without a result: this run may be what kills the process
        case RunStatus.INTERRUPTED | RunStatus.RUNNING:  # still "running" after a restart: the process was killed
            return now
        case RunStatus.QUOTA_EXHAUSTED if free_at(ended) > ended + SHORTEST_PAUSE:
            return max(free_at(now), ended + SHORTEST_PAUSE)
        case RunStatus.QUOTA_EXHAUSTED | RunStatus.FAILED:
            # No window says when: the API throttles every request, or something else is wrong and may be fixed by now.
            return now if reset_at > ended else ended + pause
        case _:
            return None
