import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from pipeline.clock import REAL_CLOCK
from pipeline.fleet.detaching import LEDGER_UNKNOWN, NotFollowing, detach
from pipeline.fleet.importing import import_record
from pipeline.fleet.install import install
from pipeline.fleet.pool import Pool, open_pool
from pipeline.instants import to_text
from pipeline.model.slots import KeyId
from pipeline.store.blocks import A_MARGIN
from pipeline.store.log_place import followed
from tests.support.fleet_log import MEMBER, follow, reserved
from tests.support.postgres import Databases, running_server

DAY = timedelta(days=1)


async def test_a_detached_file_has_what_still_counts_by_its_own_clock(
    database: Path, fleet_url: str, pool: Pool
) -> None:
    at = datetime.now(UTC)
    await reserved(pool, "OLD", at=at - 3 * DAY)
    await reserved(pool, "IBM", at=at - timedelta(hours=1))
    async with pool.connection() as db:
        await db.execute(
            "INSERT INTO fleet.keys (id, name, blocked_since, blocked_until)"
            " VALUES ('k', 'main', now() - interval '1 hour', now() + interval '1 hour')"
        )
    await follow(database, pool)

    done = detach(database, fleet_url, longest=DAY, now=at + timedelta(minutes=5))

    assert (done.requests, done.unreachable) == (1, None)
    assert followed(database) is None
    with closing(sqlite3.connect(database)) as db:
        (symbol, key, reserved_at) = db.execute("SELECT symbol, key, reserved_at FROM requests").fetchone()
        (blocked,) = db.execute("SELECT key FROM blocked").fetchone()
    assert (symbol, key, blocked) == ("IBM", "k", "k")
    expected = at - timedelta(minutes=55)
    assert abs(datetime.fromisoformat(reserved_at) - expected) < timedelta(minutes=2)


async def test_requests_that_were_imported_from_the_file_do_not_count_twice(
    database: Path, fleet_url: str, pool: Pool
) -> None:
    at = datetime.now(UTC)
    rows = [
        (run, symbol, 0, to_text(at - ago), to_text(at - ago + DAY / 100), to_text(at - ago), "answered", key)
        for run, symbol, ago, key in [
            (1, "IBM", timedelta(minutes=3), "k1"),
            (1, "IBM", timedelta(minutes=3, seconds=-1), "k1"),
            (1, "PEP", timedelta(minutes=2), "k1"),
            (2, "KO", timedelta(minutes=1), None),
        ]
    ]
    with closing(sqlite3.connect(database)) as db, db:
        db.executemany(
            "INSERT INTO requests (run_id, symbol, retry, reserved_at, deadline_at, finished_at, outcome, key)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
    await import_record(
        database, pool, member=MEMBER, keys={KeyId("k1"): "main", KeyId("k2"): "second"}, clock=REAL_CLOCK
    )
    await reserved(pool, "IBM", at=at)

    done = detach(database, fleet_url, longest=DAY, now=datetime.now(UTC) + timedelta(seconds=1))

    assert done.requests == 5
    with closing(sqlite3.connect(database)) as db:
        assert db.execute("SELECT count(*) FROM requests").fetchone() == (5,)


async def test_where_the_fleet_is_gone_nothing_is_requested_for_the_longest_window(
    database: Path, fleet_url: str, pool: Pool
) -> None:
    await follow(database, pool)
    at = datetime.now(UTC)

    done = detach(database, "postgresql://postgres@127.0.0.1:1/fleet", longest=DAY, now=at)

    assert "cannot be reached" in str(done.unreachable)
    assert done.blocked_until == at + DAY + A_MARGIN
    with closing(sqlite3.connect(database)) as db:
        (key, reason) = db.execute("SELECT key, reason FROM blocked").fetchone()
    assert key == ""
    assert "not known" in reason
    with pytest.raises(NotFollowing):
        detach(database, fleet_url, longest=DAY, now=at)


async def test_what_another_fleet_has_requested_is_not_taken_for_its_own(
    database: Path, pool: Pool, postgres: Databases
) -> None:
    await reserved(pool, "IBM", at=datetime.now(UTC))
    await follow(database, pool)

    with postgres.create() as other:
        with psycopg.connect(other, autocommit=True) as db:
            db.execute("UPDATE fleet.about SET id = gen_random_uuid()")
        with pytest.raises(NotFollowing, match="another fleet"):
            detach(database, other, longest=DAY, now=datetime.now(UTC))

    assert followed(database) is not None


async def test_after_a_takeover_the_keys_wait_that_the_new_server_has_given_no_slot_of(
    database: Path, fleet_url: str, pool: Pool
) -> None:
    await follow(database, pool)
    async with pool.connection() as db:  # as on a standby that took over: it may have missed the last slots
        await db.execute(
            "INSERT INTO fleet.keys (id, name, timeline) VALUES ('k', '', 1), ('l', '', 2), ('m', '', NULL)"
        )
        await db.execute("CREATE OR REPLACE FUNCTION fleet.timeline() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 2'")
    at = datetime.now(UTC)

    done = detach(database, fleet_url, longest=DAY, now=at)

    assert (done.unreachable, done.blocked_until) == (None, at + DAY + A_MARGIN)
    with closing(sqlite3.connect(database)) as db:
        assert db.execute("SELECT key, reason FROM blocked").fetchall() == [("k", LEDGER_UNKNOWN)]


@pytest.mark.process
@pytest.mark.slow
async def test_a_standby_is_not_asked_what_counts_as_it_may_be_behind(database: Path) -> None:
    with running_server() as primary:
        with psycopg.connect(primary.url()) as db:
            install(db)
            db.execute("INSERT INTO fleet.keys (id, name) VALUES ('k', '')")
        async with open_pool(primary.url()) as pool:
            await follow(database, pool)
        standby = primary.standby(primary.folder.parent / "standby")
        try:
            done = detach(database, standby.url(), longest=DAY, now=datetime.now(UTC))
        finally:
            standby.crash()

    assert done.blocked_until is not None
    with closing(sqlite3.connect(database)) as db:
        assert db.execute("SELECT key, reason FROM blocked").fetchall() == [("k", LEDGER_UNKNOWN)]
