"""Several keys in one ledger: each stays within its own plan, and a symbol gets whichever has a slot first."""

import sqlite3
from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.api.errors import KeyRefused, QuotaEnded, Throttled
from pipeline.model.slots import Block, KeyId
from pipeline.quota.block import FIRST_BLOCK
from pipeline.quota.estimate import KeyQuota, finish_at
from pipeline.quota.keys import KeyPlan
from pipeline.quota.ledger import Ledger
from pipeline.quota.limits import Limit
from pipeline.store.blocks import block_requests
from pipeline.store.migrate import migrate
from pipeline.store.reader import Reader
from tests.support.clocks import ManualClock
from tests.support.ledgers import ledger_of_keys, take


async def answered(ledger: Ledger, count: int) -> Counter[str]:
    """Take slots and close each at once; return how many were of which key."""
    keys = Counter[str]()
    for _ in range(count):
        slot = await take(ledger)
        ledger.close(slot, "answered")
        keys[slot.key] += 1
    return keys


async def test_each_key_stays_within_its_own_plan_also_after_a_restart(database: Path, clock: ManualClock) -> None:
    async with ledger_of_keys(database, clock, a="2/day", b="3/day") as ledger:
        assert await answered(ledger, 4) == {"a": 2, "b": 2}
    async with ledger_of_keys(database, clock, a="2/day", b="3/day") as ledger:
        assert await answered(ledger, 1) == {"b": 1}
        with pytest.raises(QuotaEnded):
            await take(ledger)


async def test_a_symbol_gets_the_key_that_has_a_slot_first(database: Path, clock: ManualClock) -> None:
    async with ledger_of_keys(database, clock, a="1/minute", b="2/second") as ledger:
        began = clock.wall
        assert await answered(ledger, 21) == {"a": 1, "b": 20}
    assert timedelta(seconds=9) < clock.wall - began < timedelta(seconds=10)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    plans=st.dictionaries(
        st.sampled_from(["a", "b", "c"]), st.sampled_from(["1/second", "3/minute", "20/minute", "50/day"]), min_size=1
    ),
    requests=st.integers(1, 30),
    blocked=st.sampled_from([timedelta(), timedelta(seconds=7), timedelta(minutes=3)]),
)
async def test_requests_are_done_when_they_were_estimated_to_be(
    tmp_path_factory: pytest.TempPathFactory, plans: dict[str, str], requests: int, blocked: timedelta
) -> None:
    clock = ManualClock()
    path = tmp_path_factory.mktemp("keys") / "overviews.db"
    migrate(path, now=clock.wall)
    with closing(sqlite3.connect(path)) as db, db:
        block_requests(db, Block(clock.wall, clock.wall + blocked), KeyId("a"))
    named = [KeyPlan(name, (Limit.parse(limit),)) for name, limit in plans.items()]
    async with ledger_of_keys(path, clock, 2 * 86_400, **plans) as ledger:
        with Reader.open(path) as reader:
            quotas = [KeyQuota(one.name, one.limits, reader.quota_state(clock.wall, KeyId(one.name))) for one in named]
        estimated = finish_at(quotas, requests=requests, now=clock.wall)
        await answered(ledger, requests)

    assert estimated is not None
    assert abs(clock.wall - estimated) < timedelta(milliseconds=1)


async def test_slots_from_before_keys_were_told_apart_count_for_every_key(database: Path, clock: ManualClock) -> None:
    async with ledger_of_keys(database, clock, a="2/day") as ledger:
        await answered(ledger, 1)
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE requests SET key = NULL")
    async with ledger_of_keys(database, clock, a="2/day", b="1/day") as ledger:
        assert await answered(ledger, 1) == {"a": 1}
        with pytest.raises(QuotaEnded):
            await take(ledger)


async def test_the_end_of_one_keys_quota_leaves_the_other_and_outlasts_a_restart(
    database: Path, clock: ManualClock
) -> None:
    async with ledger_of_keys(database, clock, a="25/day", b="9/day") as ledger:
        slot = await take(ledger)
        assert slot.key == "a"
        waiting = await take(ledger)
        ledger.close(slot, "quota_ended")
        await ledger.quota_ended(slot)
        assert ledger.has_other_key(slot)
        assert not ledger.admits(waiting)
        ledger.give_back(waiting)
        assert await answered(ledger, 3) == {"b": 3}
    async with ledger_of_keys(database, clock, a="25/day", b="9/day") as ledger:
        assert await answered(ledger, 6) == {"b": 6}
        with pytest.raises(QuotaEnded, match=r"25/day|the API said"):
            await take(ledger)
        clock.advance(FIRST_BLOCK)
        assert await answered(ledger, 1) == {"a": 1}


async def test_a_throttled_key_pauses_while_the_other_goes_on(database: Path, clock: ManualClock) -> None:
    async with ledger_of_keys(database, clock, a="25/day", b="25/day") as ledger:
        slot = await take(ledger)
        ledger.close(slot, "throttled")
        ledger.throttled(slot, Throttled("slow down"))
        assert await answered(ledger, 5) == {"b": 5}
        clock.advance(timedelta(seconds=2))
        assert await answered(ledger, 1) == {"a": 1}


async def test_a_refused_key_gets_no_more_slots_and_is_named(database: Path, clock: ManualClock) -> None:
    async with ledger_of_keys(database, clock, a="25/day", b="3/day") as ledger:
        slot = await take(ledger)
        ledger.close(slot, "key_refused")
        await ledger.refused(slot, KeyRefused("invalid"))
        assert ledger.refusals == {"a": "invalid"}
        assert await answered(ledger, 3) == {"b": 3}
        assert not ledger.has_other_key(slot)
