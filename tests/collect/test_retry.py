"""Retries: a request that the server failed to answer is retried, within the retries' share of the quota."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import AsyncRetrying, RetryCallState

from pipeline.api.errors import Unavailable
from pipeline.collect.retry import RetryPolicy
from pipeline.errors import ExitCode
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.store.reader import Reader
from tests.support.hostile import drops, hostile
from tests.support.runs import BURST, SYMBOLS, Runs, ended, limits


async def test_a_server_error_is_retried_twice_and_then_the_symbol_failed(runs: Runs) -> None:
    runs.served.api.says(SYMBOLS[1], "busy", status=503, times=None)
    summary = await runs.collect(3)
    assert ended(summary) == (RunStatus.PARTIAL, ExitCode.PARTIAL)
    assert summary.counts[Outcome.FAILED] == 1
    assert runs.requested[SYMBOLS[1]] == 3
    assert len(runs.clock.waits) == 2
    assert 1 <= runs.clock.waits[0] < runs.clock.waits[1] <= 3.1


async def test_a_symbol_whose_retry_is_answered_is_stored(runs: Runs) -> None:
    runs.served.api.says(SYMBOLS[1], "busy", status=503, times=2)
    summary = await runs.collect(3)
    assert ended(summary) == (RunStatus.COMPLETE, ExitCode.DONE)
    with Reader.open(runs.database) as record:
        attempts = {o.symbol: o.attempts for o in record.outcomes(summary.run)}
    assert attempts[SYMBOLS[1]] == 3
    assert summary.requests == 5


@pytest.mark.parametrize(("retry_after", "waited"), [("17", 17), ("100000", 120)])
async def test_retry_after_replaces_our_wait_up_to_two_minutes(runs: Runs, retry_after: str, waited: float) -> None:
    runs.served.api.says(SYMBOLS[0], "", status=503, headers={"Retry-After": retry_after})
    await runs.collect(1)
    assert runs.clock.waits == [waited]


async def test_a_dropped_connection_is_retried_and_each_attempt_is_a_request(runs: Runs) -> None:
    async with hostile(drops) as (server, base_url):
        summary = await runs.collect(3, base_url=base_url, limits=limits("100/minute"))
    assert ended(summary) == (RunStatus.FAILED, ExitCode.FAILED)
    assert summary.counts[Outcome.FAILED] == 3
    assert len(server.requests) == summary.requests == 9
    with Reader.open(runs.database) as record:
        assert record.quota_state(runs.clock.wall).last_request_id == 9


async def test_retries_take_up_to_a_fifth_of_the_day(runs: Runs) -> None:
    for symbol in SYMBOLS[::2]:
        runs.served.api.says(symbol, "busy", status=503, times=None)
    summary = await runs.collect(16, limits=limits("25/day"))
    assert summary.requests == 16 + 5
    assert summary.counts[Outcome.FAILED] == 8


@pytest.mark.parametrize("body", ["busy", BURST])
async def test_retries_of_many_workers_at_once_keep_to_a_fifth_of_the_day(runs: Runs, body: str) -> None:
    for symbol in SYMBOLS[:40]:
        runs.served.api.says(symbol, body, status=503 if body == "busy" else 200)
    summary = await runs.collect(40, limits=limits("100/day"), concurrency=40)
    assert 40 <= summary.requests <= 40 + 20
    assert runs.requested.total() == summary.requests


@given(attempt=st.integers(1, 60))
def test_waits_double_up_to_30_seconds(attempt: int) -> None:
    state = RetryCallState(AsyncRetrying(), None, (), {})
    state.attempt_number = attempt
    state.set_exception((Unavailable, Unavailable("HTTP 503"), None))

    assert min(2 ** (attempt - 1), 30) <= RetryPolicy().wait(state) <= min(2 ** (attempt - 1) + 1, 30)
