"""Throttle: all workers pause, one request tests the API, and too many throttles are the quota's end."""

import asyncio

import pytest

from pipeline.errors import ExitCode
from pipeline.model.outcomes import Outcome, RunStatus
from tests.support.runs import AMBIGUOUS, BURST, SYMBOLS, Runs, ended, limits


async def test_a_throttle_pauses_all_workers_and_one_request_goes_first(runs: Runs) -> None:
    for symbol in SYMBOLS[:5]:
        runs.served.api.says(symbol, BURST)
    summary = await runs.collect(20, concurrency=5)
    assert ended(summary) == (RunStatus.COMPLETE, ExitCode.DONE)
    assert summary.counts[Outcome.STORED] == 20
    assert runs.requested.total() == 25
    # Five refusals of one burst are one throttle: a pause of 2 s, however many workers wait for its end.
    assert {round(wait) for wait in runs.clock.waits} == {2}


async def test_throttles_one_after_another_pause_for_2_4_8_seconds(runs: Runs) -> None:
    runs.served.api.says(SYMBOLS[0], BURST, times=3)
    summary = await runs.collect(2)
    assert ended(summary) == (RunStatus.COMPLETE, ExitCode.DONE)
    assert [round(wait) for wait in runs.clock.waits] == [2, 4, 8]
    assert runs.requested[SYMBOLS[0]] == 4


async def test_after_a_good_answer_pauses_start_at_2_seconds_again(runs: Runs) -> None:
    runs.served.api.says(SYMBOLS[0], BURST, times=2)
    runs.served.api.says(SYMBOLS[1], BURST, times=1)
    await runs.collect(2)
    assert [round(wait) for wait in runs.clock.waits] == [2, 4, 2]


async def test_the_retry_after_of_a_throttle_is_the_pause(runs: Runs) -> None:
    runs.served.api.says(SYMBOLS[0], "", status=429, headers={"Retry-After": "17"})
    await runs.collect(1)
    assert [round(wait) for wait in runs.clock.waits] == [17]


async def test_a_minute_of_throttles_is_the_quotas_end(runs: Runs) -> None:
    for symbol in SYMBOLS:
        runs.served.api.says(symbol, BURST, times=None)
    summary = await runs.collect(20, concurrency=5, limits=limits("75/minute"))
    assert ended(summary) == (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA)
    assert summary.counts[Outcome.DEFERRED] == 20
    # Five in the burst, then one alone after each pause of 2, 4, 8, 16 and 32 s.
    assert runs.requested.total() == 10
    again = await runs.collect(20, limits=limits("75/minute"))
    assert ended(again) == (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA)
    assert again.requests == 0


async def test_the_ambiguous_refusal_twice_is_the_quotas_end_if_the_plan_has_a_day_window(runs: Runs) -> None:
    for symbol in SYMBOLS:
        runs.served.api.says(symbol, AMBIGUOUS, times=None)
    summary = await runs.collect(20, concurrency=5, limits=limits("25/day"))
    assert ended(summary) == (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA)
    assert runs.requested.total() == 6


async def test_the_ambiguous_refusal_once_was_a_burst(runs: Runs) -> None:
    runs.served.api.says(SYMBOLS[0], AMBIGUOUS)
    summary = await runs.collect(5, limits=limits("25/day"))
    assert ended(summary) == (RunStatus.COMPLETE, ExitCode.DONE)
    assert runs.requested.total() == 6


async def test_the_ambiguous_refusal_is_a_burst_if_the_plan_has_no_day_window(runs: Runs) -> None:
    runs.served.api.says(SYMBOLS[0], AMBIGUOUS, times=3)
    summary = await runs.collect(5, limits=limits("75/minute"))
    assert ended(summary) == (RunStatus.COMPLETE, ExitCode.DONE)


@pytest.mark.parametrize("most", [3, None])
async def test_a_worker_without_a_slot_leaves_the_test_to_the_next(runs: Runs, most: int | None) -> None:
    """Throttled, with no slot left for a retry: every worker must learn that the quota has ended."""
    for symbol in SYMBOLS[:3]:
        runs.served.api.says(symbol, BURST)
    plan = limits("100/day") if most else limits("3/day")
    async with asyncio.timeout(30):
        summary = await runs.collect(9, limits=plan, concurrency=3, max_requests=most)
    assert ended(summary) == (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA)
    assert summary.counts[Outcome.DEFERRED] == 9
