"""Reporter: what happens in the daemon is counted in metrics, pinged, logged, and sent as notifications.

Nothing here can fail a run or hold it up: it takes note, and sends in tasks of its own.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

import msgspec
import structlog

from pipeline import instants
from pipeline.clock import REAL_CLOCK, Clock
from pipeline.collect.summary import Summary
from pipeline.files import replace_content
from pipeline.instants import nanoseconds
from pipeline.model.outcomes import RunStatus
from pipeline.monitoring import checks
from pipeline.monitoring.alerts import Alerts
from pipeline.monitoring.checks import Kind, Problem
from pipeline.monitoring.messages import Message
from pipeline.monitoring.metrics import Metrics
from pipeline.monitoring.notify import Notifier
from pipeline.monitoring.ping import Ping
from pipeline.monitoring.status import Scope, read_status
from pipeline.query.history import History
from pipeline.store.database import DatabaseError, beside
from pipeline.store.reader import Reader

STALE_CHECK_EVERY = timedelta(hours=1)
"""How often to check for stale symbols while nothing runs."""
_MOST_ANOMALIES = 100


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
        """Replaced when the configuration is reloaded."""
        self._database = database
        self._metrics = metrics
        self._notifier = notifier
        self._ping = ping
        self._clock = clock
        self._alerts = _load_alerts(database)
        self._saved = b""
        self._lasting: dict[Kind, Problem] = {}
        """Problems that the daemon said exist until it says that they do not."""
        self._events: list[Problem] = []
        """What has happened since the last report."""
        self._checked_at = clock.monotonic()
        self._is_running = False
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

    def run_ended(self, summary: Summary, fire_time: datetime, *, began: datetime) -> None:
        """Report how a run for this fire time ended, with all else that was found since the last report."""
        self._is_running = False
        self._metrics.run_ended(summary.seconds)
        line = checks.run_line(summary, fire_time)
        match summary.status:
            case RunStatus.COMPLETE | RunStatus.QUOTA_EXHAUSTED:
                self._ping.success(line)
            case RunStatus.FAILED | RunStatus.PARTIAL:
                self._ping.fail(line)
        self._lasting.pop(Kind.KEY_REFUSED, None)
        problem = checks.run_problem(summary, fire_time)
        if problem is not None and problem.kind is Kind.KEY_REFUSED:
            self._lasting[problem.kind] = problem
        elif problem is not None:
            self._events.append(problem)
        if summary.status is not RunStatus.INTERRUPTED:
            self._start(self._report_after_run(began))

    def run_crashed(self, line: str) -> None:
        """Report a bug of this program, which the daemon outlived."""
        self._is_running = False
        self._ping.fail(line)
        self._events.append(Problem(Kind.CRASH, instants.to_text(self._clock.now()), line))

    def fire_times_missed(self, schedule: str, count: int, until: datetime, reason: str) -> None:
        """Report that nothing ran at `count` fire times of a schedule, up to an instant."""
        self._events.append(checks.missed_fire_times(schedule, count, until, reason))

    def storage_failed(self, error: str) -> None:
        """Report that nothing can be stored."""
        self._is_running = False
        self._lasting[Kind.STORAGE] = Problem(Kind.STORAGE, "", error)

    def storage_recovered(self) -> None:
        """Note that data can be stored again."""
        self._lasting.pop(Kind.STORAGE, None)

    def configuration_reloaded(self, error: str | None) -> None:
        """Report why a new configuration was rejected, or note (None) that it was accepted."""
        self._lasting.pop(Kind.CONFIGURATION, None)
        if error is not None:
            self._lasting[Kind.CONFIGURATION] = Problem(Kind.CONFIGURATION, "", error)

    def check(self) -> None:
        """Report what was found outside runs, and check for stale symbols now and then. Called at each heartbeat."""
        if self._is_running:
            return  # there is one message per run: it will include this
        now = self._clock.monotonic()
        if now - self._checked_at >= nanoseconds(STALE_CHECK_EVERY):
            self._checked_at = now
            self._start(self._report_stale())
        elif self._events or self._lasting:
            self._send(self._alerts.report(self._take_problems()))

    async def close(self) -> None:
        """Give what is still to be sent a moment."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)
        self.check()
        await asyncio.gather(self._notifier.close(), self._ping.close())

    def _take_problems(self) -> list[Problem]:
        """Return what the daemon reported. Each event is returned once."""
        problems = [*self._lasting.values(), *self._events]
        self._events = []
        return problems

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
                found = await asyncio.to_thread(self._read_problems, began)
                self._send(self._alerts.report_after_run([*self._take_problems(), *found]))

    async def _report_stale(self) -> None:
        async with self._turn:
            with suppress(DatabaseError):
                found = await asyncio.to_thread(self._read_stale)
                self._send(self._alerts.report([*self._take_problems(), *found]))

    def _send(self, message: Message | None) -> None:
        if message is not None:
            log = self._log.info if message.is_good else self._log.warning
            log(message.title, detail="; ".join(line for line in message.body.splitlines() if line))
            self._notifier.send(message)
        memory = msgspec.json.encode(self._alerts.to_json())
        if memory != self._saved:
            self._saved = memory
            with suppress(OSError):  # then it is reported once more after a restart
                replace_content(_alerts_path(self._database), memory)

    def _read_problems(self, began: datetime) -> list[Problem]:
        """Return what the database shows after a run that began at an instant."""
        with Reader.open(self._database) as reader:
            drift = reader.drift()
        with History.open(self._database) as history:
            odd = list(islice(history.changes(since=began, suspicious=True), _MOST_ANOMALIES))
        return [*self._read_stale(), *checks.field_drift(drift), *map(checks.anomaly, odd)]

    def _read_stale(self) -> list[Problem]:
        scope = self.scope
        status = read_status(self._database, scope, now=self._clock.now())
        return checks.stale_symbols(status.stale, scope.stale_after)


def _alerts_path(database: Path) -> Path:
    """Return the file that remembers what was reported, so that a restart does not repeat it."""
    return beside(database, ".told.json")


def _load_alerts(database: Path) -> Alerts:
    try:
        return Alerts.from_json(msgspec.json.decode(_alerts_path(database).read_bytes()))
    except (OSError, msgspec.DecodeError):
        return Alerts()
