"""The fleet's slots, where they differ from one machine's: several members, and a PostgreSQL that goes away."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from pipeline.api.errors import KeyRefused, QuotaEnded, Throttled
from pipeline.collect.ports import TakenElsewhere
from pipeline.fleet.clock import FleetClock
from pipeline.fleet.pool import open_pool
from pipeline.fleet.reservations import PATIENCE
from pipeline.fleet.slots import open_slots
from pipeline.model.outcomes import RunId
from pipeline.model.symbols import Symbol
from pipeline.quota.ledger import GRACE
from pipeline.quota.throttle import FIRST_PAUSE
from pipeline.store.database import StorageError
from tests.support.clocks import ManualClock
from tests.support.fleet_log import unreliable
from tests.support.postgres import Databases
from tests.support.slot_stages import RUN, TIMEOUT, FleetStage, plans, take

SECOND = timedelta(seconds=1)


@pytest.fixture
def stage(fleet_url: str) -> Iterator[FleetStage]:
    with psycopg.connect(fleet_url, autocommit=True) as db:
        yield FleetStage(fleet_url, db)


async def test_two_members_share_one_window(stage: FleetStage) -> None:
    async with stage.process(k="4/day") as one, stage.process(k="4/day", max_wait=0) as two:
        for slots in (one, two, one, two):
            slots.close(await take(slots), "answered")
        assert two.remaining() == 0


async def test_a_throttle_brakes_the_others_too(stage: FleetStage) -> None:
    async with stage.process(k="75/minute") as one, stage.process(k="75/minute") as two, asyncio.timeout(30):
        theirs = await take(two)
        slot = await take(one)
        one.close(slot, "throttled")
        one.throttled(slot, Throttled("slow down"))
        began = stage.clock.monotonic
        probe = await take(one)
        assert stage.clock.monotonic - began >= FIRST_PAUSE.total_seconds() * 1e9
        waiting = asyncio.create_task(take(two))
        one.close(probe, "answered")
        assert two.admits(await waiting)
        assert not two.admits(theirs)  # the pause is known here by now, and it was taken before


async def test_a_symbol_that_another_member_is_asking_for_is_waited_for(stage: FleetStage) -> None:
    async with stage.process(k="9/day") as one, stage.process(k="9/day") as two, asyncio.timeout(30):
        slot = await take(one, "IBM")
        waiting = asyncio.create_task(take(two, "IBM"))
        await asyncio.sleep(0)
        one.close(slot, "unavailable")
        assert (await waiting).symbol == "IBM"


async def test_a_symbol_that_has_ended_in_the_run_is_taken_elsewhere(stage: FleetStage) -> None:
    stage.db.execute(
        "INSERT INTO fleet.outcomes (run_id, symbol, outcome, attempts, at, member)"
        " VALUES (1, 'IBM', 'stored', 1, fleet.now(), 'm')"
    )
    async with stage.process(k="9/day") as slots:
        with pytest.raises(TakenElsewhere):
            await take(slots, "IBM")


async def test_the_slot_of_a_member_that_died_holds_its_symbol_until_its_deadline(stage: FleetStage) -> None:
    async with stage.process(k="9/day") as one:
        await take(one, "IBM")
    async with stage.process(k="9/day") as two, asyncio.timeout(30):
        began = stage.clock.monotonic
        await take(two, "IBM")
        assert stage.clock.monotonic - began >= (TIMEOUT + GRACE - SECOND).total_seconds() * 1e9


@pytest.mark.parametrize("step", [10 * SECOND, 45 * SECOND, timedelta(minutes=10), timedelta(days=400)])
async def test_a_clock_of_postgresql_that_is_set_forward_ends_no_window_early(
    stage: FleetStage, step: timedelta
) -> None:
    async with stage.process(k="2/minute") as slots, stage.process(k="2/minute", max_wait=0) as others:
        slots.close(await take(slots), "answered")
        out = await take(slots)
        began = stage.clock.monotonic
        stage.clock.set_server(stage.clock.wall + step)
        with pytest.raises(QuotaEnded):
            await take(others)
        slots.close(out, "answered")
        await take(slots)
        assert 60e9 <= stage.clock.monotonic - began < 63e9


async def test_a_key_that_was_refused_is_tried_again_by_the_next_run(stage: FleetStage) -> None:
    async with stage.process(k="9/day") as slots:
        slot = await take(slots)
        slots.close(slot, "key_refused")
        await slots.refused(slot, KeyRefused("invalid"))
        with pytest.raises(KeyRefused):
            await take(slots)
        slot = await slots.take(RunId(RUN + 1), Symbol("IBM"), retry=False)
        assert slots.admits(slot)
        assert slots.refusals == {"k": "invalid"}
        slots.close(slot, "answered")
        assert slots.refusals == {}


async def test_slots_of_which_a_broken_connection_said_nothing_are_given_back(stage: FleetStage) -> None:
    keys = plans({"k": "3/day"})
    stage.db.execute("SELECT fleet.declare_key('k', 'k', '{3}', '{86400}', '{0}')")
    async with open_pool(stage.url) as pool:
        breaks = unreliable(pool, "", "", "", "after")  # the clock, the state, the first slot; then the second
        async with open_slots(
            breaks, keys, member="m", timeout=TIMEOUT, max_wait=timedelta(), clock=FleetClock(stage.clock.as_clock())
        ) as slots:
            first = await take(slots)
            second = await take(slots)
            assert slots.admits(first)
            assert slots.admits(second)
            await take(slots)
            with pytest.raises(QuotaEnded):
                await take(slots)
    outcomes = stage.db.execute("SELECT outcome FROM fleet.slots ORDER BY id").fetchall()
    assert outcomes == [(None,), ("unsent",), (None,), (None,)]


@pytest.mark.process
@pytest.mark.slow  # it starts PostgreSQL again; CI runs it with the chaos
async def test_a_crash_of_postgresql_loses_no_slot(postgres: Databases) -> None:
    with postgres.create() as url, psycopg.connect(url, autocommit=True) as db:
        stage = FleetStage(url, db)
        async with stage.process(k="3/day", max_wait=0) as slots, asyncio.timeout(60):
            first, second = await take(slots), await take(slots)
            slots.close(first, "answered")
            postgres.server.crash()
            slots.close(second, "unavailable")
            postgres.server.start()
            await take(slots)
            with pytest.raises(QuotaEnded):
                await take(slots)
        with psycopg.connect(url) as again:
            outcomes = again.execute("SELECT outcome FROM fleet.slots ORDER BY id").fetchall()
    assert outcomes == [("answered",), ("unavailable",), (None,)]


@pytest.mark.process
@pytest.mark.slow  # each attempt to connect takes seconds
async def test_without_postgresql_for_minutes_no_slot_can_be_had(postgres: Databases) -> None:
    clock, notes = ManualClock(), list[str]()

    def note(text: str) -> None:
        notes.append(text)
        clock.advance(PATIENCE)

    with postgres.create() as url:
        async with (
            open_pool(url) as pool,
            open_slots(
                pool, plans({"k": ""}), member="m", timeout=TIMEOUT, max_wait=timedelta(),
                clock=FleetClock(clock.as_clock()), on_retry=note,
            ) as slots,
        ):  # fmt: skip
            postgres.server.crash()
            try:
                with pytest.raises(StorageError, match="cannot be reached"):
                    await take(slots)
            finally:
                postgres.server.start()
    assert "cannot be reached" in notes[0]
