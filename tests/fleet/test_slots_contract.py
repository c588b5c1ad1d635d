"""What every engine's slots promise: the same tests over the ledger in SQLite and over the fleet's in PostgreSQL."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from pipeline.api.errors import KeyRefused, QuotaEnded, Throttled
from pipeline.collect.ports import Slots
from pipeline.quota.block import BY_THE_API, FIRST_BLOCK
from pipeline.quota.estimate import THROTTLED, Wait
from pipeline.quota.ledger import GRACE, RetryBudgetSpent
from pipeline.quota.throttle import FIRST_PAUSE, PATIENCE
from tests.support.clocks import ManualClock
from tests.support.slot_stages import TIMEOUT, FleetStage, SqliteStage, Stage, take

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.fixture(params=["sqlite", "postgresql"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    if request.param == "sqlite":
        yield SqliteStage(request.getfixturevalue("database"), ManualClock())
        return
    url = request.getfixturevalue("fleet_url")
    with psycopg.connect(url, autocommit=True) as db:
        yield FleetStage(url, db)


async def answered(slots: Slots, count: int) -> Counter[str]:
    """Take slots and close each at once; return how many were of which key."""
    keys = Counter[str]()
    for _ in range(count):
        slot = await take(slots)
        slots.close(slot, "answered")
        await slots.quota_resumed(slot)
        keys[slot.key] += 1
    return keys


async def test_a_window_admits_its_count_and_no_more_also_after_a_restart(stage: Stage) -> None:
    async with stage.process(k="3/day") as slots:
        assert slots.remaining() == 3
        await answered(slots, 2)
    async with stage.process(k="3/day") as slots:
        await answered(slots, 1)
        assert slots.remaining() == 0
        with pytest.raises(QuotaEnded, match="3/day"):
            await take(slots)


async def test_a_slot_counts_from_its_answer_and_that_of_a_dead_process_from_its_deadline(stage: Stage) -> None:
    async with stage.process(k="1/day") as slots:
        await take(slots)
    stage.clock.advance(DAY + timedelta(seconds=1))
    async with stage.process(k="1/day", max_wait=0) as slots:
        with pytest.raises(QuotaEnded):
            await take(slots)
        stage.clock.advance(GRACE + TIMEOUT)
        slot = await take(slots)
        stage.clock.advance(timedelta(seconds=20))
        slots.close(slot, "answered")
        stage.clock.advance(DAY - timedelta(seconds=10))
        with pytest.raises(QuotaEnded):
            await take(slots)
        stage.clock.advance(timedelta(seconds=11))
        await take(slots)


async def test_a_request_that_is_given_up_counts_from_its_deadline_as_it_may_still_arrive(stage: Stage) -> None:
    async with stage.process(k="1/minute", max_wait=0) as slots:
        slot = await take(slots)
        stage.clock.advance(SECOND)
        slots.close(slot, "abandoned")
        stage.clock.advance(timedelta(minutes=1) + GRACE)
        with pytest.raises(QuotaEnded):
            await take(slots)
    async with stage.process(k="1/minute", max_wait=0) as slots:
        with pytest.raises(QuotaEnded):
            await take(slots)
        stage.clock.advance(TIMEOUT)
        await take(slots)


async def test_a_wait_is_as_long_as_the_window_says_and_no_longer_than_max_wait(stage: Stage) -> None:
    async with stage.process(k="1/minute", max_wait=120) as slots:
        await answered(slots, 1)
        began = stage.clock.monotonic
        await take(slots)
        assert 60_000_000_000 < stage.clock.monotonic - began < 60_100_000_000
    async with stage.process(k="1/hour", max_wait=120) as slots:
        with pytest.raises(QuotaEnded, match="1/hour"):
            await take(slots)


async def test_whoever_waits_gets_the_slot_that_an_answer_frees(stage: Stage) -> None:
    async with stage.process(k="1/second") as slots, asyncio.timeout(30):
        first = await take(slots)
        waiting = asyncio.create_task(take(slots))
        await asyncio.sleep(0)
        assert not waiting.done()
        slots.close(first, "answered")
        assert (await waiting).id != first.id


async def test_slots_taken_at_the_same_time_are_different_ones(stage: Stage) -> None:
    async with stage.process(k="75/minute 5/second") as slots:
        taken = await asyncio.gather(*(take(slots) for _ in range(5)))
        assert len({slot.id for slot in taken}) == 5
        assert all(slots.admits(slot) for slot in taken)


async def test_a_request_that_never_left_uses_no_slot(stage: Stage) -> None:
    async with stage.process(k="1/day", max_wait=0) as slots:
        slots.give_back(await take(slots))
        slots.give_back(await take(slots))
        assert slots.sent == 0
        await take(slots)


async def test_a_cancelled_take_uses_no_slot(stage: Stage) -> None:
    async with stage.process(k="1/day") as slots:
        taking = asyncio.create_task(take(slots))
        await asyncio.sleep(0)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        await take(slots)


async def test_a_slot_may_not_be_used_near_its_deadline_nor_after_it(stage: Stage) -> None:
    """At its deadline its request is given up: if it left just before, the server would count it later."""
    async with stage.process(k="9/day") as slots:
        slot = await take(slots)
        stage.clock.advance(TIMEOUT)
        assert slots.admits(slot)
        stage.clock.advance(timedelta(milliseconds=1))
        assert not slots.admits(slot)
        stage.clock.advance(GRACE)
        assert not slots.admits(slot)


async def test_max_requests_ends_the_run_like_the_quota(stage: Stage) -> None:
    async with stage.process(k="25/day", max_requests=2) as slots:
        await answered(slots, 2)
        with pytest.raises(QuotaEnded, match="--max-requests 2"):
            await take(slots)


async def test_retries_have_a_fifth_of_the_day_across_restarts(stage: Stage) -> None:
    async with stage.process(k="25/day") as slots:
        for _ in range(4):
            slots.close(await take(slots, retry=True), "unavailable")
        assert slots.may_retry()
    async with stage.process(k="25/day") as slots:
        slots.close(await take(slots, retry=True), "unavailable")
        with pytest.raises(RetryBudgetSpent):
            await take(slots, retry=True)
        assert not slots.may_retry()
        await answered(slots, 1)
    async with stage.process(j="4/day") as slots:
        with pytest.raises(RetryBudgetSpent):
            await take(slots, retry=True)
    async with stage.process(m="75/minute") as slots:
        await take(slots, retry=True)
        assert slots.may_retry()


async def test_each_end_of_the_quota_blocks_for_longer_also_after_a_restart(stage: Stage) -> None:
    expected = FIRST_BLOCK
    for _ in range(3):
        async with stage.process(k="25/day") as slots:
            slot = await take(slots)
            slots.close(slot, "quota_ended")
            await slots.quota_ended(slot)
            with pytest.raises(QuotaEnded, match="the API said"):
                await take(slots)
        stage.clock.advance(expected - timedelta(seconds=130))
        async with stage.process(k="25/day") as slots:
            with pytest.raises(QuotaEnded, match="the API said"):
                await take(slots)
        stage.clock.advance(timedelta(seconds=131))
        expected *= 2


async def test_refusals_of_requests_that_were_out_together_block_once(stage: Stage) -> None:
    async with stage.process(k="25/day", max_wait=0) as slots:
        taken = [await take(slots) for _ in range(3)]
        for slot in taken:
            slots.close(slot, "quota_ended")
            await slots.quota_ended(slot)
        stage.clock.advance(FIRST_BLOCK - SECOND)
        with pytest.raises(QuotaEnded):
            await take(slots)
        stage.clock.advance(SECOND)
        await take(slots)


async def test_a_good_answer_lifts_the_block_so_that_the_next_is_no_longer_than_the_first(stage: Stage) -> None:
    async with stage.process(k="25/day", max_wait=0) as slots:
        for _ in range(2):
            slot = await take(slots)
            slots.close(slot, "quota_ended")
            await slots.quota_ended(slot)
            stage.clock.advance(FIRST_BLOCK)
            assert await answered(slots, 1) == {"k": 1}


@pytest.mark.parametrize("no_answer", ["abandoned", "unavailable", None])
async def test_after_a_block_one_request_alone_tests_whether_the_api_answers(
    stage: Stage, no_answer: str | None
) -> None:
    async with stage.process(k="25/day") as slots, asyncio.timeout(30):
        slot = await take(slots)
        slots.close(slot, "quota_ended")
        await slots.quota_ended(slot)
        stage.clock.advance(FIRST_BLOCK)
        probe = await take(slots)
        assert slots.admits(probe)
        others = [asyncio.create_task(take(slots)) for _ in range(2)]
        await asyncio.sleep(0)
        assert not any(other.done() for other in others)
        if no_answer is None:
            slots.give_back(probe)
        else:
            slots.close(probe, no_answer)
        (second,), _ = await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        slots.close(second.result(), "answered")
        await asyncio.wait(others)
        await take(slots)


async def test_a_throttle_revokes_slots_and_pauses_for_longer_each_time(stage: Stage) -> None:
    async with stage.process(k="75/minute") as slots, asyncio.timeout(30):
        throttled, unused = await take(slots), await take(slots)
        for pauses in range(3):
            slots.close(throttled, "throttled")
            slots.throttled(throttled, Throttled("slow down"))
            assert not slots.admits(unused)
            began = stage.clock.monotonic
            throttled = await take(slots)
            waited = stage.clock.monotonic - began
            expected = FIRST_PAUSE.total_seconds() * 2**pauses
            assert expected * 1e9 <= waited < (expected + 0.2) * 1e9
        slots.close(throttled, "answered")
        began = stage.clock.monotonic
        await asyncio.gather(take(slots), take(slots))
        assert stage.clock.monotonic - began < 0.2e9


async def test_refusals_of_one_burst_pause_once_and_the_api_may_say_for_how_long(stage: Stage) -> None:
    async with stage.process(k="75/minute") as slots, asyncio.timeout(30):
        burst = [await take(slots) for _ in range(3)]
        for slot in burst:
            slots.close(slot, "throttled")
            slots.throttled(slot, Throttled("slow down", timedelta(seconds=17)))
        began = stage.clock.monotonic
        await take(slots)
        assert 17e9 <= stage.clock.monotonic - began < 17.2e9


async def test_whoever_waits_for_a_pause_can_say_so(stage: Stage) -> None:
    waits: list[Wait | None] = []
    async with stage.process(k="75/minute") as slots, asyncio.timeout(30):
        slot = await take(slots)
        assert slots.waiting() is None
        slots.close(slot, "throttled")
        stage.clock.on_sleep = lambda: waits.append(slots.waiting())
        slots.throttled(slot, Throttled("slow down", 17 * SECOND))
        until = stage.clock.wall + 17 * SECOND
        slot = await take(slots)
        assert until <= stage.clock.wall
        assert {wait.why for wait in waits if wait is not None} == {THROTTLED}
        assert all(until <= wait.until < until + SECOND for wait in waits if wait is not None)


async def test_whoever_waits_for_a_window_can_say_until_when(stage: Stage) -> None:
    waits: list[Wait | None] = []
    async with stage.process(k="1/minute") as slots, asyncio.timeout(30):
        stage.clock.on_sleep = lambda: waits.append(slots.waiting())
        await answered(slots, 1)
        until = stage.clock.wall + timedelta(minutes=1)
        await take(slots)
        assert {wait.why for wait in waits if wait is not None} == {None}
        assert all(until <= wait.until < until + SECOND for wait in waits if wait is not None)


async def test_whoever_waits_for_a_block_can_say_so(stage: Stage) -> None:
    waits: list[Wait | None] = []
    async with stage.process(k="25/day") as slots, asyncio.timeout(30):
        slot = await take(slots)
        slots.close(slot, "quota_ended")
        await slots.quota_ended(slot)
        until = stage.clock.wall + FIRST_BLOCK
        stage.clock.advance(FIRST_BLOCK - 20 * SECOND)
        stage.clock.on_sleep = lambda: waits.append(slots.waiting())
        await take(slots)
        assert {wait.why for wait in waits if wait is not None} == {BY_THE_API}
        assert all(until <= wait.until < until + SECOND for wait in waits if wait is not None)


async def test_an_ambiguous_throttle_after_a_pause_is_the_days_end_where_there_is_a_day_window(stage: Stage) -> None:
    ambiguous = Throttled("perhaps", ambiguous=True)
    async with stage.process(minute="75/minute") as slots:
        for _ in range(2):
            slot = await take(slots)
            slots.close(slot, "throttled")
            slots.throttled(slot, ambiguous)
    async with stage.process(day="25/day") as slots:
        slot = await take(slots)
        slots.close(slot, "throttled")
        slots.throttled(slot, ambiguous)
        slot = await take(slots)
        slots.close(slot, "throttled")
        with pytest.raises(QuotaEnded, match="again"):
            slots.throttled(slot, ambiguous)


async def test_throttles_for_a_minute_are_the_quotas_end(stage: Stage) -> None:
    async with stage.process(k="75/minute") as slots:
        began = stage.clock.monotonic

        async def throttled_for_ever() -> None:
            while True:
                slot = await take(slots)
                slots.close(slot, "throttled")
                slots.throttled(slot, Throttled("slow down"))

        with pytest.raises(QuotaEnded, match="every answer"):
            await throttled_for_ever()
        assert PATIENCE.total_seconds() * 1e9 <= stage.clock.monotonic - began < 2 * PATIENCE.total_seconds() * 1e9


async def test_each_key_stays_within_its_own_plan_also_after_a_restart(stage: Stage) -> None:
    async with stage.process(a="2/day", b="3/day") as slots:
        assert sum((await answered(slots, 4)).values()) == 4
    async with stage.process(a="2/day", b="3/day") as slots:
        await answered(slots, 1)
        with pytest.raises(QuotaEnded):
            await take(slots)


async def test_the_end_of_one_keys_quota_leaves_the_other(stage: Stage) -> None:
    async with stage.process(a="25/day", b="9/day") as slots:
        slot, waiting = await take(slots), await take(slots)
        slots.close(slot, "quota_ended")
        await slots.quota_ended(slot)
        assert slots.has_other_key(slot)
        assert not slots.admits(waiting)
        slots.give_back(waiting)
        assert set(await answered(slots, 9)) == {"b"}
        with pytest.raises(QuotaEnded):
            await take(slots)


async def test_a_throttled_key_pauses_while_the_other_goes_on(stage: Stage) -> None:
    async with stage.process(a="25/day", b="25/day") as slots:
        slot = await take(slots)
        slots.close(slot, "throttled")
        slots.throttled(slot, Throttled("slow down"))
        assert set(await answered(slots, 5)) == {"b"}
        stage.clock.advance(FIRST_PAUSE)
        assert "a" in await answered(slots, 2)


async def test_a_refused_key_gets_no_more_slots_and_is_named(stage: Stage) -> None:
    async with stage.process(a="25/day", b="3/day") as slots:
        slot = await take(slots)
        slots.close(slot, "key_refused")
        await slots.refused(slot, KeyRefused("invalid"))
        assert slots.refusals == {"a": "invalid"}
        assert await answered(slots, 3) == {"b": 3}
        last = await take_refused(slots)
        assert isinstance(last, QuotaEnded)


async def take_refused(slots: Slots) -> Exception:
    with pytest.raises((QuotaEnded, KeyRefused)) as raised:
        await take(slots)
    return raised.value


async def test_without_a_key_that_is_not_refused_the_refusal_is_raised(stage: Stage) -> None:
    async with stage.process(a="25/day") as slots:
        slot = await take(slots)
        slots.close(slot, "key_refused")
        await slots.refused(slot, KeyRefused("invalid"))
        assert not slots.has_other_key(slot)
        assert isinstance(await take_refused(slots), KeyRefused)


async def test_without_limits_slots_are_free(stage: Stage) -> None:
    async with stage.process(k="") as slots:
        assert slots.remaining() is None
        assert slots.time_for(1000) == timedelta()
        assert await answered(slots, 20) == {"k": 20}


async def test_a_key_that_frees_in_time_is_used_while_another_awaits_an_answer(stage: Stage) -> None:
    async with stage.process(a="1/second", b="1/second") as slots, asyncio.timeout(30):
        ended, out = await take(slots), await take(slots)
        slots.close(ended, "answered")

        assert (await take(slots)).key == ended.key != out.key
