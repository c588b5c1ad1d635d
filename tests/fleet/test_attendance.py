"""What one member does for all: it reports how the runs of all ended, each of them once."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from pipeline.fleet.ended_runs import note_reported, read_unreported
from pipeline.fleet.firings import record_missed
from pipeline.fleet.pool import Pool, fetch, now
from pipeline.model.outcomes import Outcome, RunStatus, Trigger
from tests.support.fleet_members import config, machine, quick, until
from tests.support.fleet_work import DAILY, fired, source
from tests.support.sandbox import Served


async def test_what_ended_and_was_missed_is_taken_once(pool: Pool) -> None:
    run = await fired(pool)
    assert (await read_unreported(pool)).runs == ()
    await fetch(pool, "SELECT fleet.end_run(%s, 'failed', 'the key is refused')", run)
    at = await now(pool)
    await record_missed(
        pool, str(DAILY), [(at.replace(minute=0), "off"), (at.replace(minute=1), "cut off")], member="a"
    )

    unreported = await read_unreported(pool)
    (ended,), (missed,) = unreported.ended, unreported.missed

    assert (ended.summary.run, ended.summary.status, ended.schedule) == (run, RunStatus.FAILED, str(DAILY))
    assert (ended.summary.trigger, ended.summary.detail) == (Trigger.SCHEDULE, "the key is refused")
    assert ended.summary.counts[Outcome.DEFERRED] == 3
    assert (missed.count, missed.reason) == (2, "cut off")
    await note_reported(pool, unreported)
    assert (await read_unreported(pool)).runs == ()


async def test_of_several_members_one_pings_when_a_run_begins_and_ends(
    tmp_path: Path, fleet_url: str, pool: Pool, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    pings: list[str] = []

    async def take(request: web.BaseRequest) -> web.Response:
        pings.append(f"{request.path} {await request.text()}")
        return web.Response()

    async with AsyncExitStack() as stack:
        runner = web.ServerRunner(web.Server(take))
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/ping"
        wanted = config(source(served.base_url))
        machines = [
            await stack.enter_async_context(machine(tmp_path, fleet_url, name, wanted, ping=url))
            for name in ("alpha", "beta", "gamma")
        ]

        async def is_reported() -> bool:
            return await fetch(pool, "SELECT reported FROM fleet.runs") == [(True,)] and len(pings) > 0

        await until(is_reported, *machines)

    ends = [ping for ping in pings if "/start" not in ping]
    assert len(ends) == 1, pings
    assert "run 1 " in ends[0]
    assert "3 stored" in ends[0]
    assert len(pings) <= 2, pings
