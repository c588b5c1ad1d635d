"""The ledger: a slot is durable before its request leaves, and nothing frees one early."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from aiosqlite import Connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import instants
from pipeline.api.errors import QuotaEnded
from pipeline.quota.block import FIRST_BLOCK
from pipeline.quota.ledger import GRACE, Ledger
from pipeline.store.migrate import migrate
from pipeline.store.reader import Reader
from pipeline.store.writer import open_writer
from tests.support.clocks import ManualClock
from tests.support.ledgers import TIMEOUT, ledger_of_a_process, open_ledger, stored_requests, take

DAY = timedelta(days=1)


async def test_a_slot_is_in_the_database_before_its_request_may_leave(database: Path, clock: ManualClock) -> None:
    async with ledger_of_a_process(database, clock, "25/day") as ledger:
        slot = await take(ledger)
        deadline = instants.to_text(clock.wall + TIMEOUT + GRACE)
        assert stored_requests(database) == [(slot.id, "IBM", instants.to_text(clock.wall), deadline, None, None)]


async def test_a_slot_is_closed_with_its_outcome_at_no_earlier_instant(database: Path, clock: ManualClock) -> None:
    async with ledger_of_a_process(database, clock, "25/day") as ledger:
        slot = await take(ledger)
        clock.advance(timedelta(microseconds=1_234_567))
        ledger.close(slot, "answered")
    (row,) = stored_requests(database)
    assert row[-1] == "answered"
    assert instants.from_text(str(row[-2])) >= clock.wall


async def test_without_limits_slots_are_stored_only_when_closed(database: Path, clock: ManualClock) -> None:
    async with ledger_of_a_process(database, clock) as ledger:
        slots = [await take(ledger) for _ in range(3)]
        assert stored_requests(database) == []
        for slot in slots:
            ledger.close(slot, "answered")
    assert [row[-1] for row in stored_requests(database)] == ["answered"] * 3


async def test_a_process_that_was_killed_leaves_its_slots_counted(database: Path, clock: ManualClock) -> None:
    async with ledger_of_a_process(database, clock, "2/day") as ledger:
        await take(ledger)
        await take(ledger)
    async with ledger_of_a_process(database, clock, "2/day") as ledger:
        with pytest.raises(QuotaEnded, match="2/day"):
            await take(ledger)
    clock.advance(DAY + GRACE + TIMEOUT)
    async with ledger_of_a_process(database, clock, "2/day") as ledger:
        await take(ledger)


@pytest.mark.parametrize("step", [timedelta(days=400), timedelta(days=-400), timedelta(hours=25), timedelta(hours=-1)])
async def test_no_step_of_the_wall_clock_frees_a_slot_while_the_process_lives(
    database: Path, clock: ManualClock, step: timedelta
) -> None:
    async with ledger_of_a_process(database, clock, "1/day") as ledger:
        slot = await take(ledger)
        ledger.close(slot, "answered")
        clock.set_by(step)
        with pytest.raises(QuotaEnded):
            await take(ledger)
        clock.advance(DAY - timedelta(seconds=121))
        with pytest.raises(QuotaEnded):
            await take(ledger)
        clock.advance(timedelta(seconds=2))
        await take(ledger)


async def test_after_a_restart_an_instant_in_the_future_counts_as_now(database: Path, clock: ManualClock) -> None:
    async with ledger_of_a_process(database, clock, "1/day") as ledger:
        ledger.close(await take(ledger), "answered")
    clock.set_by(-timedelta(days=30))
    async with ledger_of_a_process(database, clock, "1/day") as ledger:
        with pytest.raises(QuotaEnded):
            await take(ledger)
        clock.advance(DAY + timedelta(seconds=1))
        await take(ledger)


async def test_take_waits_for_a_slot_that_frees_within_max_wait_and_no_longer(
    database: Path, clock: ManualClock
) -> None:
    async with ledger_of_a_process(database, clock, "1/minute", max_wait=120) as ledger:
        ledger.close(await take(ledger), "answered")
        await take(ledger)
        assert clock.waits == [pytest.approx(60, abs=0.01)]
    async with ledger_of_a_process(database, clock, "1/hour", max_wait=120) as ledger:
        with pytest.raises(QuotaEnded):
            await take(ledger)


async def test_take_waits_for_a_slot_that_depends_on_an_awaited_answer(database: Path, clock: ManualClock) -> None:
    async with ledger_of_a_process(database, clock, "1/second") as ledger, asyncio.timeout(30):
        first = await take(ledger)
        waiting = asyncio.create_task(take(ledger))
        await asyncio.sleep(0)
        assert not waiting.done()
        ledger.close(first, "answered")
        await waiting
        assert clock.waits == [pytest.approx(1, abs=0.01)]


async def test_slots_taken_at_the_same_time_are_reserved_together(database: Path, clock: ManualClock) -> None:
    async with open_writer(database) as writer:
        ledger = open_ledger(writer, database, clock, "75/minute", "5/second")
        slots = await asyncio.gather(*(take(ledger) for _ in range(5)))
    assert len({slot.id for slot in slots}) == 5
    assert clock.waits == []


async def test_a_request_that_never_left_uses_no_slot(database: Path, clock: ManualClock) -> None:
    async with ledger_of_a_process(database, clock, "1/day") as ledger:
        ledger.give_back(await take(ledger))
        ledger.give_back(await take(ledger))
        assert ledger.sent == 0
    async with ledger_of_a_process(database, clock, "1/day") as ledger:
        await take(ledger)


async def test_a_cancelled_take_uses_no_slot(database: Path, clock: ManualClock) -> None:
    async with ledger_of_a_process(database, clock, "1/day") as ledger:
        taking = asyncio.create_task(take(ledger))
        await asyncio.sleep(0)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        await take(ledger)


async def test_max_requests_ends_the_run_like_the_quota(database: Path, clock: ManualClock) -> None:
    async with ledger_of_a_process(database, clock, max_requests=2) as ledger:
        await take(ledger)
        await take(ledger)
        with pytest.raises(QuotaEnded, match="--max-requests 2"):
            await take(ledger)


async def test_retries_have_a_fifth_of_the_day_across_restarts(database: Path, clock: ManualClock) -> None:
    async with ledger_of_a_process(database, clock, "25/day") as ledger:
        for _ in range(4):
            ledger.close(await take(ledger, retry=True), "unavailable")
        assert ledger.may_retry()
    async with ledger_of_a_process(database, clock, "25/day") as ledger:
        assert ledger.may_retry()
        ledger.close(await take(ledger, retry=True), "unavailable")
        assert not ledger.may_retry()
    async with ledger_of_a_process(database, clock, "75/minute") as ledger:
        assert ledger.may_retry()


async def test_each_quota_ended_of_the_api_blocks_requests_for_longer(database: Path, clock: ManualClock) -> None:
    expected = FIRST_BLOCK
    for _ in range(3):
        async with ledger_of_a_process(database, clock, "25/day") as ledger:
            slot = await take(ledger)
            ledger.close(slot, "quota_ended")
            await ledger.quota_ended(slot)
            with pytest.raises(QuotaEnded, match="the API said"):
                await take(ledger)
        clock.advance(expected - timedelta(seconds=130))
        async with ledger_of_a_process(database, clock, "25/day") as ledger:
            with pytest.raises(QuotaEnded, match="the API said"):
                await take(ledger)
        clock.advance(timedelta(seconds=131))
        expected *= 2


async def test_refusals_of_requests_that_were_out_together_block_once(database: Path, clock: ManualClock) -> None:
    async with ledger_of_a_process(database, clock, "25/day") as ledger:
        slots = [await take(ledger) for _ in range(3)]
        for slot in slots:
            ledger.close(slot, "quota_ended")
            await ledger.quota_ended(slot)
    with Reader.open(database) as reader:
        block = reader.quota_state(clock.wall).block
    assert block is not None
    assert block.until - block.since == FIRST_BLOCK


async def test_a_good_answer_lifts_the_block(database: Path, clock: ManualClock) -> None:
    async with ledger_of_a_process(database, clock, "25/day") as ledger:
        slot = await take(ledger)
        await ledger.quota_ended(slot)
        await ledger.quota_resumed(slot)
    with Reader.open(database) as reader:
        assert reader.quota_state(clock.wall).block is None


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 40)),
        st.tuples(st.just("kill"), st.integers(0, 3)),
        st.tuples(st.just("pass"), st.sampled_from([1, 59, 61, 3600, 86_000])),
        st.tuples(st.just("step"), st.sampled_from([-86_400 * 30, -3600, -1])),
    ),
    max_size=25,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_across_kills_and_clocks_set_back_the_server_never_counts_one_too_many(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    """The server counts on a clock of its own: real time, which is our process's and never steps."""
    path = tmp_path_factory.mktemp("ledger") / "overviews.db"
    clock = ManualClock()
    migrate(path, now=clock.wall)
    counted: list[int] = []

    async def ask(ledger: Ledger, latency: int, *, answered: bool) -> None:
        slot = await take(ledger)
        clock.advance(timedelta(milliseconds=latency))
        counted.append(clock.monotonic)
        if answered:
            ledger.close(slot, "answered")

    async with open_writer(path) as writer:
        ledger = open_ledger(writer, path, clock, "5/day", "2/minute", max_wait=61)
        for kind, number in steps:
            try:
                if kind == "ask":
                    await ask(ledger, number * 1000, answered=True)
                elif kind == "kill":
                    await ask(ledger, number * 1000, answered=False)
                    await writer.write(_nothing, None)
                    ledger = open_ledger(writer, path, clock, "5/day", "2/minute", max_wait=61)
                elif kind == "pass":
                    clock.advance(timedelta(seconds=number))
                else:
                    clock.set_by(timedelta(seconds=number))
            except QuotaEnded:
                continue
    for count, period in ((5, 86_400), (2, 60)):
        for at in counted:
            assert sum(1 for other in counted if at <= other <= at + period * 1_000_000_000) <= count


async def _nothing(_db: Connection, items: Sequence[None]) -> Sequence[None]:
    return items
