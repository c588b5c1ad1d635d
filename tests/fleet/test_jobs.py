import asyncio

from pipeline.clock import REAL_CLOCK
from pipeline.fleet.clock import FleetClock
from pipeline.fleet.jobs import Jobs
from pipeline.fleet.pool import Pool, fetch
from tests.support.fleet_work import fired, jobs

_FORGOTTEN = """
    INSERT INTO procrastinate_jobs (queue_name, task_name, args, status, worker_id)
    SELECT 'collect', 'collect_batch', jsonb_build_object('run', %s::int, 'number', 0), 'doing', id
      FROM procrastinate_workers
"""


async def test_a_job_that_a_standby_thinks_is_being_done_is_done_again(pool: Pool) -> None:
    run = await fired(pool)
    done: asyncio.Queue[int] = asyncio.Queue()

    async def do(_run: int, number: int) -> None:
        done.put_nowait(number)

    worker = Jobs(pool, do, name="alpha", now=FleetClock(REAL_CLOCK).now, clock=REAL_CLOCK)
    working = asyncio.create_task(worker.run())
    async with asyncio.timeout(30):
        await done.get()
        while await jobs(pool):
            pass  # it is deleted soon
        await fetch(pool, _FORGOTTEN, run)

        await worker.recover()
        assert [status for *_, status in await jobs(pool)] == ["doing"], "it may be about to begin, or to end"
        await worker.recover()

        await done.get()
        worker.stop()
        await working
    assert await jobs(pool) == []
