"""Through PgBouncer: slots, the log and runs need nothing of a connection that outlasts a statement."""

import asyncio
from datetime import timedelta

import psycopg
import pytest

from pipeline.clock import REAL_CLOCK
from pipeline.fleet.clock import FleetClock
from pipeline.fleet.connection import connected
from pipeline.fleet.install import check, install
from pipeline.fleet.pool import open_pool
from pipeline.fleet.quota import declare_key
from pipeline.fleet.slots import open_slots
from tests.support.pgbouncer import pooling
from tests.support.postgres import Databases
from tests.support.slot_stages import plans, take


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["session", "transaction"])
async def test_a_fleet_is_installed_and_hands_out_slots_through_a_pooler(postgres: Databases, mode: str) -> None:
    keys = plans({"k": "1000/day"})
    with postgres.empty() as direct, pooling(postgres.server, mode) as port:
        url = direct.replace(str(postgres.server.port), str(port))
        with connected(url) as db:
            install(db)
            check(db)
        async with (
            open_pool(url) as pool,
            open_slots(
                pool, keys, member="m", timeout=timedelta(seconds=5), max_wait=timedelta(), clock=FleetClock(REAL_CLOCK)
            ) as slots,
        ):
            await declare_key(pool, *next(iter(keys.items())))
            for _ in range(20):
                for slot in await asyncio.gather(*(take(slots) for _ in range(10))):
                    slots.close(slot, "answered")
        with psycopg.connect(direct) as db:
            query = "SELECT outcome, count(*) FROM fleet.slots GROUP BY 1"
            assert db.execute(query).fetchall() == [("answered", 200)]
