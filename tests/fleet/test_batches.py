import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from pipeline.fleet.batches import Later
from pipeline.fleet.pool import Pool, fetch, now
from pipeline.model.outcomes import Trigger
from pipeline.model.symbols import Symbol
from pipeline.quota.keys import ApiKey
from tests.support.fleet_work import ended, fired, jobs, source, working
from tests.support.sandbox import Served, serving

MANY = tuple(Symbol(f"S{number:02}") for number in range(60))


async def test_a_batch_is_requested_and_its_run_ended_by_what_came_back(pool: Pool, served: Served) -> None:
    served.api.says("PEP", "{}")
    run = await fired(pool)

    async with working(pool, "alpha", source(served.base_url)) as worker:
        with capture_logs() as lines:
            await worker.batches.do(run, 0)
            await worker.batches.do(run, 0)  # a job may come again

    assert await ended(pool) == [("complete", 2, 0, 1, 0, 0, 0)]
    assert await fetch(pool, "SELECT requests, seconds > 0, detail FROM fleet.runs") == [(3, True, None)]
    assert served.api.requests == 3
    (line,) = (line for line in lines if line["event"] == "run ended")
    assert {name: line.get(name) for name in ("run", "status", "stored", "unknown", "requests", "detail")} == {
        "run": run, "status": "complete", "stored": 2, "unknown": 1, "requests": 3, "detail": None,
    }  # fmt: skip


async def test_a_run_that_gets_only_failures_is_ended_for_all_its_batches(pool: Pool, served: Served) -> None:
    for symbol in MANY:
        served.api.says(symbol, "", status=500, times=None)
    run = await fired(pool, MANY)

    async with working(pool, "alpha", source(served.base_url)) as worker:
        await worker.batches.do(run, 0)

    ((status, detail, deferred),) = await fetch(pool, "SELECT status, detail, deferred FROM fleet.runs")
    assert (status, deferred >= 40) == ("failed", True)
    assert "10 failures in a row" in detail
    assert await jobs(pool) == []
    assert await fetch(pool, "SELECT count(*) FROM fleet.batches WHERE done_at IS NULL") == [(0,)]


async def test_a_run_that_is_to_end_ends_once_the_batches_that_others_are_at_have(pool: Pool, served: Served) -> None:
    for symbol in MANY:
        served.api.says(symbol, "", status=500, times=None)
    run = await fired(pool, (*MANY, *(Symbol(f"T{number:02}") for number in range(60))))
    await fetch(pool, "UPDATE procrastinate_jobs SET status = 'doing' WHERE args->>'number' IN ('0', '1')")

    async with working(pool, "alpha", source(served.base_url)) as worker:
        await worker.batches.do(run, 0)
        assert await jobs(pool) == [(run, 0, "doing"), (run, 1, "doing")], "nobody begins the third"
        assert await ended(pool) == []
        requests = served.api.requests
        await worker.batches.do(run, 1)

    assert served.api.requests == requests
    assert [status for status, *_ in await ended(pool)] == ["failed"]


async def test_failures_that_end_nothing_are_counted_and_the_most_frequent_reason_is_said(
    pool: Pool, served: Served
) -> None:
    served.api.says("PEP", "", status=500)
    run = await fired(pool)

    async with working(pool, "alpha", source(served.base_url)) as worker:
        await worker.batches.do(run, 0)

    assert await ended(pool) == [("partial", 2, 0, 0, 1, 0, 0)]
    ((detail,),) = await fetch(pool, "SELECT detail FROM fleet.runs")
    assert "500" in detail


async def test_when_the_quota_ends_the_rest_is_deferred_and_a_later_run_goes_on_with_it(
    pool: Pool, served: Served
) -> None:
    run = await fired(pool, MANY[:5])

    async with working(pool, "alpha", source(served.base_url, "2/day")) as worker:
        await worker.batches.do(run, 0)
        assert await ended(pool) == [("quota_exhausted", 2, 0, 0, 0, 0, 3)]
        assert worker.aside == []
        await fetch(pool, "UPDATE fleet.slots SET finished_at = finished_at - interval '25 hours'")
        again = await fired(pool, MANY[:5], trigger=Trigger.CONTINUE)
        await worker.batches.do(again, 0)

    assert await fetch(pool, "SELECT due, stored, deferred FROM fleet.runs WHERE id = %s", again) == [(3, 2, 1)]
    assert served.api.requests == 4


