"""Fetching: every row of the design's table, held by what the server was asked."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.collect.halt import Halt, Halted
from pipeline.collect.order import Order, Source
from pipeline.collect.run import Summary, collect
from pipeline.errors import ExitCode
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.model.symbols import Symbol
from pipeline.quota.limits import Limit
from pipeline.sandbox.companies import Companies
from pipeline.sandbox.server import SandboxApi
from pipeline.store.reader import Reader
from tests.support.clocks import ManualClock
from tests.support.hostile import drops, hostile
from tests.support.sandbox import Served

SYMBOLS = tuple(Symbol(f"QU{a}{b}") for a in "ABCDEFGH" for b in "ABCDEFGH")

AMBIGUOUS = '{"Information": "Please consider spreading out your free API requests more sparingly (1 per second)."}'
BURST = '{"Information": "Burst pattern detected. No more than 5 requests per second."}'
QUOTA = '{"Information": "Our standard rate limit is 25 requests per day."}'
BAD_KEY = '{"Error Message": "the parameter apikey is invalid or missing."}'
PREMIUM = '{"Information": "This is a premium endpoint."}'


def limits(*texts: str) -> tuple[Limit, ...]:
    return tuple(Limit.parse(text) for text in texts)


class Runs:
    """Does runs against the stand-in API, on a clock that moves when somebody waits."""

    def __init__(self, database: Path, served: Served, hands: ManualClock) -> None:
        self.database = database
        self.served = served
        self.hands = hands
        self.source = Source(
            base_url=served.base_url,
            key="S3CR3TK3Y",
            limits=(),
            concurrency=1,
            timeout=timedelta(seconds=5),
            wait=timedelta(seconds=120),
            attempts=3,
        )
        for symbol in SYMBOLS:
            served.api.knows(symbol, {"Symbol": symbol, "Name": "known"})

    async def collect(
        self,
        count: int,
        *,
        max_requests: int | None = None,
        concurrency: int = 1,
        limits: tuple[Limit, ...] = (),
        base_url: str | None = None,
    ) -> Summary:
        return await collect(
            self.database,
            replace(self.source, concurrency=concurrency, limits=limits, base_url=base_url or self.served.base_url),
            Order(SYMBOLS[:count], None, max_requests=max_requests),
            halt=Halt(),
            clock=self.hands.clock(),
        )

    @property
    def asked(self) -> Counter[str]:
        return Counter(self.served.api.seen)


@pytest.fixture
def runs(database: Path, served: Served, hands: ManualClock) -> Runs:
    return Runs(database, served, hands)


def ended(summary: Summary) -> tuple[RunStatus, int]:
    return summary.status, summary.exit_code


async def test_overviews_are_stored_and_the_run_is_complete(runs: Runs) -> None:
    first, second = await runs.collect(5), await runs.collect(5)
    assert ended(first) == ended(second) == (RunStatus.COMPLETE, ExitCode.DONE)
    assert (first.counts[Outcome.STORED], second.counts[Outcome.UNCHANGED]) == (5, 5)
    assert runs.asked.total() == 10 == first.requests + second.requests


async def test_a_symbol_that_is_not_covered_is_unknown_and_the_run_complete(runs: Runs) -> None:
    runs.served.api.says(SYMBOLS[1], "{}")
    summary = await runs.collect(3)
    assert ended(summary) == (RunStatus.COMPLETE, ExitCode.DONE)
    assert (summary.counts[Outcome.UNKNOWN], summary.counts[Outcome.STORED]) == (1, 2)
    assert runs.asked[SYMBOLS[1]] == 1


@pytest.mark.parametrize(
    "body",
    ['{"Symbol": "OTHER"}', "<html/>", " " * 1_100_000, '{"Error Message": "Invalid API call."}', '{"a": "new"}'],
)
async def test_what_is_no_overview_is_rejected_asked_once_and_the_run_partial(runs: Runs, body: str) -> None:
    runs.served.api.says(SYMBOLS[1], body, times=None)
    summary = await runs.collect(3)
    assert ended(summary) == (RunStatus.PARTIAL, ExitCode.PARTIAL)
    assert (summary.counts[Outcome.REJECTED], summary.counts[Outcome.STORED]) == (1, 2)
    assert runs.asked[SYMBOLS[1]] == 1


async def test_a_server_error_is_asked_again_a_few_times_and_then_failed(runs: Runs) -> None:
    runs.served.api.says(SYMBOLS[1], "busy", status=503, times=None)
    summary = await runs.collect(3)
    assert ended(summary) == (RunStatus.PARTIAL, ExitCode.PARTIAL)
    assert summary.counts[Outcome.FAILED] == 1
    assert runs.asked[SYMBOLS[1]] == 3
    assert len(runs.hands.waits) == 2
    assert 1 <= runs.hands.waits[0] < runs.hands.waits[1] <= 3.1


async def test_a_server_error_that_passes_is_no_failure(runs: Runs) -> None:
    runs.served.api.says(SYMBOLS[1], "busy", status=503, times=2)
    summary = await runs.collect(3)
    assert ended(summary) == (RunStatus.COMPLETE, ExitCode.DONE)
    with Reader.open(runs.database) as record:
        attempts = {o.symbol: o.attempts for o in record.outcomes(summary.run)}
    assert attempts[SYMBOLS[1]] == 3
    assert summary.requests == 5


@pytest.mark.parametrize(("retry_after", "waited"), [("17", 17), ("100000", 120)])
async def test_the_apis_retry_after_beats_our_backoff_within_bounds(
    runs: Runs, retry_after: str, waited: float
) -> None:
    runs.served.api.says(SYMBOLS[0], "", status=503, headers={"Retry-After": retry_after})
    await runs.collect(1)
    assert runs.hands.waits == [waited]


async def test_a_dropped_connection_is_asked_again_and_each_time_is_a_request(runs: Runs) -> None:
    async with hostile(drops) as (server, base_url):
        summary = await runs.collect(3, base_url=base_url, limits=limits("100/minute"))
    assert ended(summary) == (RunStatus.FAILED, ExitCode.FAILED)
    assert summary.counts[Outcome.FAILED] == 3
    assert len(server.requests) == summary.requests == 9
    with Reader.open(runs.database) as record:
        assert record.quota_state(runs.hands.wall).last_request_id == 9


async def test_a_server_that_is_not_there_costs_no_quota(runs: Runs) -> None:
    async with hostile(drops) as (_, base_url):
        pass
    summary = await runs.collect(9, base_url=base_url, limits=limits("25/day"))
    assert ended(summary) == (RunStatus.FAILED, ExitCode.FAILED)
    assert summary.requests == 0
    with Reader.open(runs.database) as record:
        assert record.quota_state(runs.hands.wall - timedelta(days=2)).spent == []


async def test_ten_failures_in_a_row_end_the_run_and_no_further_request_leaves(runs: Runs) -> None:
    for symbol in SYMBOLS[5:]:
        runs.served.api.says(symbol, "<html/>", times=None)
    summary = await runs.collect(40)
    assert ended(summary) == (RunStatus.FAILED, ExitCode.FAILED)
    assert (summary.counts[Outcome.STORED], summary.counts[Outcome.REJECTED]) == (5, 10)
    assert summary.counts[Outcome.DEFERRED] == 25
    assert runs.asked.total() == 15


async def test_nine_failures_in_a_row_and_a_good_answer_are_partial(runs: Runs) -> None:
    for symbol in (*SYMBOLS[:9], *SYMBOLS[10:19]):
        runs.served.api.says(symbol, "<html/>", times=None)
    summary = await runs.collect(20)
    assert ended(summary) == (RunStatus.PARTIAL, ExitCode.PARTIAL)
    assert summary.counts[Outcome.REJECTED] == 18


async def test_nothing_but_failures_is_a_failure_however_few(runs: Runs) -> None:
    runs.served.api.says(SYMBOLS[0], "<html/>")
    assert ended(await runs.collect(1)) == (RunStatus.FAILED, ExitCode.FAILED)


async def test_a_throttle_pauses_all_workers_and_one_asks_first(runs: Runs) -> None:
    for symbol in SYMBOLS[:5]:
        runs.served.api.says(symbol, BURST)
    summary = await runs.collect(20, concurrency=5)
    assert ended(summary) == (RunStatus.COMPLETE, ExitCode.DONE)
    assert summary.counts[Outcome.STORED] == 20
    assert runs.asked.total() == 25
    # Five refusals of one burst are one throttle: a pause of 2 s, however many workers wait for its end.
    assert {round(wait) for wait in runs.hands.waits} == {2}


async def test_throttles_one_after_another_pause_for_2_4_8_seconds(runs: Runs) -> None:
    runs.served.api.says(SYMBOLS[0], BURST, times=3)
    summary = await runs.collect(2)
    assert ended(summary) == (RunStatus.COMPLETE, ExitCode.DONE)
    assert [round(wait) for wait in runs.hands.waits] == [2, 4, 8]
    assert runs.asked[SYMBOLS[0]] == 4


async def test_a_good_answer_begins_the_pauses_anew(runs: Runs) -> None:
    runs.served.api.says(SYMBOLS[0], BURST, times=2)
    runs.served.api.says(SYMBOLS[1], BURST, times=1)
    await runs.collect(2)
    assert [round(wait) for wait in runs.hands.waits] == [2, 4, 2]


async def test_a_throttle_that_says_how_long_is_obeyed(runs: Runs) -> None:
    runs.served.api.says(SYMBOLS[0], "", status=429, headers={"Retry-After": "17"})
    await runs.collect(1)
    assert [round(wait) for wait in runs.hands.waits] == [17]


async def test_nothing_but_throttles_for_a_minute_is_the_quotas_end(runs: Runs) -> None:
    for symbol in SYMBOLS:
        runs.served.api.says(symbol, BURST, times=None)
    summary = await runs.collect(20, concurrency=5, limits=limits("75/minute"))
    assert ended(summary) == (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA)
    assert summary.counts[Outcome.DEFERRED] == 20
    # Five in the burst, then one alone after each pause of 2, 4, 8, 16 and 32 s.
    assert runs.asked.total() == 10
    again = await runs.collect(20, limits=limits("75/minute"))
    assert ended(again) == (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA)
    assert again.requests == 0


async def test_the_ambiguous_refusal_twice_is_the_days_end_where_the_plan_has_a_day(runs: Runs) -> None:
    for symbol in SYMBOLS:
        runs.served.api.says(symbol, AMBIGUOUS, times=None)
    summary = await runs.collect(20, concurrency=5, limits=limits("25/day"))
    assert ended(summary) == (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA)
    assert runs.asked.total() == 6


async def test_the_ambiguous_refusal_once_was_a_burst(runs: Runs) -> None:
    runs.served.api.says(SYMBOLS[0], AMBIGUOUS)
    summary = await runs.collect(5, limits=limits("25/day"))
    assert ended(summary) == (RunStatus.COMPLETE, ExitCode.DONE)
    assert runs.asked.total() == 6


async def test_the_ambiguous_refusal_is_a_burst_where_the_plan_has_no_day(runs: Runs) -> None:
    runs.served.api.says(SYMBOLS[0], AMBIGUOUS, times=3)
    summary = await runs.collect(5, limits=limits("75/minute"))
    assert ended(summary) == (RunStatus.COMPLETE, ExitCode.DONE)


async def test_the_quotas_end_in_the_apis_words_ends_the_run_at_once_and_is_kept(
    runs: Runs, hands: ManualClock
) -> None:
    for symbol in SYMBOLS[3:]:
        runs.served.api.says(symbol, QUOTA, times=None)
    plan = limits("25/day")
    summary = await runs.collect(20, limits=plan)
    assert ended(summary) == (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA)
    assert (summary.counts[Outcome.STORED], summary.counts[Outcome.DEFERRED]) == (3, 17)
    assert runs.asked.total() == 4
    hands.passes(timedelta(minutes=50))
    assert (await runs.collect(20, limits=plan)).requests == 0
    hands.passes(timedelta(minutes=11))
    assert (await runs.collect(20, limits=plan)).requests == 1


async def test_simultaneous_words_of_the_quotas_end_count_as_one_and_no_further_request_leaves(runs: Runs) -> None:
    for symbol in SYMBOLS:
        runs.served.api.says(symbol, QUOTA, times=None)
    summary = await runs.collect(40, concurrency=5, limits=limits("100/day"))
    assert runs.asked.total() == 5 == summary.requests
    with Reader.open(runs.database) as record:
        block = record.quota_state(runs.hands.wall).block
    assert block is not None
    assert block.until - block.since == timedelta(hours=1)


async def test_after_a_block_one_request_alone_sees_whether_the_quota_is_open(runs: Runs, hands: ManualClock) -> None:
    for symbol in SYMBOLS:
        runs.served.api.says(symbol, QUOTA, times=None)
    plan = limits("100/day")
    await runs.collect(40, limits=plan, concurrency=5)
    hands.passes(timedelta(minutes=61))
    probe = await runs.collect(40, limits=plan, concurrency=5)
    assert probe.requests == 1
    with Reader.open(runs.database) as record:
        block = record.quota_state(runs.hands.wall).block
    assert block is not None
    assert block.until - block.since == timedelta(hours=2)


async def test_our_own_ledgers_end_is_the_quotas_end(runs: Runs) -> None:
    summary = await runs.collect(20, limits=limits("7/day"), concurrency=5)
    assert ended(summary) == (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA)
    assert (summary.counts[Outcome.STORED], summary.counts[Outcome.DEFERRED]) == (7, 13)
    assert runs.asked.total() == 7


async def test_max_requests_ends_the_run_like_the_quota_unless_all_were_asked(runs: Runs) -> None:
    assert ended(await runs.collect(20, max_requests=7)) == (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA)
    assert runs.asked.total() == 7
    assert ended(await runs.collect(7, max_requests=7)) == (RunStatus.COMPLETE, ExitCode.DONE)


@pytest.mark.parametrize("body", [BAD_KEY, PREMIUM])
async def test_a_refused_key_or_plan_ends_the_run_and_no_further_request_leaves(runs: Runs, body: str) -> None:
    for symbol in SYMBOLS:
        runs.served.api.says(symbol, body, times=None)
    summary = await runs.collect(40, concurrency=5)
    assert ended(summary) == (RunStatus.FAILED, ExitCode.REFUSED)
    assert summary.counts[Outcome.DEFERRED] == 40
    assert runs.asked.total() == 5


async def test_retries_never_take_more_than_a_fifth_of_the_day(runs: Runs) -> None:
    for symbol in SYMBOLS[::2]:
        runs.served.api.says(symbol, "busy", status=503, times=None)
    summary = await runs.collect(16, limits=limits("25/day"))
    assert summary.requests == 16 + 5
    assert summary.counts[Outcome.FAILED] == 8


@pytest.mark.parametrize("body", ["busy", BURST])
async def test_however_many_fail_at_once_retries_keep_to_their_fifth(runs: Runs, body: str) -> None:
    for symbol in SYMBOLS[:40]:
        runs.served.api.says(symbol, body, status=503 if body == "busy" else 200)
    summary = await runs.collect(40, limits=limits("100/day"), concurrency=40)
    assert 40 <= summary.requests <= 40 + 20
    assert runs.asked.total() == summary.requests


@pytest.mark.parametrize("most", [3, None])
async def test_one_who_asks_alone_and_gets_no_slot_leaves_it_to_the_next(runs: Runs, most: int | None) -> None:
    """Throttled, with no slot left for asking again: every worker must learn that the quota has ended."""
    for symbol in SYMBOLS[:3]:
        runs.served.api.says(symbol, BURST)
    plan = limits("100/day") if most else limits("3/day")
    async with asyncio.timeout(10):
        summary = await runs.collect(9, limits=plan, concurrency=3, max_requests=most)
    assert ended(summary) == (RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA)
    assert summary.counts[Outcome.DEFERRED] == 9


async def test_a_block_ends_a_run_of_many_workers_too(runs: Runs) -> None:
    for symbol in SYMBOLS:
        runs.served.api.says(symbol, QUOTA, times=None)
    async with asyncio.timeout(10):
        await runs.collect(9, limits=limits("100/day"), concurrency=3)
        again = await runs.collect(9, limits=limits("100/day"), concurrency=3)
    assert (again.status, again.requests, again.counts[Outcome.DEFERRED]) == (RunStatus.QUOTA_EXHAUSTED, 0, 9)


async def test_many_refused_keys_while_others_wait_for_a_slot_are_one_end(runs: Runs) -> None:
    for symbol in SYMBOLS:
        runs.served.api.says(symbol, BAD_KEY, times=None)
    summary = await runs.collect(40, limits=limits("12/minute"), concurrency=30)
    assert ended(summary) == (RunStatus.FAILED, ExitCode.REFUSED)
    assert summary.requests == 12


async def test_five_symbols_on_a_plan_that_admits_five_are_out_at_once(runs: Runs) -> None:
    most = 0
    out = 0
    everyone = asyncio.Event()

    async def wait_for_all(_seconds: float) -> None:
        nonlocal most, out
        out += 1
        most = max(most, out)
        if out == 5:
            everyone.set()
        async with asyncio.timeout(10):
            await everyone.wait()
        out -= 1

    slow = SandboxApi(
        companies=Companies(),
        limits=limits("75/minute", "5/second"),
        day=runs.hands.wall.date,
        latency=timedelta(seconds=1),
        sleep=wait_for_all,
    )
    async with slow.serve() as base_url:
        summary = await runs.collect(5, base_url=base_url, limits=limits("75/minute", "5/second"), concurrency=5)
    assert most == 5
    assert slow.refused == 0
    assert summary.counts.total() == 5


async def test_halting_ends_every_wait_at_once() -> None:
    halt = Halt()

    async def wait() -> None:
        async with halt.interrupts():
            await asyncio.Event().wait()

    waits = [asyncio.create_task(wait()) for _ in range(3)]
    await asyncio.sleep(0)
    halt(RuntimeError("enough"))
    async with asyncio.timeout(5):
        results = await asyncio.gather(*waits, return_exceptions=True)
    assert {type(result) for result in results} == {Halted}
    with pytest.raises(Halted):
        await wait()


async def test_a_run_can_be_ended_for_two_reasons_at_once() -> None:
    halt = Halt()

    async def wait() -> None:
        async with halt.interrupts():
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    halt(RuntimeError("one"))
    await asyncio.sleep(0)
    halt(RuntimeError("two"))
    with pytest.raises(Halted):
        await waiting
    assert len(halt.reasons) == 2


async def test_a_timeout_of_what_is_awaited_is_not_taken_for_the_runs_end() -> None:
    with pytest.raises(TimeoutError):
        async with Halt().interrupts():
            raise TimeoutError
