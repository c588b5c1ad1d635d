"""The watch over the daemon: what happens is counted, pinged, logged, and told to whoever is to be told.

Nothing here can fail a run or hold one up: it takes note, and tells in its own time.
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
from pipeline.collect.run import Summary
from pipeline.errors import ExitCode
from pipeline.files import replace_content
from pipeline.instants import nanoseconds
from pipeline.model.changes import Change
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.monitoring.alerts import Alerts, Concern, Kind, Message
from pipeline.monitoring.metrics import Metrics
from pipeline.monitoring.notify import Notifier
from pipeline.monitoring.ping import Ping
from pipeline.monitoring.status import Scope, read_status
from pipeline.query.history import History
from pipeline.store.database import DatabaseError
from pipeline.store.drift import Drift
from pipeline.store.reader import Reader

LOOK_EVERY = timedelta(hours=1)
"""How often it is looked for what went stale though nothing ran."""
_MOST_SUSPICIONS = 100
_TROUBLED = {RunStatus.FAILED: Kind.RUN_FAILED, RunStatus.PARTIAL: Kind.RUN_PARTIAL}


class Reporter:
    """Takes note of what the daemon does, and tells of it."""

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
        """Replaced when the configuration is read again."""
        self._database = database
        self._metrics = metrics
        self._notifier = notifier
        self._ping = ping
        self._clock = clock
        self._news = _remembered(database)
        self._memory = b""
        self._lasting: dict[Kind, Concern] = {}
        self._events: list[Concern] = []
        self._looked = clock.monotonic()
        self._is_running = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._log = structlog.get_logger()

    def request_ended(self, outcome: str, seconds: float) -> None:
        """Take note of a request."""
        self._metrics.request_ended(outcome, seconds)

    def run_started(self, fire_time: datetime) -> None:
        """Take note that a run for this fire time begins."""
        self._is_running = True
        self._ping.start(f"for {instants.for_people(fire_time)} UTC")

    def run_ended(self, summary: Summary, fire_time: datetime, *, began: datetime) -> None:
        """Take note of how a run for this fire time ended, and tell all there is to tell since."""
        self._is_running = False
        self._metrics.run_ended(summary.seconds)
        line = _in_words(summary, fire_time)
        match summary.status:
            case RunStatus.COMPLETE | RunStatus.QUOTA_EXHAUSTED:
                self._ping.success(line)
            case RunStatus.FAILED | RunStatus.PARTIAL:
                self._ping.fail(line)
        is_refused = summary.exit_code == ExitCode.REFUSED
        self._lasts(Kind.KEY_REFUSED, line if is_refused else None)
        if summary.status in _TROUBLED and not is_refused:
            # By fire time: those that go on with it, and fail too, are not told each.
            self._events.append(Concern(_TROUBLED[summary.status], instants.to_text(fire_time), line))
        if summary.status is not RunStatus.INTERRUPTED:
            self._begin(self._tell_after_run(began))

    def run_crashed(self, line: str) -> None:
        """Take note that something of ours died, which the daemon outlived."""
        self._is_running = False
        self._ping.fail(line)
        self._events.append(Concern(Kind.CRASH, instants.to_text(self._clock.now()), line))

    def fire_times_missed(self, schedule: str, count: int, until: datetime, why: str) -> None:
        """Take note that nothing ran for so many fire times of a schedule, up to an instant."""
        times = "a fire time" if count == 1 else f"{count:,} fire times"
        line = f"{times} of {schedule}, up to {instants.for_people(until)} UTC: {why}"
        self._events.append(Concern(Kind.MISSED, f"{schedule} {instants.to_text(until)}", line))

    def storage(self, trouble: str | None) -> None:
        """Take note that nothing can be stored, or (None) that it can again."""
        self._is_running = False
        self._lasts(Kind.STORAGE, trouble)

    def configuration_reloaded(self, refused: str | None) -> None:
        """Take note that a configuration was refused, or (None) taken over."""
        self._lasts(Kind.CONFIGURATION, refused)

    def check(self) -> None:
        """Tell what came up outside runs, and now and then look for what went stale. To be called often."""
        if self._is_running:
            return  # one message a run: it will tell this too
        own = self._clock.monotonic()
        if own - self._looked >= nanoseconds(LOOK_EVERY):
            self._looked = own
            self._begin(self._tell_stale())
        elif self._events or self._lasting:
            self._tell(self._news.tell(self._heard()))

    async def close(self) -> None:
        """Give what is still to be told a moment."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)
        self.check()
        await asyncio.gather(self._notifier.close(), self._ping.close())

    # Telling

    def _lasts(self, kind: Kind, line: str | None) -> None:
        if line is None:
            self._lasting.pop(kind, None)
        else:
            self._lasting[kind] = Concern(kind, "", line)

    def _heard(self) -> list[Concern]:
        """Return what is to be told of what the daemon said. Events are handed out once."""
        heard = [*self._lasting.values(), *self._events]
        self._events = []
        return heard

    def _begin(self, telling: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(telling, name="watch")
        self._tasks.add(task)
        task.add_done_callback(self._is_told)

    def _is_told(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("nobody could be told", exc_info=error)

    async def _tell_after_run(self, began: datetime) -> None:
        async with self._turn:
            with suppress(DatabaseError):  # whoever has to write tells of it
                found = await asyncio.to_thread(self._concerns_of_the_record, began)
                self._tell(self._news.tell_after_run([*self._heard(), *found]))

    async def _tell_stale(self) -> None:
        async with self._turn:
            with suppress(DatabaseError):
                found = await asyncio.to_thread(self._stale)
                self._tell(self._news.tell([*self._heard(), *found]))

    def _tell(self, message: Message | None) -> None:
        if message is not None:
            log = self._log.info if message.is_good else self._log.warning
            log(message.title, detail="; ".join(line for line in message.body.splitlines() if line))
            self._notifier.send(message)
        memory = msgspec.json.encode(self._news.to_json())
        if memory != self._memory:
            self._memory = memory
            with suppress(OSError):  # after a restart it is told once more
                replace_content(_memory_path(self._database), memory)

    # What the record tells

    def _concerns_of_the_record(self, began: datetime) -> list[Concern]:
        with Reader.open(self._database) as record:
            drift = record.drift()
        with History.open(self._database) as history:
            odd = list(islice(history.changes(since=began, suspicious=True), _MOST_SUSPICIONS))
        return [*self._stale(), *_drifting(drift), *map(_suspicious, odd)]

    def _stale(self) -> list[Concern]:
        scope = self.scope
        found = read_status(self._database, scope, now=self._clock.now())
        hours = scope.stale_after.total_seconds() / 3600
        return [Concern(Kind.STALE, symbol, f"{symbol} was not looked at for {hours:g} h") for symbol in found.stale]


def _in_words(summary: Summary, fire_time: datetime) -> str:
    counts = ", ".join(f"{summary.counts[outcome]:,} {outcome}" for outcome in Outcome if summary.counts[outcome])
    because = f": {summary.detail}" if summary.detail else ""
    when = instants.for_people(fire_time)
    return f"run {summary.run} for {when} UTC, {summary.status}: {counts or 'nothing was due'}{because}"


def _drifting(drift: Drift) -> list[Concern]:
    meanings = (
        (drift.unknown_fields, "is new"),
        (drift.absent_fields, "is no longer sent"),
        (drift.unreadable_fields, "is spelt as its column cannot hold"),
    )
    return [Concern(Kind.DRIFT, field, f"{field} {meaning}") for fields, meaning in meanings for field in fields]


def _suspicious(change: Change) -> Concern:
    where = f"{change.symbol} {change.field}"
    line = f"{where}: {change.suspicion}, from {change.before} to {change.after}"
    return Concern(Kind.SUSPICION, f"{where} {instants.to_text(change.observed_at)}", line)


def _memory_path(database: Path) -> Path:
    """Return the file of what was told: a restart is no reason to tell it again."""
    real = database.resolve()
    return real.with_name(f"{real.name}.told.json")


def _remembered(database: Path) -> Alerts:
    try:
        return Alerts.from_json(msgspec.json.decode(_memory_path(database).read_bytes()))
    except (OSError, msgspec.DecodeError):
        return Alerts()