async def test_a_member_without_quota_leaves_its_batch_to_one_that_has_another_key(pool: Pool, served: Served) -> None:
    run = await fired(pool)
    async with (
        working(pool, "alpha", source(served.base_url, "1/day")) as alpha,
        working(pool, "beta", source(served.base_url, "9/day", key="another-key", name="another")) as beta,
    ):
        with pytest.raises(Later):
            await alpha.batches.do(run, 0)
        assert alpha.aside == [True]
        assert await ended(pool) == []

        await beta.batches.do(run, 0)

    assert await ended(pool) == [("complete", 3, 0, 0, 0, 0, 0)]
    assert served.api.requests == 3


async def test_a_refused_key_ends_the_run_unless_another_member_has_another(pool: Pool, served: Served) -> None:
    served.api.says("AAPL", '{"Error Message": "the parameter apikey is invalid or missing."}', times=None)
    run = await fired(pool, (Symbol("AAPL"),))

    async with working(pool, "alpha", source(served.base_url)) as worker:
        await worker.batches.do(run, 0)

    assert await fetch(pool, "SELECT status, key_refused, deferred FROM fleet.runs") == [("failed", True, 1)]


async def test_a_refused_key_is_said_at_the_end_of_a_run_that_another_key_of_the_member_has_completed(
    pool: Pool, served: Served
) -> None:
    served.api.says("AAPL", '{"Error Message": "the parameter apikey is invalid or missing."}')
    run = await fired(pool)
    one = source(served.base_url)
    both = replace(one, concurrency=1, keys=(replace(one.keys[0], name="old"), ApiKey("new", "another-key", ())))

    async with working(pool, "alpha", both) as worker:
        await worker.batches.do(run, 0)
        assert len(worker.batches.refusals) == 1

    assert await ended(pool) == [("partial", 3, 0, 0, 0, 0, 0)]
    ((key_refused, detail),) = await fetch(pool, "SELECT key_refused, detail FROM fleet.runs")
    assert key_refused
    assert detail.startswith("the API refused the key ")


async def test_what_another_member_has_requested_is_looked_at_again_when_that_has_ended(
    pool: Pool, served: Served
) -> None:
    run = await fired(pool)
    async with working(pool, "alpha", source(served.base_url)) as worker:
        await fetch(
            pool,
            "INSERT INTO fleet.outcomes (run_id, symbol, outcome, attempts, at, member)"
            " VALUES (%s, 'PEP', 'stored', 1, clock_timestamp(), 'beta')",
            run,
        )
        await worker.batches.do(run, 0)

    assert await ended(pool) == [("complete", 3, 0, 0, 0, 0, 0)]
    assert served.api.requests == 2


async def test_a_member_that_is_stopped_gives_its_batch_back(pool: Pool) -> None:
    async with serving(latency=0.2) as served:
        run = await fired(pool, MANY[:20])
        async with working(pool, "alpha", source(served.base_url)) as worker:
            doing = asyncio.create_task(worker.batches.do(run, 0))
            async with asyncio.timeout(30):
                while served.api.requests < 4:
                    await asyncio.sleep(0.01)
            worker.batches.stop()
            with pytest.raises(Later) as later:
                await doing

    assert later.value.at <= await now(pool)
    assert await ended(pool) == []
    assert 4 <= served.api.requests < 12
    assert await fetch(pool, "SELECT count(*) FROM fleet.outcomes WHERE outcome = 'stored'") == [
        (served.api.requests,)
    ], "requests that were out have finished"


async def test_a_batch_ends_when_its_run_is_superseded(pool: Pool) -> None:
    async with serving(latency=0.1) as served:
        run = await fired(pool, MANY[:20])
        async with working(pool, "alpha", source(served.base_url)) as worker:
            doing = asyncio.create_task(worker.batches.do(run, 0))
            async with asyncio.timeout(30):
                while served.api.requests < 4:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.001)
            await fired(pool, MANY[:20])
            await worker.batches.check()
            await doing

    assert served.api.requests < 20
    assert await fetch(pool, "SELECT status FROM fleet.runs ORDER BY id") == [("interrupted",), ("running",)]
    ((stored, deferred),) = await fetch(pool, "SELECT stored, deferred FROM fleet.runs WHERE id = %s", run)
    assert (stored, deferred) == (served.api.requests, 20 - served.api.requests), "with those that were out then"
    logged = "SELECT body::json->>'stored' FROM fleet.log WHERE kind = 'run' AND run_id = %s ORDER BY seq DESC"
    assert (await fetch(pool, logged, run))[0] == (str(stored),)
