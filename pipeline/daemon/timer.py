"""The bell: APScheduler, which rings at each fire time. What is to be done then, the database says.

It asks our own arithmetic for the next fire time, and is woken at each heartbeat: its timer sees neither sleep nor a
step of the clock, and an error in its loop would stop it for good.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from pipeline.schedule.cron import Schedule


class FireTimes(BaseTrigger):  # type: ignore[misc]  # APScheduler ships no types
    """The fire times of a schedule, as APScheduler asks for them."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """Return the first that is still to come. (Asked for all that were missed, it would enumerate months.)"""
        return self._schedule.next(max(previous, now) if previous else now)


class Timer:
    """Rings at the fire times of all schedules."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        # By default a job that is a second late, on a busy machine or after sleep, would be dropped.
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self._scheduler = AsyncIOScheduler(timezone=UTC, job_defaults=defaults)

    def start(self) -> None:
        """Begin to ring, on the running loop."""
        self._scheduler.start()

    def set(self, schedules: Iterable[Schedule]) -> None:
        """Ring for these schedules and no others, from now on, whatever the clock said before."""
        self._scheduler.remove_all_jobs()
        for schedule in schedules:
            self._scheduler.add_job(self._rung, FireTimes(schedule), id=str(schedule))

    def wake(self) -> None:
        """Let it look at the clock and set its timer anew, which brings it back if the timer has died."""
        self._scheduler.wakeup()

    def overdue(self, now: datetime) -> timedelta:
        """Return how long it has been silent that should have rung: for more than a moment, and its timer has died."""
        times = [job.next_run_time for job in self._scheduler.get_jobs() if job.next_run_time is not None]
        return max(now - min(times, default=now), timedelta())

    def stop(self) -> None:
        """Ring no more."""
        self._scheduler.shutdown(wait=False)

    async def _rung(self) -> None:
        """Ring. A coroutine: APScheduler would call a function in a thread."""
        self._ring()
