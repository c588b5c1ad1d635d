"""Windows: no window of the server, wherever it begins, ever holds one request too many; and none is sent late."""

import heapq
import random
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.instants import nanoseconds
from pipeline.quota.limits import PERIODS, PLANS, Limit
from pipeline.quota.windows import Windows

SECOND = 1_000_000_000
TICK = 1_000_000


class Exchange:
    """A discrete simulation: workers take slots as early as they may, a server counts, answers come back late."""

    def __init__(self, limits: Sequence[Limit], *, workers: int, latencies: random.Random, slowest: int) -> None:
        self.windows = Windows(limits)
        self.workers = workers
        self.random = latencies
        self.slowest = slowest
        self.taken: list[int] = []
        self.ended: list[int] = []
        self.counted: list[int] = []

    def run(self, requests: int) -> None:
        now = 0
        out: list[int] = []
        while len(self.taken) < requests:
            opening = self.windows.opening(now)
            if opening.at <= now and len(out) < self.workers:
                self.windows.take()
                self.taken.append(now)
                latency = self.random.randint(0, self.slowest)
                self.counted.append(now + self.random.randint(0, latency))
                heapq.heappush(out, now + latency)
                continue
            answer = out[0] if out else None
            if answer is not None and (len(out) >= self.workers or not opening.certain or answer <= opening.at):
                now = max(now, heapq.heappop(out))
                self.windows.end(now)
                self.ended.append(now)
            else:
                assert opening.certain
                now = opening.at

    def most_in_a_sliding_window(self, period: int) -> int:
        instants = sorted(self.counted)
        return max(sum(1 for other in instants if at <= other <= at + period) for at in instants)

    def most_in_a_fixed_window(self, period: int, phase: int) -> int:
        tally: dict[int, int] = {}
        for at in self.counted:
            tally[(at + phase) // period] = tally.get((at + phase) // period, 0) + 1
        return max(tally.values())


LIMITS = st.lists(
    st.builds(
        Limit,
        st.integers(1, 12),
        st.sampled_from([timedelta(seconds=1), timedelta(seconds=7), timedelta(minutes=1), timedelta(days=1)]),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=200)
@given(
    limits=LIMITS,
    workers=st.integers(1, 15),
    seed=st.integers(0, 2**32),
    slowest=st.sampled_from([0, 1, TICK, SECOND // 3, SECOND, 5 * SECOND, 90 * SECOND]),
    phase=st.integers(0, 90_000 * SECOND),
    requests=st.integers(1, 60),
)
def test_no_window_of_the_server_holds_one_too_many(  # noqa: PLR0917 - hypothesis names them
    limits: list[Limit], workers: int, seed: int, slowest: int, phase: int, requests: int
) -> None:
    exchange = Exchange(limits, workers=workers, latencies=random.Random(seed), slowest=slowest)
    exchange.run(requests)
    for limit in limits:
        assert exchange.most_in_a_sliding_window(nanoseconds(limit.period)) <= limit.count
        assert exchange.most_in_a_fixed_window(nanoseconds(limit.period), phase) <= limit.count


@settings(max_examples=200)
@given(limits=LIMITS, seed=st.integers(0, 2**32), slowest=st.sampled_from([0, SECOND // 3, 5 * SECOND]))
def test_each_request_leaves_at_the_earliest_instant_the_promise_allows(
    limits: list[Limit], seed: int, slowest: int
) -> None:
    """A tick before each request left, some limit was full: of slots out, or of answers back less than a period ago."""
    exchange = Exchange(limits, workers=10_000, latencies=random.Random(seed), slowest=slowest)
    exchange.run(40)
    for number, at in enumerate(exchange.taken):
        if at == 0 or at == exchange.taken[number - 1]:
            continue
        before = at - 1
        taken = [t for t in exchange.taken[:number] if t <= before]
        for limit in limits:
            free_since = [ended for ended in exchange.ended if ended + nanoseconds(limit.period) + TICK <= before]
            if len(taken) - len(free_since) >= limit.count:
                break
        else:
            pytest.fail(f"request {number} left at {at}, and could have left before")


@settings(max_examples=100)
@given(limits=LIMITS, ended=st.lists(st.integers(-100_000 * SECOND, 0), max_size=40))
def test_requests_of_an_earlier_process_still_count(limits: list[Limit], ended: list[int]) -> None:
    windows = Windows(limits, ended)
    opening = windows.opening(0)
    for limit in limits:
        free_at = [at + nanoseconds(limit.period) + TICK for at in ended]
        assert sum(1 for at in free_at if at > opening.at) < limit.count
        assert windows.used(limit, 0) == min(sum(1 for at in free_at if at > 0), max(limit.count for limit in limits))


def test_as_many_requests_at_once_as_the_plan_allows() -> None:
    windows = Windows(PLANS["premium-75"])
    for _ in range(5):
        assert windows.opening(0).at == 0
        windows.take()
    assert not windows.opening(0).certain


def test_an_awaited_answer_makes_the_opening_uncertain() -> None:
    windows = Windows([Limit(1, PERIODS["second"])])
    windows.take()
    assert windows.opening(5) == windows.opening(5)
    assert (windows.opening(5).at, windows.opening(5).certain) == (5 + SECOND, False)
    windows.end(SECOND)
    assert (windows.opening(SECOND).at, windows.opening(SECOND).certain) == (2 * SECOND + TICK, True)


def test_a_request_that_never_left_gives_its_slot_back() -> None:
    windows = Windows([Limit(1, PERIODS["day"])])
    windows.take()
    windows.give_back()
    assert windows.opening(0).at == 0
    assert windows.used(Limit(1, PERIODS["day"]), 0) == 0


def test_a_window_of_none_never_opens() -> None:
    assert not Windows([Limit(0, PERIODS["day"])]).opening(0).certain
