"""The run under way: open requests are cancelled after an interrupt, and a full disk ends it."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.collect.active_run import UNSTORED_PER_WORKER, ActiveRun
from pipeline.collect.halt import Halt, Interrupted
from pipeline.collect.order import Order, Source
from pipeline.collect.run import collect
from pipeline.errors import ExitCode
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.model.symbols import Symbol
from pipeline.quota.keys import ApiKey
from pipeline.quota.limits import Limit
from pipeline.store.reader import Reader
from tests.support.clocks import ManualClock
from tests.support.commands import KEY
from tests.support.database import all_symbols
from tests.support.disk import no_file_larger_than
from tests.support.hostile import drips, hostile
from tests.support.sandbox import serving


async def test_open_requests_are_cancelled_and_deferred(database: Path, clock: ManualClock) -> None:
    async with hostile(drips) as (server, base_url):
        source = Source(base_url, (ApiKey("", KEY, ()),), 2, timedelta(seconds=30), timedelta(), 3)
        halt, order = Halt(), Order((Symbol("IBM"), Symbol("PEP"), Symbol("KO")), None)
        runs: list[ActiveRun] = []

        async def stop() -> None:
            while len(server.requests) < 2:
                await asyncio.sleep(0)
            halt(Interrupted("stopped by a signal"))
            (run,) = runs
            run.cancel_requests()

        stopping = asyncio.create_task(stop())
        async with asyncio.timeout(30):
            summary = await collect(database, source, order, halt=halt, on_start=runs.append, clock=clock.as_clock())
        await stopping
    assert (summary.status, summary.exit_code) == (RunStatus.INTERRUPTED, ExitCode.INTERRUPTED)
    assert summary.counts == {Outcome.DEFERRED: 3}
    assert summary.requests == 2
    with Reader.open(database) as record:
        assert len(record.outcomes(summary.run)) == 3


@pytest.mark.parametrize("limits", [(), ("10000/day",)])
async def test_a_full_disk_ends_the_run_before_it_spends_more_quota(
    database: Path, clock: ManualClock, limits: tuple[str, ...]
) -> None:
    symbols = tuple(Symbol(f"Q{n:03}X") for n in range(200))
    async with serving(clock=clock) as served:
        for symbol in symbols:
            served.api.knows(symbol, {"Symbol": symbol, "Description": symbol * 500})
        plan = tuple(Limit.parse(limit) for limit in limits)
        source = Source(served.base_url, (ApiKey("", KEY, plan),), 4, timedelta(seconds=5), timedelta(), 3)
        with no_file_larger_than(database.stat().st_size + 200_000):
            summary = await collect(database, source, Order(symbols, None), halt=Halt(), clock=clock.as_clock())
        requests = served.api.requests
    assert (summary.status, summary.exit_code) == (RunStatus.FAILED, ExitCode.FAILED)
    assert summary.detail is not None
    assert "overviews.db: the disk" in summary.detail
    assert 1 <= summary.counts[Outcome.FAILED] <= 4 * (1 if limits else 1 + UNSTORED_PER_WORKER)
    assert summary.counts.total() == 200
    # All that was stored before is there, once; of what was fetched, only what was pending is lost.
    kept = all_symbols(database)
    assert len(kept) == summary.counts[Outcome.STORED]
    assert requests == len(kept) + summary.counts[Outcome.FAILED]
    assert sum(clock.waits) < 60
