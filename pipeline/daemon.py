"""The daemon: APScheduler rings, the record says what is due, and one run after another does it.

Whatever wakes it, a fire time, a heartbeat or a reload, it asks the record the same question: is there a fire time that
nothing ran for, or one to go on with? So no timer has to be trusted, and after a crash nothing has to be remembered.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from pipeline import firings, heartbeat, instants, lock, systemd
from pipeline.bell import Bell
from pipeline.clock import Clock
from pipeline.collect import DRAIN, REAL, Collection, Interrupted, Order, Source, Summary, collect
from pipeline.database import DatabaseError, may_pass
from pipeline.fetch import Halt, Halted
from pipeline.firings import Firing, last_firings
from pipeline.heartbeat import Beat, State
from pipeline.housekeeping import checkpoint, tidy
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.migrate import migrate
from pipeline.outcome import RunStatus, Trigger, Trouble
from pipeline.overview import Symbol
from pipeline.record import Record
from pipeline.schedule import Reckoning, Schedule, reckon
from pipeline.watch import Watch
from pipeline.windows import Limit, finish_at
from pipeline.writer import Writer, open_writer

ON_TIME = timedelta(minutes=1)
"""A fire time that is run later than this is caught up with."""
STEP = timedelta(seconds=2)
"""The wall clock may stray so far from the process's own between two heartbeats: more is sleep, or it was set."""
TIMER_LATE = timedelta(seconds=5)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=15), timedelta(hours=4)
"""How long after a run that failed the next one goes on with its fire time; doubled each time it fails again."""
REST = timedelta(minutes=1)
"""Between two runs for one fire time, and between two tries at a file that cannot be written."""
TIDY_EVERY = timedelta(days=1)
NOT_RUNNING = "the daemon was not running"
ANSWERS_WITHIN = timedelta(seconds=90)
"""A store that does not answer for longer is dead, or as good as."""


