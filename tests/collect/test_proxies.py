"""Runs through a proxy: its refusal ends the run and costs no slot, its troubles are retried and cost none either."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.collect.halt import Halt
from pipeline.collect.order import Order, Source
from pipeline.collect.run import collect
from pipeline.collect.summary import Summary
from pipeline.errors import ExitCode
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.model.symbols import Symbol
from pipeline.quota.keys import ApiKey
from pipeline.quota.limits import PLANS
from tests.support.clocks import ManualClock
from tests.support.hostile import says
from tests.support.proxies import ConnectProxy, proxying
from tests.support.tls import encrypted, trust_authority

SYMBOLS = (Symbol("IBM"), Symbol("PEP"), Symbol("KO"))


@pytest.fixture(autouse=True)
def trusting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trust_authority(tmp_path, monkeypatch)


async def collected(database: Path, proxy: ConnectProxy) -> Summary:
    async with encrypted(says(b'{"Symbol": "IBM"}')) as (_, base_url), proxying(proxy):
        url = proxy.url.replace("right", "wrong")
        waits = timedelta(seconds=5), timedelta(minutes=2)
        source = Source(base_url, (ApiKey("", "S3CR3TK3YS3CR3TK", PLANS["free"]),), 1, *waits, 3, url)
        return await collect(database, source, Order(SYMBOLS, None), halt=Halt(), clock=ManualClock().as_clock())


def slots(database: Path) -> set[str]:
    with closing(sqlite3.connect(database)) as db:
        return {outcome for (outcome,) in db.execute("SELECT outcome FROM requests")}


async def test_a_refusal_ends_the_run_with_3_before_it_costs_anything(database: Path) -> None:
    summary = await collected(database, ConnectProxy("carla:right"))

    assert (summary.status, summary.exit_code) == (RunStatus.FAILED, ExitCode.REFUSED)
    assert +summary.counts == {Outcome.DEFERRED: 3}
    assert "source.proxy" in str(summary.detail)
    assert not summary.key_refused
    assert (summary.requests, slots(database)) == (0, {"unsent"})


async def test_troubles_are_retried_and_end_the_run_with_1_and_cost_nothing(database: Path) -> None:
    proxy = ConnectProxy(status=503)

    summary = await collected(database, proxy)

    assert (summary.status, summary.exit_code) == (RunStatus.FAILED, ExitCode.FAILED)
    assert +summary.counts == {Outcome.FAILED: 3}
    assert len(proxy.targets) == 3 * 3, "three attempts for each"
    assert (summary.requests, slots(database)) == (0, {"unsent"})


async def test_requests_through_a_proxy_cost_their_slots(database: Path) -> None:
    summary = await collected(database, ConnectProxy())

    assert +summary.counts == {Outcome.STORED: 1, Outcome.REJECTED: 2}
    assert (summary.requests, slots(database)) == (3, {"answered", "rejected"})
