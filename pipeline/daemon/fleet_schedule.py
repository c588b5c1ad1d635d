"""The schedules of a fleet: every member asks PostgreSQL what is due, and does it if no other has."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import structlog

from pipeline import instants
from pipeline.daemon.blockers import Blockers
from pipeline.daemon.config import DaemonConfig
from pipeline.fleet.firings import Firings, activate, fire, read_firings, record_missed
from pipeline.fleet.pool import Pool
from pipeline.fleet.quota import quota_state
from pipeline.model.outcomes import RunStatus
from pipeline.quota.estimate import KeyQuota, finish_at
from pipeline.quota.keys import ApiKey
from pipeline.schedule.cron import PastFireTimes
from pipeline.schedule.next_run import Decision, FreeAt, ScheduledRun, decide, first_since


class FleetSchedule:
    """Decides what is due, as each member does. Instants are PostgreSQL's. All of it raises FleetError."""

    def __init__(self, pool: Pool, config: DaemonConfig, *, member: str, blockers: Blockers) -> None:
        self.resumes_at: datetime | None = None
        """When a run that was cut short is resumed."""
        self.is_in_force = False
        """Whether the schedules were put in force since this member was started or reloaded."""
        self._pool = pool
        self._config = config
        self._member = member
        self._blockers = blockers
        self._reset_at: datetime | None = None
        self._log = structlog.get_logger()

    async def do_next(self) -> bool:
        """Do the next thing that is due. Return whether there was one."""
        firings = await read_firings(self._pool)
        if self._reset_at is None:
            self._reset_at = firings.at  # runs that failed are resumed at once, as after a restart of one machine
        if not (self.is_in_force and firings.last.keys() >= set(map(str, self._config.schedules))):
            firsts = first_since(self._config.schedules, firings.at)
            self.is_in_force = await activate(self._pool, firsts, since=firings.at)
            return self.is_in_force  # if the fleet has agreed about others, this member notices at its next beat
        decision = await self._decide(firings, self._reset_at)
        self.resumes_at = decision.resumes_at
        for past in decision.missed:
            await self._miss(past)
        if decision.missed:
            return True
        return decision.run is not None and await self._fire(decision.run, firings)

    def next_fire_time(self, now: datetime) -> datetime | None:
        """Return the first fire time of all schedules after an instant."""
        return min(filter(None, (schedule.next(now) for schedule in self._config.schedules)), default=None)

    async def _decide(self, firings: Firings, reset_at: datetime) -> Decision:
        config = self._config
        return decide(
            config.schedules,
            firings.last,
            now=firings.at,
            resume=config.resumes,
            reset_at=reset_at,
            free_at=await self._free_at(config.source.keys, firings),
        )

    async def _free_at(self, keys: Sequence[ApiKey], firings: Firings) -> FreeAt:
        """Return when the first of the keys admits a request, as of an instant: that is, if it will be asked for."""
        if all(firing.status is not RunStatus.QUOTA_EXHAUSTED for firing in firings.last.values()):
            return lambda at: at
        quotas = [KeyQuota(key.name, key.limits, await quota_state(self._pool, key.id)) for key in keys]
        return lambda at: finish_at(quotas, requests=1, now=at) or at

    async def _miss(self, past: PastFireTimes) -> None:
        last = ""

        def with_reasons() -> Iterator[tuple[datetime, str]]:
            nonlocal last
            for at in past.missed:
                last = self._blockers.reason_at(at)
                yield at, last

        schedule = str(past.schedule)
        if count := await record_missed(self._pool, schedule, with_reasons(), member=self._member):
            self._log.warning("fire times missed", schedule=schedule, count=count, reason=last)

    async def _fire(self, run: ScheduledRun, firings: Firings) -> bool:
        """Begin a run. Return whether it has begun; if not, another member has begun it."""
        symbols = run.schedule.symbols or self._config.symbols
        begun = await fire(self._pool, run, firings, symbols, member=self._member)
        if begun is None:
            return False
        at = instants.for_people(run.fire_time)
        self._log.info(
            "run begun", run=begun, fire_time=f"{at} UTC", schedule=str(run.schedule), trigger=str(run.trigger)
        )
        return True
