"""Fetch: when a request may leave, and what ends the run."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.collect.halt import Halt
from pipeline.collect.order import Order, Source
from pipeline.collect.run import collect
from pipeline.errors import ExitCode
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.model.symbols import Symbol
from pipeline.quota.keys import ApiKey
from pipeline.sandbox.server import SandboxApi
from pipeline.store.reader import Reader
from tests.support.clocks import ManualClock
from tests.support.commands import KEY
from tests.support.companies import COMPANIES
from tests.support.database import all_symbols
from tests.support.hostile import Say, bomb, drips, drops, hostile, never_ends, says, sends
from tests.support.runs import BAD_KEY, QUOTA, SYMBOLS, Runs, ended, limits


async def test_an_unreachable_server_costs_no_quota(runs: Runs) -> None:
    async with hostile(drops) as (_, base_url):
        pass
    summary = await runs.collect(9, base_url=base_url, limits=limits("25/day"))
    assert ended(summary) == (RunStatus.FAILED, ExitCode.FAILED)
    assert summary.requests == 0
    with Reader.open(runs.database) as record:
        assert record.quota_state(runs.clock.wall - timedelta(days=2)).spent == []


async def test_the_apis_quota_refusal_ends_the_run_at_once_and_blocks_the_next_for_an_hour(
    runs: Runs, clock: ManualClock
) -> None:
    for symbol in SYMBOLS[3:]:
        runs.served.api.says(symbol, QUOTA, times=None)
    plan = limits("25/day")
    summary = await runs.collect(20, limits=plan)
    assert ended(summary) == (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA)
    assert (summary.counts[Outcome.STORED], summary.counts[Outcome.DEFERRED]) == (3, 17)
    assert runs.requested.total() == 4
    clock.advance(timedelta(minutes=50))
    assert (await runs.collect(20, limits=plan)).requests == 0
    clock.advance(timedelta(minutes=11))
    assert (await runs.collect(20, limits=plan)).requests == 1


async def test_simultaneous_quota_refusals_count_as_one_and_no_further_request_leaves(runs: Runs) -> None:
    for symbol in SYMBOLS:
        runs.served.api.says(symbol, QUOTA, times=None)
    summary = await runs.collect(40, concurrency=5, limits=limits("100/day"))
    assert runs.requested.total() == 5 == summary.requests
    with Reader.open(runs.database) as record:
        block = record.quota_state(runs.clock.wall).block
    assert block is not None
    assert block.until - block.since == timedelta(hours=1)


async def test_after_a_block_one_request_tests_the_quota_alone(runs: Runs, clock: ManualClock) -> None:
    for symbol in SYMBOLS:
        runs.served.api.says(symbol, QUOTA, times=None)
    plan = limits("100/day")
    await runs.collect(40, limits=plan, concurrency=5)
    clock.advance(timedelta(minutes=61))
    probe = await runs.collect(40, limits=plan, concurrency=5)
    assert probe.requests == 1
    with Reader.open(runs.database) as record:
        block = record.quota_state(runs.clock.wall).block
    assert block is not None
    assert block.until - block.since == timedelta(hours=2)


async def test_a_block_ends_a_run_of_many_workers_too(runs: Runs) -> None:
    for symbol in SYMBOLS:
        runs.served.api.says(symbol, QUOTA, times=None)
    async with asyncio.timeout(30):
        await runs.collect(9, limits=limits("100/day"), concurrency=3)
        again = await runs.collect(9, limits=limits("100/day"), concurrency=3)
    assert (again.status, again.requests, again.counts[Outcome.DEFERRED]) == (RunStatus.QUOTA_EXHAUSTED, 0, 9)


async def test_many_refused_keys_while_others_wait_for_a_slot_end_the_run_once(runs: Runs) -> None:
    for symbol in SYMBOLS:
        runs.served.api.says(symbol, BAD_KEY, times=None)
    summary = await runs.collect(40, limits=limits("12/minute"), concurrency=30)
    assert ended(summary) == (RunStatus.FAILED, ExitCode.REFUSED)
    assert summary.requests == 12


async def test_a_plan_that_admits_five_requests_at_once_gets_five_at_once(runs: Runs) -> None:
    most = 0
    out = 0
    everyone = asyncio.Event()

    async def wait_for_all(_seconds: float) -> None:
        nonlocal most, out
        out += 1
        most = max(most, out)
        if out == 5:
            everyone.set()
        async with asyncio.timeout(30):
            await everyone.wait()
        out -= 1

    slow = SandboxApi(
        companies=COMPANIES,
        limits=limits("75/minute", "5/second"),
        day=runs.clock.wall.date,
        wall=lambda: runs.clock.wall,
        latency=timedelta(seconds=1),
        sleep=wait_for_all,
    )
    async with slow.serve() as base_url:
        summary = await runs.collect(5, base_url=base_url, limits=limits("75/minute", "5/second"), concurrency=5)
    assert most == 5
    assert slow.refused == 0
    assert summary.counts.total() == 5


HOSTILE: dict[str, tuple[Say, Outcome]] = {
    "drops": (drops, Outcome.FAILED),
    "drips": (drips, Outcome.FAILED),
    "breaks off": (sends(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"Symbol"', then_drop=True), Outcome.FAILED),
    "never ends": (never_ends, Outcome.REJECTED),
    "bomb": (bomb(), Outcome.REJECTED),
    "redirects": (says(b"", "302 Found", "Location: http://127.0.0.1:9/"), Outcome.REJECTED),
    "long number": (says(b'{"Symbol": "IBM", "EPS": ' + b"9" * 5000 + b"}"), Outcome.REJECTED),
    "deep": (says(b'{"Symbol": "IBM", "EPS": ' + b"[" * 9000 + b"]" * 9000 + b"}"), Outcome.REJECTED),
    "latin-1": (says('{"Symbol": "IBM", "Name": "\xe9"}'.encode("latin-1")), Outcome.REJECTED),
    "another's": (says(b'{"Symbol": "PEP", "Name": "x"}'), Outcome.REJECTED),
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_nothing_from_a_hostile_server_is_stored_and_it_takes_bounded_time(
    database: Path, clock: ManualClock, what: str
) -> None:
    say, outcome = HOSTILE[what]
    async with hostile(say) as (server, base_url), asyncio.timeout(20):
        source = Source(base_url, (ApiKey("", KEY, ()),), 1, timedelta(seconds=0.5), timedelta(), attempts=2)
        summary = await collect(database, source, Order((Symbol("IBM"),), None), halt=Halt(), clock=clock.as_clock())
    assert (summary.status, summary.counts[outcome]) == (RunStatus.FAILED, 1)
    assert summary.requests == len(server.requests) == (2 if outcome is Outcome.FAILED else 1)
    assert all_symbols(database) == []
    with Reader.open(database) as record:
        (ended,) = record.outcomes(summary.run)
    assert ended.detail
