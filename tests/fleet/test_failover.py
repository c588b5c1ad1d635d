"""A standby takes over that had not heard of the end of the log: followers read again from where it went on."""

from pathlib import Path

import psycopg
import pytest

from pipeline.fleet.install import install
from pipeline.fleet.pool import open_pool
from pipeline.model.outcomes import RunId, Trigger
from pipeline.store.log_place import followed
from tests.support.clocks import START
from tests.support.fleet_log import answer, append, content, follow, reserved, results_of, rows
from tests.support.observations import empty_database
from tests.support.postgres import running_server


async def _begin(url: str, symbol: str) -> RunId:
    """Begin a run, and append an answer of it."""
    async with open_pool(url) as pool, results_of(pool) as results:
        run = await results.begin(Trigger.MANUAL, at=START, symbols=1, due=1)
        await append(pool, answer(await reserved(pool, symbol), 1, {"Symbol": symbol}, symbol=symbol, run=run))
        return run


async def _follow(url: str, database: Path) -> None:
    async with open_pool(url) as pool:
        await follow(database, pool)


@pytest.mark.process
@pytest.mark.slow  # test_follow.py and test_firings.py show the same without a standby
async def test_followers_go_back_to_what_the_standby_knew(database: Path) -> None:
    with running_server() as primary:
        with psycopg.connect(primary.url()) as db:
            install(db)
        known = await _begin(primary.url(), "KNOWN")
        standby = primary.standby(primary.folder.parent / "standby")
        try:
            with psycopg.connect(standby.url(), autocommit=True) as db:  # the network to the primary breaks
                db.execute("ALTER SYSTEM SET primary_conninfo = ''")
                db.execute("SELECT pg_reload_conf()")
            with psycopg.connect(primary.url()) as db:  # more runs than those whose ids PostgreSQL hands over ahead
                db.execute("SELECT setval('fleet.runs_id_seq', 1000)")
            lost = await _begin(primary.url(), "LOST")
            await _follow(primary.url(), database)
            primary.crash()
            standby.promote()

            anew = await _begin(standby.url(), "ANEW")
            await _follow(standby.url(), database)
            other = database.with_name("other.db")
            other.write_bytes(empty_database().read_bytes())
            await _follow(standby.url(), other)
            timelines = rows(standby.url(), "SELECT timeline, first_seq FROM fleet.timelines ORDER BY began_at")
        finally:
            standby.crash()

    assert timelines == [(1, 1), (2, 3)]
    assert followed(database) == followed(other)
    found = content(database)
    assert [row[0] for row in found["runs"]] == [known, anew]
    assert [row[1] for row in found["outcomes"]] == ["KNOWN", "ANEW"]
    assert anew > lost, "which people may have seen"
    assert [row[0] for row in found["snapshots"]] == ["ANEW", "KNOWN", "LOST"], "what was observed stays"
    assert content(other)["runs"] == found["runs"]
