from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.fleet.agreement import Agreement, Disagreement
from pipeline.fleet.connection import FleetError, connected
from pipeline.fleet.firings import activate
from pipeline.fleet.joining import join
from pipeline.fleet.members import Candidate, Membership, NameTaken
from pipeline.fleet.pool import Pool, fetch, open_pool
from pipeline.fleet.quota import declare_agreed
from pipeline.fleet.setup import set_up
from pipeline.model.symbols import Symbol
from pipeline.quota.keys import ApiKey
from pipeline.quota.limits import PLANS
from pipeline.schedule.cron import Schedule
from tests.support.clocks import START, ManualClock

DAILY = Schedule("30 18 * * *", "UTC", timedelta(hours=36), None)
K1, K2 = ApiKey("k1", "first", PLANS["free"]), ApiKey("k2", "2", PLANS["premium-75"])
ALPHA = Candidate("alpha", "member", (K1.id,), Agreement.of([K1], [DAILY]), (Symbol("IBM"),))
CHANGED = Agreement.of([replace(K1, limits=PLANS["premium-75"])], [DAILY])
OTHERWISE = replace(ALPHA, name="beta", agreement=CHANGED)


async def members(pool: Pool) -> list[tuple[object, ...]]:
    return await fetch(pool, "SELECT name, keys, symbols, left_at IS NULL FROM fleet.members ORDER BY name")


async def test_members_join_with_what_they_hold_and_leave_in_order(pool: Pool) -> None:
    alpha, beta = Membership(pool, ManualClock().as_clock()), Membership(pool, ManualClock().as_clock())

    await alpha.join(ALPHA)
    await beta.join(replace(ALPHA, name="beta"))
    await alpha.leave()

    assert await members(pool) == [("alpha", [K1.id], 1, False), ("beta", [K1.id], 1, True)]


async def test_a_member_that_is_configured_otherwise_is_refused_and_the_difference_named(pool: Pool) -> None:
    await Membership(pool, ManualClock().as_clock()).join(ALPHA)

    with pytest.raises(Disagreement, match="k1") as refused:
        await Membership(pool, ManualClock().as_clock()).join(OTHERWISE)

    assert refused.value.exit_code == 3
    assert refused.value.remedy is not None
    assert [name for name, *_ in await members(pool)] == ["alpha"]


@pytest.mark.parametrize("end", ["left_at = clock_timestamp()", "beat_at = clock_timestamp() - interval '61 s'"])
async def test_what_is_agreed_about_is_replaced_once_no_other_member_lives(pool: Pool, end: str) -> None:
    await Membership(pool, ManualClock().as_clock()).join(ALPHA)
    async with pool.connection() as db:
        await db.execute(f"UPDATE fleet.members SET {end}".encode())

    await Membership(pool, ManualClock().as_clock()).join(OTHERWISE)

    ((settings,),) = await fetch(pool, "SELECT settings FROM fleet.agreed")
    assert settings == OTHERWISE.agreement.to_text() if OTHERWISE.agreement else False


async def test_a_run_by_hand_replaces_nothing_although_no_member_lives(pool: Pool) -> None:
    member = Membership(pool, ManualClock().as_clock())
    await member.join(ALPHA)
    await member.leave()

    with pytest.raises(Disagreement):
        await Membership(pool, ManualClock().as_clock()).join(replace(OTHERWISE, role="collector"))


async def test_a_process_that_runs_replaces_nothing_although_it_is_alone(pool: Pool) -> None:
    alone = Membership(pool, ManualClock().as_clock())
    await alone.join(ALPHA)
    before = await fetch(pool, "SELECT settings FROM fleet.agreed")

    for agreement in (CHANGED, Agreement.of([K1, K2], [DAILY])):
        with pytest.raises(Disagreement):
            await alone.join(replace(ALPHA, agreement=agreement))

    assert await fetch(pool, "SELECT settings FROM fleet.agreed") == before


async def test_nobody_who_joined_before_the_agreement_was_replaced_brings_limits_or_schedules_back(
    pool: Pool, fleet_url: str
) -> None:
    alpha = Membership(pool, ManualClock().as_clock())
    await join(pool, alpha, "alpha", keys=[K1], schedules=[DAILY], symbols=())
    new = replace(K1, limits=PLANS["premium-75"])
    with connected(fleet_url) as db:
        set_up(db, [], [new.plan], [replace(DAILY, cron="0 6 * * *")], member="gamma")
    limits = await fetch(pool, "SELECT count, key_id FROM fleet.limits WHERE NOT is_for_retries ORDER BY count")

    is_declared = await declare_agreed(pool, K1, agreed_at=alpha.agreed_at)
    is_active = await activate(pool, {str(DAILY): START}, since=START)

    assert not is_declared
    assert not is_active
    assert limits == [(5, K1.id), (75, K1.id)]
    assert await fetch(pool, "SELECT count, key_id FROM fleet.limits WHERE NOT is_for_retries ORDER BY count") == limits
    assert await fetch(pool, "SELECT * FROM fleet.schedules") == []