@dataclass(frozen=True, slots=True)
class Duty:
    """What the daemon is to do: replaced as a whole when the configuration is read again."""

    source: Source
    symbols: tuple[Symbol, ...]
    schedules: tuple[Schedule, ...]
    goes_on: bool
    """Whether a fire time is gone on with when its run was cut short."""
    outcomes_kept: timedelta


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be done next: a run for a fire time."""

    schedule: Schedule
    fire_time: datetime
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class _Hindrance:
    """Why nothing could run, and until when."""

    until: datetime
    why: str


class Daemon:
    """Runs what is scheduled, until it is stopped."""

    def __init__(
        self,
        database: Path,
        duty: Duty,
        *,
        reread: Callable[[], Duty],
        watch: Watch,
        clock: Clock = REAL,
    ) -> None:
        self._database = database
        self._duty = duty
        self._reread = reread
        self._watch = watch
        self._clock = clock
        self.resting = asyncio.Event()
        """Set while there is nothing to be done."""
        self._rung = asyncio.Event()
        self._bell = Bell(self._wake)
        self._halt = Halt()
        self._collection: Collection | None = None
        self._is_stopping = False
        self._is_in_force = False
        self._started_at = self._anew_at = self._seen_wall = self._answered_at = clock.now()
        self._seen_own = self._answered_own = clock.own()
        self._hindrances: deque[_Hindrance] = deque(maxlen=100)
        self._hindrance: str | None = None
        self._rest_until: dict[str, Nanoseconds] = {}
        self._pause_until = clock.own()
        self._tidied: Nanoseconds | None = None
        self._checking: asyncio.Task[None] | None = None
        self._next_fire: datetime | None = None
        self._continues_at: datetime | None = None
        self._last: Summary | None = None
        self._refused: str | None = None
        self._timer_restarts = 0
        self._log = structlog.get_logger()
        self.last_beat = self.beat()

    # What is told, and what can be asked of it

    def stop(self) -> None:
        """Stop in order: nothing more is begun, and what is in flight may finish within `DRAIN`."""
        self._is_stopping = True
        self._halt(Interrupted("the daemon was stopped"))
        if self._collection is not None:
            asyncio.get_running_loop().call_later(DRAIN.total_seconds(), self._collection.drain)
        self._wake()
        self._beat()

    def reload(self) -> None:
        """Read the configuration again. One that is wrong is told, and the one before stays in force."""
        systemd.reloading()
        try:
            self._duty = self._reread()
        except Trouble as trouble:
            self._refused = str(trouble)
            self._log.error("the configuration is wrong: the one before stays in force", why=self._refused)
        else:
            self._refused = None
            self._is_in_force = False
            self._anew_at = self._clock.now()
            self._rest_until.clear()
            self._bell.set(self._duty.schedules)
        self._watch.reloaded(self._refused)
        self._wake()
        self._beat()
        systemd.ready(self._state())

    def unwell(self) -> str | None:
        """Return why the daemon is not healthy, None if it is."""
        silent = timedelta(microseconds=(self._clock.own() - self._answered_own) // 1000)
        if silent > ANSWERS_WITHIN:
            return f"the store has not answered for {silent.total_seconds():.0f} s"
        return None

    def unready(self) -> str | None:
        """Return why the daemon cannot run what is due, None if it can."""
        if self._is_stopping:
            return "stopping"
        if self._hindrance is not None:
            return self._hindrance
        return None if self._is_in_force else "starting"

    def beat(self) -> Beat:
        """Return how things stand with the daemon."""
        return Beat(
            pid=os.getpid(),
            started_at=self._started_at,
            at=self._clock.now(),
            state=self._state(),
            run=None if self._collection is None else self._collection.run,
            hindrance=self._hindrance,
            next_fire=self._next_fire,
            continues_at=self._continues_at,
            last_run=None if self._last is None else self._last.run,
            last_status=None if self._last is None else self._last.status,
            store_answered_at=self._answered_at,
            refused=self._refused,
            timer_restarts=self._timer_restarts,
        )

    def _state(self) -> State:
        if self._is_stopping:
            return State.STOPPING
        if self._collection is not None:
            return State.COLLECTING
        return State.IDLE if self._hindrance is None else State.WAITING

    def _wake(self) -> None:
        self.resting.clear()
        self._rung.set()

    # Its two tasks

    async def run(self) -> None:
        """Serve until stopped. Raise DatabaseError for a file that waiting will not make usable."""
        self._bell.start()
        self._bell.set(self._duty.schedules)
        heart = asyncio.create_task(self._live(), name="heartbeat")
        try:
            await self._serve()
        finally:
            heart.cancel()
            with suppress(asyncio.CancelledError):
                await heart
            self._bell.stop()
            heartbeat.remove(self._database)

    async def _serve(self) -> None:
        """Do what is due, then wait to be woken, and look again."""
        while not self._is_stopping:
            self._rung.clear()
            try:
                is_done = await self._do_what_is_due()
            except Halted:
                continue
            except DatabaseError as error:
                if not may_pass(error):
                    raise
                self._is_hindered(str(error))
                self._log.error("nothing can be stored", why=str(error))
                self._watch.storage(str(error))
                is_done = True
            except Exception as error:  # noqa: BLE001 - the daemon outlives whatever a run dies of, and tells it
                await self._crashed(error)
                is_done = True
            if is_done and not self._rung.is_set():
                self.resting.set()
                await self._rung.wait()

    async def _live(self) -> None:
        """Beat every half minute, whatever else goes on."""
        while True:
            try:
                self._beat()
                self._check_store()
                self._watch.look()
            except Exception:  # noqa: BLE001 - the heart goes on beating
                self._log.exception("a heartbeat failed")
            await self._clock.sleep(heartbeat.PERIOD.total_seconds())
            self._read_the_clock()
            self._wake()

    # The heartbeat

    def _read_the_clock(self) -> None:
        """Notice sleep, steps of the clock, and a timer that has died."""
        wall, own = self._clock.now(), self._clock.own()
        passed = timedelta(microseconds=(own - self._seen_own) // 1000)
        step = wall - self._seen_wall - passed
        if abs(step) > STEP:
            self._stepped(step)
        elif self._bell.overdue(wall) > TIMER_LATE:
            self._timer_restarts += 1
            self._log.warning("the timer had died", restarts=self._timer_restarts)
        self._seen_wall, self._seen_own = wall, own
        self._bell.wake()

    def _stepped(self, step: timedelta) -> None:
        seconds = round(step.total_seconds(), 1)
        self._log.warning("the clock was set, or the machine slept", seconds=seconds)
        if step > timedelta():
            why = "the machine slept, or its clock was set forward"
            self._hindrances.append(_Hindrance(self._clock.now(), why))
        self._is_in_force = False
        self._bell.set(self._duty.schedules)

    def _beat(self) -> None:
        """Write the heartbeat, and tell systemd, if loop and store answered lately."""
        now = self._clock.now()
        self._next_fire = min(filter(None, (schedule.next(now) for schedule in self._duty.schedules)), default=None)
        beat = self.beat()
        self.last_beat = beat
        with suppress(OSError):  # a full disk is told by those who need it
            heartbeat.write(self._database, beat)
        if self.unwell() is None:
            systemd.watchdog()

    def _check_store(self) -> None:
        """Ask the store for a sign of life, unless it still owes one."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._store_answers(), name="store check")

    async def _store_answers(self) -> None:
        with suppress(DatabaseError):  # an answer too: the disk's trouble is told by whoever has to write
            if self._collection is not None:
                await self._collection.answers()
            elif self._is_in_force:
                await asyncio.to_thread(last_firings, self._database, now=self._clock.now())
        self._answered_at, self._answered_own = self._clock.now(), self._clock.own()

    # What is due

    async def _do_what_is_due(self) -> bool:
        """Do the next thing there is to do. Return whether there is nothing more for now."""
        now = self._clock.now()
        if now < instants.BEGINNING:
            self._is_hindered(f"the clock says {instants.for_people(now)}: it is not set")
            return True
        if self._clock.own() < self._pause_until:
            return True
        duty = self._duty
        if self._is_in_force and not await self._is_something_due(duty):
            await self._tidy()
            return True
        async with self._alone():
            await asyncio.to_thread(migrate, self._database, now=now)
            async with self._writing() as writer:
                if not self._is_in_force:
                    await firings.put_in_force(writer, _in_force_since(duty.schedules, now), now=now)
                    self._is_in_force = self._duty is duty
                errand = await self._next_errand(duty, writer)
            self._is_free()
            if errand is not None:
                await self._run(errand, duty)
        return False

    async def _is_something_due(self, duty: Duty) -> bool:
        """Whether the record lacks a fire time that has come, or one can be gone on with."""
        now = self._clock.now()
        last = await asyncio.to_thread(last_firings, self._database, now=now)
        for schedule in duty.schedules:
            due = reckon(schedule, since=_since(last[str(schedule)]), now=now)
            if due.newest is not None or next(due.missed, None) is not None:
                return True
        return await self._continuation(duty, last) is not None

    async def _next_errand(self, duty: Duty, writer: Writer) -> Errand | None:
        """Return the run to do next. Fire times that it is too late for are recorded as missed."""
        now = self._clock.now()
        last = await asyncio.to_thread(last_firings, self._database, now=now)
        errands = []
        for schedule in duty.schedules:
            due = reckon(schedule, since=_since(last[str(schedule)]), now=now)
            await self._miss(writer, due)
            if due.newest is not None:
                trigger = Trigger.SCHEDULE if now - due.newest <= ON_TIME else Trigger.CATCH_UP
                errands.append(Errand(schedule, due.newest, trigger))
        if errands:
            return min(errands, key=lambda errand: errand.fire_time)
        return await self._continuation(duty, last)

    async def _miss(self, writer: Writer, due: Reckoning) -> None:
        """Record the fire times that it is too late for."""
        last = ""

        def reasons() -> Iterator[tuple[datetime, str]]:
            nonlocal last
            for at in due.missed:
                last = self._why_missed(at)
                yield at, last

        count = await firings.miss(writer, str(due.schedule), reasons(), now=due.now)
        if count:
            self._log.warning("fire times were missed", schedule=str(due.schedule), count=count, why=last)
            self._watch.missed(str(due.schedule), count, due.now, last)

    def _why_missed(self, at: datetime) -> str:
        """Return what hindered a run for this fire time: what was first to end after it."""
        if at < self._started_at:
            return NOT_RUNNING
        current = [] if self._hindrance is None else [_Hindrance(self._clock.now(), self._hindrance)]
        return next((one.why for one in (*self._hindrances, *current) if one.until >= at), "it was noticed too late")

    async def _continuation(self, duty: Duty, last: Mapping[str, Firing]) -> Errand | None:
        """Return the run that goes on with a fire time whose last run was cut short, once it can."""
        self._continues_at = None
        if not duty.goes_on:
            return None
        now, own = self._clock.now(), self._clock.own()
        for schedule in duty.schedules:
            firing = last[str(schedule)]
            at = await self._resumption(duty, firing)
            if at is None or firing.scheduled_for is None or firing.scheduled_for > now:
                continue
            if at <= now and self._rest_until.get(str(schedule), own) <= own:
                return Errand(schedule, firing.scheduled_for, Trigger.CONTINUE)
            self._continues_at = min(at, self._continues_at or at)
        return None

    async def _resumption(self, duty: Duty, firing: Firing) -> datetime | None:
        """Return when a fire time can be gone on with: never (None), if its run was not cut short."""
        now = self._clock.now()
        match firing.status:
            case RunStatus.INTERRUPTED | RunStatus.RUNNING:
                return now
            case RunStatus.QUOTA_EXHAUSTED:
                return await asyncio.to_thread(_free_at, self._database, duty.source.limits, now)
            case RunStatus.FAILED:
                ended = firing.finished_at or now
                # Whoever mended something has started it anew, or had it read the configuration again.
                pause = min(FIRST_PAUSE * 2 ** min(firing.failures - 1, 8), LONGEST_PAUSE)
                return now if self._anew_at > ended else ended + pause
            case _:
                return None

    # Doing it

    async def _run(self, errand: Errand, duty: Duty) -> None:
        schedule = str(errand.schedule)
        began = self._clock.now()
        order = Order(
            errand.schedule.symbols or duty.symbols,
            looked_since=errand.fire_time - instants.MILLISECOND,  # a look at that very instant is one since
            trigger=errand.trigger,
            schedule=schedule,
            scheduled_for=errand.fire_time,
        )
        self._watch.begins(errand.fire_time)
        try:
            summary = await collect(
                self._database,
                duty.source,
                order,
                halt=self._halt,
                started=self._is_under_way,
                asked=self._watch.asked,
                clock=self._clock,
            )
        finally:
            self._collection = None
            self._rest_until[schedule] = self._clock.own() + nanoseconds(REST)
        self._hindrances.append(_Hindrance(self._clock.now(), f"run {summary.run} was still going"))
        self._last = summary
        self._watch.ended(summary, errand.fire_time, began=began)
        with suppress(DatabaseError):  # somebody reads: the next time will do
            await asyncio.to_thread(checkpoint, self._database)
        self._beat()

    def _is_under_way(self, collection: Collection) -> None:
        self._collection = collection
        self._beat()

    async def _tidy(self) -> None:
        """Once a day, when nothing else is to be done, delete what is not needed any more."""
        own = self._clock.own()
        if self._tidied is not None and own < self._tidied + nanoseconds(TIDY_EVERY):
            return
        try:
            async with self._alone(patience=timedelta()), self._writing() as writer:
                duty = self._duty
                await tidy(writer, duty.source.limits, outcomes_kept=duty.outcomes_kept, now=self._clock.now())
        except lock.Busy:
            return
        self._tidied = own

    async def _crashed(self, error: Exception) -> None:
        """Record that the run under way has failed, and rest a while: whatever it was, it may be there still."""
        self._log.exception("a run crashed")
        self._pause_until = self._clock.own() + nanoseconds(FIRST_PAUSE)
        detail = f"crashed: {type(error).__name__}: {error}"
        self._watch.crashed(detail)
        with suppress(DatabaseError, Halted):  # else the next run to begin marks it as interrupted
            async with self._alone(), self._writing() as writer:
                await firings.crashed(writer, detail, now=self._clock.now())

    @asynccontextmanager
    async def _alone(self, patience: timedelta | None = None) -> AsyncIterator[None]:
        """Hold the database's lock. Raise Halted if the daemon is stopped while it waits for it."""
        if self._is_stopping:
            raise Halted
        self._halt = Halt()
        async with AsyncExitStack() as stack:
            async with self._halt.interrupts():
                await stack.enter_async_context(
                    lock.held(
                        self._database,
                        "run",
                        patience=patience,
                        now=self._clock.now,
                        sleep=asyncio.sleep,
                        waiting=self._is_hindered,
                    )
                )
            yield

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Writer]:
        async with open_writer(self._database, sleep=self._clock.sleep, troubled=self._log.warning) as writer:
            yield writer

    def _is_hindered(self, why: str) -> None:
        """Remember why nothing can run."""
        if self._hindrance != why:
            self._is_free()
            self._hindrance = why
            self._log.info("hindered", why=why)
            self._beat()

    def _is_free(self) -> None:
        if self._hindrance is not None:
            self._hindrances.append(_Hindrance(self._clock.now(), self._hindrance))
            self._hindrance = None
            self._watch.storage(None)


def _since(firing: Firing) -> datetime:
    """Return the instant after which fire times are still to be reckoned with."""
    return max(firing.since, firing.scheduled_for or firing.since)


def _in_force_since(schedules: Iterable[Schedule], now: datetime) -> dict[str, datetime]:
    """Return since when each schedule counts if none ever did: so that its newest fire time is caught up with."""
    newest = {schedule: reckon(schedule, since=instants.BEGINNING, now=now).newest for schedule in schedules}
    return {str(schedule): now if at is None else at - instants.MILLISECOND for schedule, at in newest.items()}


def _free_at(database: Path, limits: Sequence[Limit], now: datetime) -> datetime:
    """Return when the next request may leave."""
    longest = max((limit.period for limit in limits), default=timedelta())
    with Record.open(database) as record:
        return finish_at(limits, record.spent(now - longest), record.block(), requests=1, now=now) or now
