"""The status: how things stood at the instant; the quota and the daemon are about the present alone."""

import json
import socket
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.cli import site
from pipeline.fleet.look import Lookout
from pipeline.model.symbols import Symbol
from pipeline.monitoring.status import Scope
from pipeline.quota.keys import KeyPlan
from pipeline.quota.limits import Limit
from pipeline.store import time_limit
from tests.support.fleets import tables
from tests.support.observations import after, database_of, seen, text
from tests.support.rest import API, answered
from tests.support.site import served
from tests.support.timeline import Ended, Listed, Ran, seen_fields, write_steps

SCOPE = Scope(
    (Symbol("IBM"), Symbol("GONE")), (KeyPlan("", (Limit.parse("25/day"),)),), timedelta(days=1), timedelta(days=14)
)
PRESENT_ONLY = ("snapshots", "windows", "last_backup", "database_bytes", "daemon")


@pytest.fixture(scope="module", name="database")
def _database() -> Path:
    """Return a record in which one of two companies was not observed again."""
    database = database_of([seen(0, "IBM", EPS="1"), seen(0, "GONE", EPS="1")])
    run = Ran(48, (Ended("IBM", 49, fields=seen_fields(EPS="2")),), 51)
    write_steps(database, [Listed(1, ("GONE", "IBM")), run])
    return database


async def test_nothing_that_a_clock_ahead_of_time_observed_is_fresh(database: Path) -> None:
    async with served(database, scope=SCOPE, now=lambda: after(30)) as client:
        found = await answered(client, "/status")
    assert (found["fresh"], found["stale"]) == (0, ["GONE", "IBM"])


async def test_it_says_how_the_symbols_stand_and_what_the_plan_allows(database: Path) -> None:
    async with served(database, scope=SCOPE, now=lambda: after(60)) as client:
        found = await answered(client, "/status")
    assert (found["companies"], found["configured"], found["fresh"], found["stale"]) == (2, 2, 1, ["GONE"])
    assert (found["first_observed_at"], found["last_observed_at"]) == (text(0), text(49))
    assert found["last_run"] == found["last_complete_run"]
    assert found["last_run"]["status"] == "complete"
    assert found["windows"] == [{"limit": "25/day", "used": 0, "left": 25, "next_free_at": None, "key": None}]
    assert found["snapshots"] == 3
    assert found["database_bytes"] > 0
    assert (found["locked_at"], found["daemon"]) == (None, None)


async def test_what_is_read_of_the_present_has_the_time_of_a_question(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_limit, "_INSTRUCTIONS", 1)
    monkeypatch.setattr(site, "QUESTION_WITHIN", timedelta(0))

    async with served(database, scope=SCOPE) as client:
        got = await client.get(f"{API}/status")

    assert got.status == 503
    assert "took longer" in got.text


async def test_of_the_past_nothing_later_is_said(database: Path) -> None:
    async with served(database, scope=SCOPE) as client:
        then = json.loads((await client.get(f"/as-of/{text(2)}{API}/status")).body)
    async with served(database, scope=SCOPE, lock=after(2)) as client:
        locked = await answered(client, "/status")
    assert locked["locked_at"] == text(2)
    assert then == {**locked, "locked_at": None}
    assert (then["last_observed_at"], then["last_run"], then["fresh"]) == (text(0), None, 2)
    assert [then[name] for name in PRESENT_ONLY] == [None] * len(PRESENT_ONLY)


async def test_without_a_database_there_is_nothing(tmp_path: Path) -> None:
    async with served(tmp_path / "none.db", scope=SCOPE) as client:
        found = await answered(client, "/status")
    assert (found["companies"], found["last_run"], found["stale"]) == (0, None, [])


async def test_the_fleet_is_told_and_its_windows_where_there_is_one(database: Path, fleet_url: str) -> None:
    with tables(fleet_url) as fleet:
        fleet.key("k1", "one", (75, timedelta(minutes=1)))
        fleet.member("alpha")
        fleet.head(3)
        scope = replace(SCOPE, lookout=Lookout(lambda: fleet_url, "alpha"))
        async with served(database, scope=scope) as client:
            found, page = await answered(client, "/status"), await client.get("/status")

    assert [(window["key"], window["limit"]) for window in found["windows"]] == [("one", "75/minute")]
    told = found["fleet"]
    assert (told["reachable"], told["log_entries"], told["behind"], told["members"]) == (True, 3, None, 1)
    assert "Fleet: 1 member, 0 followers running; this file is of this machine alone" in page.text


async def test_what_a_fleet_has_left_is_null_where_only_its_postgresql_knows(database: Path) -> None:
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("INSERT INTO followed (id, fleet, timeline, seq) VALUES (1, 'f', 1, 7)")
    async with served(database, scope=SCOPE) as client:
        found, page = await answered(client, "/status"), await client.get("/status")

    assert (found["windows"], found["fleet"]["followed"]) == (None, 7)
    assert "set PIPELINE_FLEET_URL" in page.text
    assert 'class="windows"' not in page.text


async def test_a_fleet_that_cannot_be_reached_is_told_without_where_it_is(database: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        scope = replace(SCOPE, lookout=Lookout(lambda: f"postgresql://me@127.0.0.1:{port}/fleet", "alpha"))
        async with served(database, scope=scope) as client:
            answer, page = await client.get(f"{API}/status"), await client.get("/status")

    found = json.loads(answer.body)
    assert (found["fleet"]["reachable"], found["windows"], found["companies"]) == (False, None, 2)
    assert "Fleet: PostgreSQL cannot be reached; the quota is not known" in page.text
    assert "No limits" not in page.text
    assert str(port) not in answer.text + page.text
