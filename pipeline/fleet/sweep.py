"""The sweep: puts right what died members left. Procrastinate is a doorbell; what is to be done, the tables say.

One member at a time does it, every few seconds.
"""

from datetime import timedelta

import procrastinate
import structlog

from pipeline.collect.run import log_end
from pipeline.fleet.connection import FleetError
from pipeline.fleet.ended_runs import read_summary
from pipeline.fleet.endings import end_runs
from pipeline.fleet.jobs import QUEUE, STALLED_AFTER
from pipeline.fleet.pool import Pool, fetch, now
from pipeline.fleet.state import FORGOTTEN
from pipeline.store.runs import ABANDONED
from pipeline.store.schedules import CLOCK_TOLERANCE

BATCHES_KEPT = timedelta(days=1)
"""How long the batches of a run that has ended are kept."""
_ROWS_AT_ONCE = 10_000
_RUNS_AT_ONCE = 1_000


async def sweep(pool: Pool, app: procrastinate.App) -> None:
    """Hand out jobs of dead workers and batches without a job again, and end what is over. Raise FleetError."""
    log = structlog.get_logger()
    try:
        stalled = await app.job_manager.get_stalled_jobs(
            queue=QUEUE, seconds_since_heartbeat=STALLED_AFTER.total_seconds()
        )
        for job in stalled:
            log.warning("batch handed out again", **job.task_kwargs)
            await app.job_manager.retry_job(job, retry_at=await now(pool))
    except procrastinate.exceptions.ConnectorException as error:
        raise FleetError(f"jobs cannot be handed out: {error}") from None
    for run, added in await fetch(pool, _ADD_JOBS):
        if added:
            log.warning("batches had no job", run=run, batches=added)
    for run, has_ended in await fetch(pool, _INTERRUPT_ALONE, ABANDONED):
        if has_ended:
            log_end(await read_summary(pool, run))
    ((forgotten,),) = await fetch(pool, "SELECT fleet.forget_future(%s, %s)", CLOCK_TOLERANCE, _RUNS_AT_ONCE)
    if forgotten:
        log.warning("fire times are still to come: PostgreSQL's clock was ahead", runs=forgotten)
    await end_runs(pool)


async def prune(pool: Pool, *, outcomes_kept: timedelta) -> None:
    """Delete what nobody needs any more, a part of it at a time. Raise FleetError."""
    await fetch(pool, "SELECT fleet.prune_slots(%s)", _ROWS_AT_ONCE)
    await fetch(pool, _PRUNE_OUTCOMES, outcomes_kept, _ROWS_AT_ONCE)
    await fetch(pool, _PRUNE_BATCHES, BATCHES_KEPT, _ROWS_AT_ONCE)
    await fetch(pool, _PRUNE_MEMBERS, FORGOTTEN)


_ADD_JOBS = """
    SELECT r.id, fleet.add_jobs(r.id) FROM fleet.runs r WHERE r.status = 'running' AND r.instance IS NULL
"""
_INTERRUPT_ALONE = """
    SELECT r.id, fleet.end_run(r.id, 'interrupted', %s) FROM fleet.runs r
     WHERE r.status = 'running' AND r.instance IS NOT NULL AND NOT EXISTS (
           SELECT 1 FROM fleet.members m
            WHERE m.instance = r.instance AND m.left_at IS NULL AND m.beat_at > clock_timestamp() - fleet.lives())
"""
_PRUNE_OUTCOMES = """
    DELETE FROM fleet.outcomes WHERE ctid = ANY (ARRAY(
        SELECT o.ctid FROM fleet.outcomes o
         WHERE o.run_id < (SELECT coalesce(min(r.id), 9223372036854775807) FROM fleet.runs r
                            WHERE coalesce(r.finished_at, clock_timestamp()) >= clock_timestamp() - %s)
         ORDER BY o.run_id LIMIT %s))
"""
"""By the place of each row, and along the index: there may be hundreds of millions, and this is asked every minute."""
_PRUNE_BATCHES = """
    DELETE FROM fleet.batches WHERE (run_id, number) IN (
        SELECT b.run_id, b.number FROM fleet.batches b JOIN fleet.runs r ON r.id = b.run_id
         WHERE r.status <> 'running' AND r.finished_at < clock_timestamp() - %s LIMIT %s)
"""
_PRUNE_MEMBERS = """
    DELETE FROM fleet.members
     WHERE coalesce(left_at, beat_at) < clock_timestamp() - %s
        OR role = 'collector' AND (left_at IS NOT NULL OR beat_at < clock_timestamp() - fleet.lives())
"""
