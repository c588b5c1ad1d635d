"""A fleet that was restored from a dump: what it had given out and logged since is not known to it."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from pipeline.fleet.pool import fetch, open_pool
from pipeline.fleet.quota import DECLARE, declaration
from pipeline.model.outcomes import Outcome, Trigger
from pipeline.model.slots import KeyId
from pipeline.quota.keys import KeyPlan
from pipeline.quota.limits import Limit
from pipeline.store.log_place import followed
from tests.support.clocks import START
from tests.support.fleet_log import append, ended, follow, results_of
from tests.support.postgres import Databases, dump, restore

_PLAN = declaration(KeyId("k"), KeyPlan("key", (Limit(25, timedelta(days=1)),)))
_RESERVE = "SELECT verdict, slot_id FROM fleet.reserve('k', 'a', '20 s', '{1}', %b::text[], '{f}', '{}', '{}', '{}')"


@pytest.mark.process
async def test_a_restored_dump_gives_no_slot_within_the_longest_window_and_followers_read_again_from_its_end(
    database: Path, fleet_url: str, postgres: Databases
) -> None:
    with psycopg.connect(fleet_url, autocommit=True) as db:
        db.execute(DECLARE, _PLAN)
    async with open_pool(fleet_url) as pool:
        async with results_of(pool) as results:
            await results.begin(Trigger.MANUAL, at=START, symbols=5, due=5)
        await append(pool, ended(Outcome.FAILED, 1))
        ((_, known),) = await fetch(pool, _RESERVE, ["AAPL"])
        dumped = dump(fleet_url)
        await append(pool, ended(Outcome.FAILED, 2, symbol="PEP"), ended(Outcome.FAILED, 2, symbol="KO"))
        await follow(database, pool)
    with postgres.empty() as url:
        restore(dumped, url)
        async with open_pool(url) as pool:
            assert await fetch(pool, _RESERVE, ["MSFT"]) == [("wait", None)]
            await append(pool, ended(Outcome.FAILED, 3, symbol="F"), ended(Outcome.FAILED, 3, symbol="T"))
            before = followed(database)
            follower = await follow(database, pool)
            ((slots,),) = await fetch(pool, "SELECT nextval('fleet.slots_id_seq')")

    assert before is not None
    assert (before.timeline, before.seq) == (1, 4)
    assert follower.cursor.timeline > 1_000_000
    assert follower.cursor.seq == 4
    with closing(sqlite3.connect(database)) as db:
        assert [symbol for (symbol,) in db.execute("SELECT symbol FROM outcomes ORDER BY 1")] == [
            "F",
            "IBM",
            "KO",
            "PEP",
            "T",
        ]
    assert slots > known + 1_000_000