async def test_another_key_of_the_same_name_is_refused_while_others_live(pool: Pool) -> None:
    rotated = replace(K1, secret="new")
    candidate = replace(ALPHA, name="beta", agreement=Agreement.of([rotated], [DAILY]))
    alpha = Membership(pool, ManualClock().as_clock())
    await alpha.join(ALPHA)

    with pytest.raises(Disagreement, match=f"the key k1 .*{rotated.id} here.*{K1.id}") as refused:
        await Membership(pool, ManualClock().as_clock()).join(candidate)

    assert "to replace it" in str(refused.value.remedy)
    await alpha.leave()
    await Membership(pool, ManualClock().as_clock()).join(candidate)


async def test_a_member_with_another_key_brings_its_limits_and_the_others_notice(pool: Pool) -> None:
    alpha, beta = Membership(pool, ManualClock().as_clock()), Membership(pool, ManualClock().as_clock())
    await alpha.join(ALPHA)
    assert await alpha.beat(followed=0)

    await beta.join(replace(ALPHA, name="beta", agreement=Agreement.of([K2], [DAILY])))

    assert not await alpha.beat(followed=0)
    await alpha.join(ALPHA)
    assert await alpha.beat(followed=0)
    assert await beta.beat(followed=0) is True


async def test_a_sign_of_life_has_how_far_the_file_and_the_log_were_at_the_same_time(pool: Pool) -> None:
    alpha = Membership(pool, ManualClock().as_clock())
    await alpha.join(ALPHA)
    await fetch(pool, "UPDATE fleet.log_head SET seq = 9")
    await alpha.beat(followed=7)
    await fetch(pool, "UPDATE fleet.log_head SET seq = 20")

    assert await fetch(pool, "SELECT followed, head FROM fleet.members") == [(7, 9)]


async def test_a_second_process_of_a_name_is_refused_while_the_first_gives_signs_of_life(pool: Pool) -> None:
    first = Membership(pool, ManualClock().as_clock())
    await first.join(ALPHA)

    class Waiting(ManualClock):
        async def sleep(self, seconds: float) -> None:
            await first.beat(followed=0)

    with pytest.raises(NameTaken, match="alpha"):
        await Membership(pool, Waiting().as_clock()).join(ALPHA)


async def test_a_process_takes_the_name_of_one_that_was_killed_and_if_that_comes_back_it_has_to_go(pool: Pool) -> None:
    second = Membership(pool, ManualClock().as_clock())

    class Waiting(ManualClock):
        async def sleep(self, seconds: float) -> None:
            await second.beat(followed=0)

    killed = Membership(pool, Waiting().as_clock())
    await killed.join(ALPHA)

    await second.join(ALPHA)

    assert await second.beat(followed=7)
    assert not await killed.beat(followed=7)
    with pytest.raises(NameTaken):
        await killed.join(ALPHA)


async def test_a_process_whose_name_was_taken_leaves_what_the_other_one_does_alone(pool: Pool) -> None:
    first, second = (Membership(pool, ManualClock().as_clock()) for _ in range(2))
    await first.join(ALPHA)
    await second.join(ALPHA)
    assert await second.holds("sweep")

    await first.leave()

    assert await fetch(pool, "SELECT task, member FROM fleet.leases") == [("sweep", "alpha")]
    assert await second.beat(followed=0)


async def test_a_process_whose_start_a_standby_has_forgotten_joins_again(pool: Pool) -> None:
    alpha = Membership(pool, ManualClock().as_clock())
    await alpha.join(ALPHA)
    await fetch(pool, "UPDATE fleet.members SET instance = gen_random_uuid()")  # the process before, which is dead

    assert not await alpha.beat(followed=7)
    await alpha.join(ALPHA)

    assert await alpha.beat(followed=7)


async def test_one_member_at_a_time_has_a_task_until_it_leaves_or_gives_no_sign_of_life(pool: Pool) -> None:
    alpha, beta = Membership(pool, ManualClock().as_clock()), Membership(pool, ManualClock().as_clock())
    await alpha.join(ALPHA)
    await beta.join(replace(ALPHA, name="beta"))

    assert await alpha.holds("sweep")
    assert not await beta.holds("sweep")
    assert await alpha.holds("sweep")
    await alpha.leave()
    assert await beta.holds("sweep")
    await fetch(pool, "UPDATE fleet.leases SET until = clock_timestamp() - interval '1 s'")
    await alpha.join(ALPHA)
    assert await alpha.holds("sweep")


async def test_a_clock_that_is_ahead_is_measured_against_postgresqls(pool: Pool) -> None:
    ((at,),) = await fetch(pool, "SELECT clock_timestamp()")
    membership = Membership(pool, ManualClock(at + timedelta(hours=1)).as_clock())

    await membership.join(ALPHA)

    assert timedelta(minutes=55) < membership.clock_ahead <= timedelta(hours=1)


async def test_a_server_that_cannot_be_reached_is_said_with_the_reason_and_without_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.fleet.pool._CONNECTION_WITHIN", timedelta(seconds=0.1))
    async with open_pool("postgresql://alpha:unspoken@127.0.0.1:9/fleet") as pool:
        with pytest.raises(FleetError, match="refused") as failed:
            await fetch(pool, "SELECT 1")

    assert "unspoken" not in str(failed.value)
