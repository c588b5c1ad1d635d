"""Failover: a standby takes over that does not know the last slots. Until they count no more, nothing is sent."""

from datetime import timedelta

import psycopg
import pytest

from pipeline.clock import REAL_CLOCK
from pipeline.fleet.clock import FleetClock
from pipeline.fleet.connection import connected
from pipeline.fleet.install import install
from pipeline.fleet.pool import open_pool
from pipeline.fleet.quota import declare_key
from pipeline.fleet.slots import open_slots
from pipeline.model.slots import KeyId
from pipeline.quota.keys import KeyPlan
from pipeline.quota.limits import Limit
from tests.support.postgres import Postgres, running_server
from tests.support.slot_stages import take

WINDOW = timedelta(seconds=3)


def wait_for_standby(primary: Postgres) -> None:
    """Return when the standby has everything that the primary has."""
    with psycopg.connect(primary.url(), autocommit=True) as db:
        query = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_flush_lsn()"
        while db.execute(query).fetchone() != (1,):
            pass


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_after_a_failover_no_slot_is_given_within_the_longest_window() -> None:
    key, plan = KeyId("k"), KeyPlan("k", (Limit(2, timedelta(seconds=1)), Limit(4, WINDOW)))
    with running_server() as primary:
        with connected(primary.url()) as db:
            install(db)
        standby = primary.standby(primary.folder.parent / "standby")
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"
        try:
            async with (
                open_pool(url) as pool,
                open_slots(
                    pool,
                    {key: plan},
                    member="m",
                    timeout=timedelta(seconds=1),
                    max_wait=timedelta(seconds=30),
                    clock=FleetClock(REAL_CLOCK),
                ) as slots,
            ):
                await declare_key(pool, key, plan)
                known = await take(slots)
                slots.close(known, "answered")
                wait_for_standby(primary)
                standby.stop()
                lost = [await take(slots) for _ in range(3)]
                for slot in lost:
                    slots.close(slot, "answered")
                primary.crash()
                standby.start()
                standby.promote()

                first = await take(slots)

                assert first.reserved_at - lost[-1].reserved_at > WINDOW
                assert first.id > max(slot.id for slot in lost)
                with connected(standby.url()) as db:
                    assert db.execute("SELECT timeline FROM fleet.timelines ORDER BY 1").fetchall() == [(1,), (2,)]
                    assert db.execute("SELECT count(*) FROM fleet.slots").fetchone() == (2,)
        finally:
            standby.crash()
