"""Reporter: what happens in the daemon is counted in metrics, pinged, logged, and sent as notifications.

Nothing here can fail a run or hold it up: it takes note, and sends in tasks of its own.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import structlog

from pipeline import instants
from pipeline.clock import REAL_CLOCK, Clock
from pipeline.collect.summary import Summary
from pipeline.decoding import decoder
from pipeline.errors import Undecodable, file_reason
from pipeline.files import read_content, replace_durably, set_aside
from pipeline.fleet.look import Lookout
from pipeline.instants import nanoseconds
from pipeline.model.changes import Change
from pipeline.model.outcomes import RunStatus
from pipeline.monitoring import conditions
from pipeline.monitoring.alerts import Alerts
from pipeline.monitoring.checks import Kind, Problem
from pipeline.monitoring.conditions import Observation, Over, Severity
from pipeline.monitoring.messages import Message, read_messages
from pipeline.monitoring.metrics import Metrics
from pipeline.monitoring.notify import Notifier
from pipeline.monitoring.ping import Ping
from pipeline.monitoring.status import Scope, read_status
from pipeline.query.history import History
from pipeline.quota.ledger_time import UntrustedClock
from pipeline.store.database import DatabaseError, StorageError, beside
from pipeline.store.drift import Drift
from pipeline.store.reader import Reader
from pipeline.store.time_limit import LONGEST_READ

STALE_CHECK_EVERY = timedelta(hours=1)
"""How often to check for stale symbols while nothing runs."""
_MOST_ANOMALIES = 100
_LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.SUCCESS: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.FAILURE: logging.ERROR,
}


class Reporter:
    """Takes note of what the daemon does, and reports it."""

    def __init__(
        self,
        database: Path,
        scope: Scope,
        *,
        metrics: Metrics,
        notifier: Notifier,
        ping: Ping,
        clock: Clock = REAL_CLOCK,
    ) -> None:
        self.scope = scope
        """Replaced when another configuration comes into force."""
        self._database = database
        self._metrics = metrics
        self._notifier = notifier
        self._ping = ping
        self._clock = clock
        self._alerts, self._unsent = _load_memory(database)
        self._saved = b""
        self._observations: list[Observation] = [Over(Kind.CONFIGURATION)]
        """What was seen since the last report, oldest first; to begin with, that the daemon has started, configured."""
        self._is_unwritable = bool(self._alerts.firing(Kind.STORAGE))
        """Whether the last attempt to write failed."""
        self._checked_at = clock.monotonic()
        self._is_running = False
        self._unread_since: datetime | None = None
        """When the first run on demand began whose documents nobody has looked at."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._log = structlog.get_logger()

    def request_ended(self, outcome: str, seconds: float) -> None:
        """Count a request."""
        self._metrics.request_ended(outcome, seconds)

    def run_started(self, fire_time: datetime) -> None:
        """Report that a run for this fire time starts."""
        self._is_running = True
        self._ping.start(f"for {instants.for_people(fire_time)} UTC")

    def fleet_run_started(self, fire_time: datetime) -> None:
        """Report that a run for this fire time starts, which all members do. What is found meanwhile need not wait."""
        self._ping.start(f"for {instants.for_people(fire_time)} UTC")

    def schedules_in_force(self, schedules: Iterable[str]) -> None:
        """Note which schedules there are: of others, nothing will be seen any more."""
        for kind in conditions.PER_SCHEDULE:
            self._alerts.forget_others(kind, {*schedules, conditions.ANY_SCHEDULE})

    def run_ended(self, summary: Summary, schedule: str, fire_time: datetime, *, began: datetime) -> None:
        """Report how a run for this fire time ended, with all else that was found since the last report."""
        self._is_running = False
        self._is_unwritable = summary.storage_error is not None
        self._metrics.run_ended(summary.seconds)
        line = conditions.run_line(summary, fire_time)
        match summary.status:
            case RunStatus.COMPLETE | RunStatus.QUOTA_EXHAUSTED:
                self._ping.success(line)
            case RunStatus.FAILED | RunStatus.PARTIAL:
                self._ping.fail(line)
        self._observations += conditions.after_run(summary, schedule, fire_time)
        self._start(self._report_after_run(began))

    def run_on_demand_ended(self, summary: Summary, *, began: datetime) -> None:
        """Take note of how a run ended that clients caused: no ping, as no schedule awaits it.

        What its documents show is reported after the next scheduled run, or within `STALE_CHECK_EVERY`.
        """
        self._is_unwritable = summary.storage_error is not None
        self._observations += conditions.after_run_on_demand(summary)
        self._unread_since = min(self._unread_since or began, began)

    def run_crashed(self, line: str) -> None:
        """Report a bug of this program, which the daemon outlived."""
        self._is_running = False
        self._ping.fail(line)
        self._observations.append(Problem(Kind.CRASH, "", line))

    def fire_times_missed(self, schedule: str, count: int, until: datetime, reason: str) -> None:
        """Report that nothing ran at `count` fire times of a schedule, up to an instant."""
        self._observations.append(conditions.missed_fire_times(schedule, count, until, reason))

    def storage_failed(self, error: DatabaseError) -> None:
        """Report that nothing can be read or stored."""
        self._is_running = False
        self._is_unwritable = self._is_unwritable or isinstance(error, StorageError)
        self._observations.append(Problem(Kind.STORAGE, "", str(error)))

    def clock_refused(self, error: UntrustedClock) -> None:
        """Report that nothing can be requested, as the clock cannot be right."""
        self._is_running = False
        self._ping.fail(str(error))
        self._observations.append(Problem(Kind.CLOCK, "", str(error)))

    def record_begun(self) -> None:
        """Report that there was no record, so that a new one has begun."""
        self._observations.append(conditions.new_record(self._database, self._clock.now()))

    def database_opened(self) -> None:
        """Note that the database can be opened and read again. Whether it can be written, only a run will show."""
        if not self._is_unwritable:
            self._observations.append(Over(Kind.STORAGE))

    def configuration_reloaded(self, error: str | None) -> None:
        """Report why a new configuration was rejected, or note (None) that it was accepted."""
        rejected = Over(Kind.CONFIGURATION) if error is None else Problem(Kind.CONFIGURATION, "", error)
        self._observations.append(rejected)

    def check(self, *, of_record: bool = True) -> None:
        """Report what was found outside runs, and check for stale symbols now and then. Called at each heartbeat.

        `of_record`: whether stale symbols, and what is stuck in a fleet, are this process's concern: of a fleet one
        member reports.
        """
        if self._is_running:
            return  # there is one message per run: it will include this
        now = self._clock.monotonic()
        if of_record and now - self._checked_at >= nanoseconds(STALE_CHECK_EVERY):
            self._checked_at = now
            self._start(self._report_stale())
        elif of_record and self.scope.lookout is not None:
            self._start(self._report_fleet(self.scope.lookout))
        elif self._observations:
            self._report()
        else:
            self._save()

    async def close(self) -> None:
        """Give what is still to be sent a moment."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)
        self._report()
        await asyncio.gather(self._notifier.close(), self._ping.close())
        self._save()

    def _start(self, report: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(report, name="report")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("report failed", exc_info=error)

    async def _report_after_run(self, began: datetime) -> None:
        async with self._turn:
            with suppress(DatabaseError):  # reported by what has to write
                await self._observe_documents(began)
                await self._observe_status()
            self._report()

    async def _report_stale(self) -> None:
        async with self._turn:
            with suppress(DatabaseError):
                if self._unread_since is not None:
                    await self._observe_documents(self._unread_since)
                await self._observe_status()
            self._report()

    async def _report_fleet(self, lookout: Lookout) -> None:
        async with self._turn:
            look = await asyncio.to_thread(lookout.look)
            self._observations += conditions.stuck_in_fleet(look, firing=self._alerts.firing(Kind.FLEET))
            self._report()

    async def _observe_documents(self, began: datetime) -> None:
        """Note what the documents show that were stored since a run began, or an earlier one on demand."""
        since, self._unread_since = min(self._unread_since or began, began), None
        drift, odd = await asyncio.to_thread(self._read_documents, since)
        self._observations += conditions.field_drift(drift, firing=self._alerts.firing(Kind.DRIFT))
        self._observations += map(conditions.anomaly, odd)

    async def _observe_status(self) -> None:
        scope, now = self.scope, self._clock.now()
        status = await asyncio.to_thread(read_status, self._database, scope, now=now)
        self._alerts.forget_others(Kind.UNCOVERED, set(scope.symbols))
        uncovered = self._alerts.firing(Kind.UNCOVERED)
        self._observations += conditions.coverage(status, scope.symbols, firing=uncovered)
        self._alerts.forget_others(Kind.STALE, conditions.can_be_stale(status, scope.symbols))
        stale = self._alerts.firing(Kind.STALE)
        self._observations += conditions.staleness(status, scope.symbols, scope.stale_after, firing=stale)
        self._observations += conditions.backups(status, scope.backup_after, now=now)

    def _report(self) -> None:
        """Send what the observations since the last report change, if anything, and remember it.

        The first time, what could not be sent before a restart is sent first.
        """
        for unsent in self._unsent:
            self._notifier.send(unsent)
        self._unsent = []
        message = self._alerts.report(self._observations)
        self._observations = []
        if message is not None:
            detail = " ".join(line for line in message.body.splitlines() if line)
            self._log.log(_LEVELS[message.severity], message.title, detail=detail)
            self._notifier.send(message)
        self._save()

    def _save(self) -> None:
        """Remember, for after a restart, what was reported, and which messages could not be sent yet."""
        memory = msgspec.json.encode({**self._alerts.to_json(), "unsent": self._unsent or self._notifier.unsent()})
        if memory != self._saved:
            self._saved = memory
            with suppress(OSError):  # then it is reported once more after a restart
                replace_durably(_alerts_path(self._database), memory)

    def _read_documents(self, began: datetime) -> tuple[Drift, list[Change]]:
        """Return what the documents show after a run that began at an instant: drift, and suspicious changes."""
        with Reader.open(self._database) as reader:
            drift = reader.drift()
        with History.open(self._database) as history, history.within(LONGEST_READ, is_over=lambda: False):
            return drift, list(islice(history.changes(since=began, suspicious=True), _MOST_ANOMALIES))


def _alerts_path(database: Path) -> Path:
    """Return the file that remembers what was reported, so that a restart does not repeat it."""
    return beside(database, ".told.json")


_decode_memory = decoder(dict[str, Any])


def _load_memory(database: Path) -> tuple[Alerts, list[Message]]:
    """Return what was reported before, and the messages that could not be sent.

    A file that cannot be read is set aside: problems that were reported before are then reported once more.
    """
    path = _alerts_path(database)
    log = structlog.get_logger()
    try:
        kept = _decode_memory(read_content(path))
        return Alerts.from_json(kept), read_messages(kept.get("unsent"))
    except FileNotFoundError:
        pass
    except OSError as error:
        log.warning("past notifications unknown", file=str(path), error=file_reason(error))
    except Undecodable as error:
        broken = set_aside(path)
        log.warning("past notifications unknown", file=str(path), error=str(error), set_aside=broken and str(broken))
    return Alerts(), []
