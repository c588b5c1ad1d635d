"""Errands: what the daemon is to do next, reckoned from the schedules and from what the record has of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.model.firings import Firing
from pipeline.model.outcomes import RunStatus, Trigger
from pipeline.schedule.cron import Reckoning, Schedule, reckon

ON_TIME = timedelta(minutes=1)
"""A fire time that is run later than this is caught up with."""
REST = timedelta(minutes=1)
"""Between two runs for one fire time."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=15), timedelta(hours=4)
"""After a run that failed, before the next one goes on with its fire time; doubled each time it fails again."""


@dataclass(frozen=True, slots=True)
class Errand:
    """A run for a fire time."""

    schedule: Schedule
    fire_time: datetime
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class Due:
    """What there is to do at an instant."""

    errand: Errand | None
    """The run to do now."""
    missed: tuple[Reckoning, ...]
    """Fire times that it is too late for: to be recorded."""
    continues_at: datetime | None
    """If there is nothing to run now: when a run that was cut short can be gone on with."""

    @property
    def is_nothing(self) -> bool:
        return self.errand is None and not self.missed


FreeAt = Callable[[datetime], datetime]
"""Returns when the next request may leave, as it stood at an instant, or stands now."""


def due(
    schedules: Iterable[Schedule],
    last: Mapping[str, Firing],
    *,
    now: datetime,
    goes_on: bool,
    anew_at: datetime,
    free_at: FreeAt,
) -> Due:
    """Return what there is to do now. Of several fire times the oldest comes first; then what can be gone on with.

    `anew_at` is when somebody last had a hand in it: started the daemon, or had it read its configuration again.
    """
    reckonings = [
        reckon(schedule, since=_done_with(last[str(schedule)]), now=now)
        for schedule in schedules
        if str(schedule) in last
    ]
    missed = tuple(one for one in reckonings if next(one.missed, None) is not None)
    fired = [
        Errand(one.schedule, one.newest, Trigger.SCHEDULE if now - one.newest <= ON_TIME else Trigger.CATCH_UP)
        for one in reckonings
        if one.newest is not None
    ]
    if fired:
        return Due(min(fired, key=lambda errand: errand.fire_time), missed, None)
    resumptions = {}
    for one in reckonings if goes_on else ():
        firing = last[str(one.schedule)]
        at = _resumption(firing, now=now, anew_at=anew_at, free_at=free_at)
        if at is not None:
            resumptions[at, firing.finished_at or now, str(one.schedule)] = one.schedule
    possible = [(ended, name, schedule) for (at, ended, name), schedule in resumptions.items() if at <= now]
    if not possible:
        return Due(None, missed, min((at for at, _, _ in resumptions), default=None))
    # The one that has waited longest: else one long list would take all the slots of another, for ever.
    _, name, schedule = min(possible, key=lambda one: one[:2])
    fire_time = last[name].scheduled_for
    assert fire_time is not None
    return Due(Errand(schedule, fire_time, Trigger.CONTINUE), missed, None)


def _done_with(firing: Firing) -> datetime:
    """Return the instant up to which all fire times are in the record."""
    return max(firing.since, firing.scheduled_for or firing.since)


def _resumption(firing: Firing, *, now: datetime, anew_at: datetime, free_at: FreeAt) -> datetime | None:
    """Return when a fire time can be gone on with: never (None), if its last run was not cut short."""
    if firing.scheduled_for is None or firing.scheduled_for > now:
        return None  # the clock was set back: its time comes once more
    ended = min(firing.finished_at or now, now)
    pause: timedelta = min(FIRST_PAUSE * 2 ** min(max(firing.fruitless - 1, 0), 8), LONGEST_PAUSE)
    match firing.status:
        case RunStatus.INTERRUPTED if firing.fruitless > 1 and anew_at <= ended:
            return ended + pause  # again and again, and nothing came of it: it may be what the process dies of
        case RunStatus.INTERRUPTED | RunStatus.RUNNING:  # what was running when the process was killed runs no more
            return now
        case RunStatus.QUOTA_EXHAUSTED if free_at(ended) > ended + REST:
            return max(free_at(now), ended + REST)
        case RunStatus.QUOTA_EXHAUSTED | RunStatus.FAILED:
            # No window says when: the API throttles whatever is asked, or something else is wrong, and may be mended.
            return now if anew_at > ended else ended + pause
        case _:
            return None
