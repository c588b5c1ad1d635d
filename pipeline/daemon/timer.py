"""Timer: wakes the daemon, by APScheduler, at the fire times that `schedule.cron` computes.

Fire times come from `schedule.cron`. The timer is woken at each heartbeat, because APScheduler's own notices neither
sleep nor a step of the clock, and an error in its loop would stop it for good.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from pipeline.schedule.cron import Schedule


class FireTimes(BaseTrigger):  # type: ignore[misc]  # APScheduler ships no types
    """The fire times of a schedule, as an APScheduler trigger."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """Return the next one after now: past ones are skipped, since there may be months of them."""
        return self._schedule.next(max(previous, now) if previous else now)


class Timer:
    """Calls `wake` at the fire times of all schedules."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake_daemon = wake
        # By default a job that is a second late, on a busy machine or after sleep, would be dropped.
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self._scheduler = AsyncIOScheduler(timezone=UTC, job_defaults=defaults)

    def start(self) -> None:
        """Start, on the running loop."""
        self._scheduler.start()

    def set(self, schedules: Iterable[Schedule]) -> None:
        """Replace the schedules, and compute their fire times from now on."""
        self._scheduler.remove_all_jobs()
        for schedule in schedules:
            self._scheduler.add_job(self._fire, FireTimes(schedule), id=str(schedule))

    def wake(self) -> None:
        """Read the clock and set the timer again, which also revives a stalled one."""
        self._scheduler.wakeup()

    def overdue(self, now: datetime) -> timedelta:
        """Return how long ago it should have fired: if more than a moment, it has stalled."""
        times = [job.next_run_time for job in self._scheduler.get_jobs() if job.next_run_time is not None]
        return max(now - min(times, default=now), timedelta())

    def stop(self) -> None:
        """Stop for good."""
        self._scheduler.shutdown(wait=False)

    async def _fire(self) -> None:
        """Wake the daemon. A coroutine, because APScheduler would call a function in a thread."""
        self._wake_daemon()
