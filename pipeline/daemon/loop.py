"""The daemon: APScheduler rings, the record says what is due, and one run after another does it.

Whatever wakes it, a fire time, a heartbeat or a reload, it asks the record the same question: is there a fire time that
nothing ran for, or one to go on with? So no timer has to be trusted, and after a crash nothing has to be remembered.
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from pipeline import instants
from pipeline.clock import REAL_CLOCK, Clock
from pipeline.collect.active_run import ActiveRun
from pipeline.collect.halt import INTERRUPT_GRACE, Halt, Halted, Interrupted
from pipeline.collect.order import Order, Source
from pipeline.collect.run import Summary, collect
from pipeline.daemon import systemd
from pipeline.daemon.blockers import Blockers
from pipeline.daemon.clock_watch import ClockWatch
from pipeline.daemon.timer import Timer
from pipeline.errors import Trouble, file_reason
from pipeline.instants import Nanoseconds, nanoseconds
from pipeline.model.firings import Firing
from pipeline.model.symbols import Symbol
from pipeline.monitoring import heartbeat
from pipeline.monitoring.heartbeat import DaemonState, Heartbeat
from pipeline.monitoring.reporter import Reporter
from pipeline.quota.estimate import finish_at
from pipeline.quota.limits import Limit, longest_window
from pipeline.schedule.cron import PastFireTimes, Schedule, past_fire_times
from pipeline.schedule.next_run import FIRST_PAUSE, Decision, FreeAt, ScheduledRun, decide
from pipeline.store import lock, requests
from pipeline.store import schedules as firings
from pipeline.store.database import DatabaseError, is_temporary
from pipeline.store.maintenance import checkpoint, prune, wal_bytes
from pipeline.store.migrate import migrate
from pipeline.store.reader import NoData, Reader
from pipeline.store.schedules import last_firings
from pipeline.store.writer import StorageError, Writer, open_writer

TIMER_LATE = timedelta(seconds=5)
"""A timer that has not rung for so long has died."""
TIDY_EVERY = timedelta(days=1)
CHECKPOINT_EVERY = timedelta(minutes=10)
"""How often it is tried to empty a write-ahead log that somebody who reads holds on to."""


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    """What the daemon is to do: replaced as a whole when the configuration is read again."""

    source: Source
    symbols: tuple[Symbol, ...]
    schedules: tuple[Schedule, ...]
    goes_on: bool
    """Whether a fire time is gone on with when its run was cut short."""
    outcomes_kept: timedelta


class Daemon:
    """Runs what is scheduled, until it is stopped."""

    def __init__(
        self,
        database: Path,
        config: DaemonConfig,
        *,
        reload_config: Callable[[], DaemonConfig],
        reporter: Reporter,
        clock: Clock = REAL_CLOCK,
    ) -> None:
        self._database = database
        self._config = config
        self._reload_config = reload_config
        self._reporter = reporter
        self._clock = clock
        self._log = structlog.get_logger()
        self.resting = asyncio.Event()
        """Set while there is nothing to be done."""
        self._rung = asyncio.Event()
        self._timer = Timer(self._wake)
        self._clock_watch = ClockWatch(clock)
        self._blockers = Blockers(clock.now())
        self._halt = Halt()
        self._is_stopping = False
        self._wanted, self._in_force = 1, 0
        """The version of the configuration that is wanted (a step of the clock counts as one), and the one in force."""
        self._started_at = self._anew_at = self._slots_since = clock.now()
        self._pause_until = self._tidied_at = self._checkpointed_at = clock.monotonic()
        self._active_run: ActiveRun | None = None
        self._last: Summary | None = None
        self._next_fire: datetime | None = None
        self._continues_at: datetime | None = None
        self._told: dict[str, datetime | None] = {}
        self._refused: str | None = None
        self._timer_restarts = 0
        self._set_forward: list[requests.ClockStep] = []
        self._is_unheard = False
        self.last_heartbeat = self._heartbeat()

    # What it is told, and what it tells

    def stop(self) -> None:
        """Stop in order: nothing more is begun, and what is in flight may finish within `INTERRUPT_GRACE`."""
        self._is_stopping = True
        systemd.stopping("stopping")
        self._halt(Interrupted("the daemon was stopped"))
        if self._active_run is not None:
            asyncio.get_running_loop().call_later(INTERRUPT_GRACE.total_seconds(), self._active_run.cancel_requests)
        self._wake()
        self._beat()

    def reload(self) -> None:
        """Read the configuration again. One that is wrong is told, and the one before stays in force."""
        systemd.reloading()
        try:
            self._config = self._reload_config()
        except Trouble as trouble:
            self._refused = str(trouble)
            self._log.error("the configuration is wrong: the one before stays in force", why=self._refused)
        else:
            self._refused = None
            self._log.info("the configuration was read again, and is in force")
            self._anew_at = self._clock.now()
            self._pause_until = self._clock.monotonic()
            self._wanted += 1
            self._timer.set(self._config.schedules)
        self._reporter.configuration_reloaded(self._refused)
        self._wake()
        self._beat()
        systemd.ready(self._in_words())

    def why_unhealthy(self) -> str | None:
        """Return why the daemon is not healthy, None if it is."""
        return self._clock_watch.why_silent()

    def why_not_ready(self) -> str | None:
        """Return why the daemon cannot run what is due, None if it can, or does."""
        if self._is_stopping:
            return "stopping"
        if self._blockers.current is not None:
            return self._blockers.current
        return None if self._in_force or self._active_run is not None else "starting"

    def _heartbeat(self) -> Heartbeat:
        """Return how things stand with the daemon."""
        return Heartbeat(
            pid=os.getpid(),
            started_at=self._started_at,
            at=self._clock.now(),
            state=self._state(),
            run=None if self._active_run is None else self._active_run.id,
            hindrance=self._blockers.current,
            next_fire=self._next_fire,
            continues_at=self._continues_at,
            last_run=None if self._last is None else self._last.run,
            last_status=None if self._last is None else self._last.status,
            silent_seconds=round(self._clock_watch.silence.total_seconds(), 1),
            refused=self._refused,
            timer_restarts=self._timer_restarts,
        )

    def _state(self) -> DaemonState:
        if self._is_stopping:
            return DaemonState.STOPPING
        if self._active_run is not None:
            return DaemonState.COLLECTING
        return DaemonState.IDLE if self._blockers.current is None else DaemonState.WAITING

    def _in_words(self) -> str:
        """Return what it is at, for `systemctl status`."""
        if self._blockers.current is not None:
            return self._blockers.current
        at = "" if self._next_fire is None else f", next run {instants.for_people(self._next_fire)} UTC"
        return f"{self._state()}{at}"

    def _wake(self) -> None:
        self.resting.clear()
        self._rung.set()

    # Its two tasks

    async def run(self) -> None:
        """Serve until stopped. Raise DatabaseError for a file that waiting will not make usable."""
        self._timer.start()
        self._timer.set(self._config.schedules)
        heart = asyncio.create_task(self._live(), name="heartbeat")
        try:
            await self._serve()
        finally:
            heart.cancel()
            with suppress(asyncio.CancelledError):
                await heart
            self._timer.stop()
            heartbeat.remove(self._database)

    async def _serve(self) -> None:
        """Do what is due, then wait to be woken, and look again."""
        while not self._is_stopping:
            self._rung.clear()
            self._notice_steps()
            try:
                while await self._do_what_is_due():
                    pass
            except Halted:
                continue
            except DatabaseError as error:
                if not is_temporary(error):
                    raise
                self._is_hindered(str(error))
                self._reporter.storage(str(error))
            except Exception as error:  # noqa: BLE001 - a hundred plugins raise what they like, and no text of theirs is safe
                await self._crashed(error)
            if not self._rung.is_set():
                self._tell_when_it_goes_on()
                self.resting.set()
                await self._rung.wait()

    def _tell_when_it_goes_on(self) -> None:
        """Log when there will be something to do, once each time that this changes."""
        times = {"at": self._next_fire, "continues_at": self._continues_at}
        if times != self._told:
            self._told = times
            shown = {name: f"{instants.for_people(at)} UTC" for name, at in times.items() if at is not None}
            self._log.info("the next run", **shown)

    async def _live(self) -> None:
        """Write a heartbeat every half minute, whatever else goes on."""
        period = min(heartbeat.PERIOD, (systemd.watchdog_period() or 2 * heartbeat.PERIOD) / 2)
        while True:
            beat_at = self._clock.monotonic()
            try:
                self._clock_watch.ask(self._sign_of_life)
                self._beat()
                self._reporter.check()
            except Exception:  # noqa: BLE001 - parsing raises what it likes (UnicodeEncodeError), with the address in its text
                self._log.exception("a heartbeat failed")
            await self._clock.sleep(period.total_seconds())
            try:
                self._notice_steps()
                self._notice_a_dead_timer(beat_at)
            except Exception:  # noqa: BLE001 - parsing raises what it likes (UnicodeEncodeError), with the address in its text
                self._log.exception("the clock could not be read")
            self._wake()

    # The heartbeat

    def _notice_steps(self) -> None:
        """Notice that the clock was set; or that the machine slept, where its own clock does not go on meanwhile."""
        step = self._clock_watch.step()
        if not step:
            return
        now = self._clock.now()
        self._log.warning("the clock was set, or the machine slept", seconds=round(step.total_seconds(), 1))
        if step > timedelta():
            self._blockers.remember("the machine slept, or its clock was set forward", until=now)
            # Of the slots only those that this process took tell the time that it was before.
            self._set_forward.append(requests.ClockStep(step, self._slots_since, now - step))
        else:
            self._blockers.shift(step, now=now)
            self._anew_at += step
        self._slots_since += step
        self._wanted += 1
        self._timer.set(self._config.schedules)

    def _notice_a_dead_timer(self, beat_at: Nanoseconds) -> None:
        """Notice that the bell should have rung: unless the loop was held up itself, and it had no chance to."""
        now, own = self._clock.now(), self._clock.monotonic()
        is_late = own - beat_at > nanoseconds(heartbeat.PERIOD + TIMER_LATE)
        if not is_late and self._timer.overdue(now) > TIMER_LATE:
            self._timer_restarts += 1
            self._log.warning("the timer had died", restarts=self._timer_restarts)
        self._timer.wake()

    def _beat(self) -> None:
        """Write the heartbeat, and tell systemd, if loop and store answered lately."""
        now = self._clock.now()
        self._next_fire = min(filter(None, (schedule.next(now) for schedule in self._config.schedules)), default=None)
        self.last_heartbeat = self._heartbeat()
        try:
            heartbeat.write(self._database, self.last_heartbeat)
        except OSError as error:
            if not self._is_unheard:
                path = heartbeat.heartbeat_path(self._database)
                self._log.warning("the heartbeat cannot be written", file=str(path), error=file_reason(error))
            self._is_unheard = True
        else:
            self._is_unheard = False
        if self.why_unhealthy() is None:
            systemd.watchdog()
        systemd.status(self._in_words())

    async def _sign_of_life(self) -> None:
        """Return once the store has answered. That it cannot be used is an answer: whoever has to use it tells that."""
        with suppress(DatabaseError):
            if self._active_run is not None:
                await self._active_run.wait_for_store()
            elif self._in_force:
                await asyncio.to_thread(last_firings, self._database, now=self._clock.now())

    # What is due

    async def _do_what_is_due(self) -> bool:
        """Do the next thing there is to do. Return whether there was one."""
        now = self._clock.now()
        if now < instants.EARLIEST_PLAUSIBLE:
            self._is_hindered(f"the clock is not set: it says {now.date()}")
            return False
        if self._clock.monotonic() < self._pause_until:
            return False
        if self._in_force == self._wanted and (await self._due()).is_idle and self._in_force:
            await self._keep_house()
            self._is_free()
            return False
        async with self._alone():
            self._notice_steps()
            # While it waited for the lock, the clock may have been set, or the configuration changed.
            config, wanted, now = self._config, self._wanted, self._clock.now()
            await asyncio.to_thread(migrate, self._database, now=now)
            async with self._writing() as writer:
                if self._in_force != wanted:
                    await self._keep_windows(writer)
                    since = self._anew_at if instants.EARLIEST_PLAUSIBLE < self._anew_at < now else now
                    await firings.activate(writer, _first_since(config.schedules, now), since=since, now=now)
                    self._in_force = wanted
                found = await self._due()
                for past in found.missed:
                    await self._miss(writer, past)
            self._is_free()
            systemd.ready(self._in_words())
            if self._is_stopping:
                raise Halted
            if found.run is not None:
                await self._run(found.run, config)
        return True

    async def _keep_windows(self, writer: Writer) -> None:
        """See to it that no window frees early because the clock was set forward."""
        while self._set_forward:
            await requests.compensate_clock_step(writer, self._set_forward[0])
            del self._set_forward[0]

    async def _due(self) -> Decision:
        now, config = self._clock.now(), self._config
        last, free_at = await asyncio.to_thread(_read, self._database, config.source.limits, now)
        found = decide(config.schedules, last, now=now, resume=config.goes_on, reset_at=self._anew_at, free_at=free_at)
        if not last.keys() >= set(map(str, config.schedules)):
            self._in_force = 0  # another file was put in the place of ours: a backup, for one
        if found.resumes_at != self._continues_at:
            self._continues_at = found.resumes_at
            self._beat()
        return found

    async def _miss(self, writer: Writer, past: PastFireTimes) -> None:
        """Record the fire times that it is too late for."""
        last = ""

        def with_reasons() -> Iterator[tuple[datetime, str]]:
            nonlocal last
            for at in past.missed:
                last = self._blockers.reason_at(at)
                yield at, last

        schedule = str(past.schedule)
        count = await firings.record_missed(writer, schedule, with_reasons(), now=past.now)
        self._log.warning("fire times were missed", schedule=schedule, count=count, why=last)
        self._reporter.fire_times_missed(schedule, count, past.now, last)

    # Doing it

    async def _run(self, run: ScheduledRun, config: DaemonConfig) -> None:
        began = self._clock.now()
        order = Order(
            run.schedule.symbols or config.symbols,
            observed_since=run.fire_time - instants.MILLISECOND,  # a look at that very instant is one since
            trigger=run.trigger,
            schedule=str(run.schedule),
            scheduled_for=run.fire_time,
        )
        at = instants.for_people(run.fire_time)
        self._log.info("due", fire_time=f"{at} UTC", schedule=order.schedule, trigger=str(run.trigger))
        self._reporter.run_started(run.fire_time)
        try:
            summary = await collect(
                self._database,
                config.source,
                order,
                halt=self._halt,
                on_start=self._is_under_way,
                on_request=self._reporter.request_ended,
                clock=self._clock,
            )
        finally:
            self._active_run = None
        self._blockers.remember(f"run {summary.run} was still going", until=self._clock.now())
        self._last = summary
        self._reporter.run_ended(summary, run.fire_time, began=began)
        if summary.storage_error is not None:
            await self._give_up_storing(summary.storage_error)
        await self._checkpoint()
        self._beat()

    async def _give_up_storing(self, error: StorageError) -> None:
        """Rest a while before more is asked for that cannot be stored: the quota would go for nothing. Raises it."""
        self._pause_until = self._clock.monotonic() + nanoseconds(FIRST_PAUSE)
        with suppress(DatabaseError, sqlite3.Error):
            async with self._writing() as writer:
                await firings.record_crash(writer, str(error), now=self._clock.now())
        raise error

    def _is_under_way(self, active_run: ActiveRun) -> None:
        self._active_run = active_run
        self._beat()

    async def _keep_house(self) -> None:
        """When nothing else is to be done, delete what is not needed any more, and empty the write-ahead log."""
        own = self._clock.monotonic()
        try:
            if own >= self._tidied_at:
                async with self._alone(patience=timedelta()), self._writing() as writer:
                    config = self._config
                    await prune(
                        writer,
                        longest_window=longest_window(config.source.limits),
                        outcomes_kept=config.outcomes_kept,
                        now=self._clock.now(),
                    )
                self._tidied_at = own + nanoseconds(TIDY_EVERY)
            if own >= self._checkpointed_at and wal_bytes(self._database):
                async with self._alone(patience=timedelta()):
                    await self._checkpoint()
        except lock.Busy:
            return

    async def _checkpoint(self) -> None:
        self._checkpointed_at = self._clock.monotonic() + nanoseconds(CHECKPOINT_EVERY)
        with suppress(DatabaseError):  # the next time will do
            await asyncio.to_thread(checkpoint, self._database)

    async def _crashed(self, error: Exception) -> None:
        """Record that the run under way has failed, and rest a while: whatever it was, it may be there still."""
        self._log.exception("a run crashed")
        self._pause_until = self._clock.monotonic() + nanoseconds(FIRST_PAUSE)
        detail = f"crashed: {', '.join(_faults(error))}; the log has the whole of it"
        self._reporter.run_crashed(detail)
        with suppress(DatabaseError, Halted, sqlite3.Error):  # else the next run to begin marks it as interrupted
            async with self._alone(), self._writing() as writer:
                await firings.record_crash(writer, detail, now=self._clock.now())
        again = instants.for_people(self._clock.now() + FIRST_PAUSE)
        self._is_hindered(f"a run crashed: nothing is tried before {again} UTC, or a reload")

    @asynccontextmanager
    async def _alone(self, patience: timedelta | None = None) -> AsyncIterator[None]:
        """Hold the database's lock. Raise Halted if the daemon is stopped while it waits for it."""
        if self._is_stopping:
            raise Halted
        self._halt = Halt()
        async with AsyncExitStack() as stack:
            async with self._halt.interrupts():
                await stack.enter_async_context(
                    lock.hold_lock(
                        self._database,
                        "run",
                        max_wait=patience,
                        now=self._clock.now,
                        sleep=asyncio.sleep,
                        on_wait=self._is_hindered if patience is None else lambda _why: None,
                    )
                )
            yield

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Writer]:
        # What is known to hinder is not logged with each new try.
        troubled = self._log.warning if self._blockers.current is None else self._log.debug
        async with open_writer(self._database, sleep=self._clock.sleep, on_retry=troubled) as writer:
            yield writer

    def _is_hindered(self, why: str) -> None:
        """Take note of why nothing can run."""
        if self._blockers.block(why, now=self._clock.now()):
            self._log.warning("nothing can run for now", why=why)
            self._beat()
            systemd.ready(self._in_words())

    def _is_free(self) -> None:
        """Take note that what was due could run."""
        if self._blockers.clear(now=self._clock.now()):
            self._reporter.storage(None)
            self._beat()


