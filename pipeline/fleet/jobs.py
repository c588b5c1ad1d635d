"""Jobs: Procrastinate's worker, which has this process do one batch after another, and is begun again if it ends.

It polls PostgreSQL: LISTEN does not work through PgBouncer.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import procrastinate
import structlog
from procrastinate.jobs import Job
from procrastinate.worker import Worker

from pipeline.clock import Clock
from pipeline.fleet.batches import Later
from pipeline.fleet.connection import FleetError
from pipeline.fleet.pool import Pool, fetch
from pipeline.instants import nanoseconds

QUEUE, TASK = "collect", "collect_batch"
"""The names that jobs have in PostgreSQL, as `schema/runs.sql` writes them."""
AT_ONCE = 2
"""Batches at a time: while the last symbols of one are awaited, the next one has begun."""
STALLED_AFTER = timedelta(seconds=30)
"""A worker without a sign of life for longer is dead, and its jobs are for others."""
POLL = timedelta(seconds=1)
ENDS_WITHIN = timedelta(seconds=6)
"""How long jobs may take once their worker is stopped: longer than requests that are out."""
_AGAIN = timedelta(seconds=15)
"""Before a batch is tried again that could not be done."""
_PAUSE = timedelta(seconds=2)
"""Before a worker that ended by itself is begun again."""

DoBatch = Callable[[int, int], Awaitable[None]]
"""Does a batch, of a run and by its number. May raise Later and FleetError."""


class Jobs:
    """Does the jobs that this process gets, until stopped."""

    def __init__(self, pool: Pool, do: DoBatch, *, name: str, now: Callable[[], datetime], clock: Clock) -> None:
        """`now` tells PostgreSQL's time."""
        self._doing: set[int] = set()
        """The ids of the jobs under way in this process."""
        self.app = _app(do, now, self._doing)
        self._now = now
        self._left: set[int] = set()
        self._pool = pool
        self._name = name
        self._clock = clock
        self._worker: Worker | None = None
        self._aside_until = clock.monotonic()
        self._stopped = asyncio.Event()
        self._log = structlog.get_logger()

    async def run(self) -> None:
        """Do jobs until stopped, and whatever happens to PostgreSQL meanwhile."""
        async with self.app.open_async(self._pool):
            while not self._stopped.is_set():
                wait = max((self._aside_until - self._clock.monotonic()) / 1e9, 0)
                if wait:
                    await self._pause(wait)
                else:
                    await self._work()

    def stop(self) -> None:
        """Take no job any more, and return from `run` when those under way have ended."""
        self._stopped.set()
        self._end_worker()

    def step_aside(self, span: timedelta) -> None:
        """Take no job for a while: others may have them."""
        self._aside_until = self._clock.monotonic() + nanoseconds(span)
        self._end_worker()

    async def recover(self) -> None:
        """Hand out again what PostgreSQL thinks this process is doing, and it is not. Raise FleetError.

        A standby that takes over may not have heard that a job was done, and the worker that did it lives. To be called
        now and then: a job that is about to begin or end is left alone, which is why it takes two calls.
        """
        if self._worker is None or self._worker.worker_id is None:
            self._left.clear()
            return
        rows = await fetch(self._pool, _TAKEN, self._worker.worker_id)
        left = {job for (job,) in rows} - self._doing
        for job in left & self._left:
            self._log.warning("job handed out again: PostgreSQL has forgotten that it was done", job=job)
            try:
                await self.app.job_manager.retry_job_by_id_async(job, retry_at=self._now())
            except procrastinate.exceptions.ConnectorException as error:
                raise FleetError(f"a job cannot be handed out: {error}") from None
        self._left = left - self._left

    def _end_worker(self) -> None:
        if self._worker is not None:
            self._worker.stop()  # type: ignore[no-untyped-call] # Procrastinate types a part of itself

    async def _work(self) -> None:
        """Run a worker, until it ends or is stopped. If PostgreSQL fails, it returns, or raises anything."""
        worker = Worker(
            self.app,
            queues=[QUEUE],
            name=self._name,
            concurrency=AT_ONCE,
            fetch_job_polling_interval=POLL.total_seconds(),
            shutdown_graceful_timeout=ENDS_WITHIN.total_seconds(),
            listen_notify=False,
            delete_jobs="always",
            install_signal_handlers=False,
            update_heartbeat_interval=STALLED_AFTER.total_seconds() / 3,
            stalled_worker_timeout=STALLED_AFTER.total_seconds(),
        )
        working = asyncio.create_task(worker.run(), name="worker")  # type: ignore[no-untyped-call]
        await asyncio.sleep(0)  # as it begins, it forgets that it was stopped
        self._worker = worker
        if self._is_to_rest:
            self._end_worker()
        await asyncio.wait({working})
        self._worker, error = None, working.exception()
        if self._is_to_rest:
            return
        reason = "it returned" if error is None else f"{type(error).__name__}: {error}"
        self._log.warning("the worker is begun again", reason=" ".join(reason.split()))
        await self._pause(_PAUSE.total_seconds())

    @property
    def _is_to_rest(self) -> bool:
        """Whether no job is to be taken at the moment."""
        return self._stopped.is_set() or self._clock.monotonic() < self._aside_until

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than until stopped."""
        stopped = asyncio.ensure_future(self._stopped.wait())
        waits = asyncio.ensure_future(self._clock.sleep(seconds))
        await asyncio.wait({stopped, waits}, return_when=asyncio.FIRST_COMPLETED)
        for task in (stopped, waits):
            task.cancel()


_TAKEN = "SELECT id FROM public.procrastinate_jobs WHERE status = 'doing' AND worker_id = %s"


class _WhenTold(procrastinate.BaseRetryStrategy):
    """Every job that raises comes again. Never by `retry_in`: that adds to the clock of this host."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> procrastinate.RetryDecision:  # noqa: ARG002
        at = exception.at if isinstance(exception, Later) else self._now()
        return procrastinate.RetryDecision(retry_at=at)


def _app(do: DoBatch, now: Callable[[], datetime], doing: set[int]) -> procrastinate.App:
    """Return the application with its one task, which keeps in `doing` the ids of jobs under way."""
    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)  # it logs each job, and each outage many times
    app = procrastinate.App(connector=procrastinate.PsycopgConnector())
    log = structlog.get_logger()

    async def collect_batch(context: procrastinate.JobContext, run: int, number: int) -> None:
        job = context.job.id
        assert job is not None
        doing.add(job)
        try:
            await do(run, number)
        except FleetError as error:
            log.warning("batch interrupted", run=run, number=number, reason=str(error))
            raise Later(now() + _AGAIN) from None
        finally:
            doing.discard(job)

    async def do_nothing(timestamp: int) -> None:
        """Be there: without a periodic task Procrastinate 3.10 does not notice that a worker's heartbeat has died."""

    app.task(name=TASK, queue=QUEUE, retry=_WhenTold(now), pass_context=True)(collect_batch)
    app.periodic(cron="17 3 * * *")(app.task(name="do_nothing", queue=QUEUE)(do_nothing))
    return app