def _first_since(schedules: Iterable[Schedule], now: datetime) -> dict[str, datetime]:
    """Return since when each schedule counts if none ever did: so that its newest fire time is caught up with."""
    newest = {
        schedule: past_fire_times(schedule, since=instants.EARLIEST_PLAUSIBLE, now=now).newest for schedule in schedules
    }
    return {str(schedule): now if at is None else at - instants.MILLISECOND for schedule, at in newest.items()}


def _read(database: Path, limits: Iterable[Limit], now: datetime) -> tuple[dict[str, Firing], FreeAt]:
    """Return what the record has of the schedules, and of the quota."""
    limits = tuple(limits)
    try:
        last = last_firings(database, now=now)
        ended = min((one.finished_at for one in last.values() if one.finished_at), default=now)
        with Reader.open(database) as record:
            quota = record.quota_state(min(ended, now) - longest_window(limits))
    except NoData:
        raise DatabaseError(f"{database} is gone: put it back, or start the daemon anew to begin another") from None
    return last, lambda at: finish_at(limits, quota, requests=1, now=at) or at


def _faults(error: BaseException) -> Iterator[str]:
    """Yield what went wrong and where, without its text: that may hold anything."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _faults(inner)
        return
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = "" if frame is None else f" in {Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}"
    yield f"{type(error).__name__}{where}"
