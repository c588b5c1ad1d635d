"""Machines of a fleet as processes, in real time: `pipeline run` and `pipeline collect` over one PostgreSQL."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pipeline.errors import ExitCode
from pipeline.fleet.connection import connected
from pipeline.fleet.connection import place as place_of
from pipeline.fleet.install import install
from pipeline.settings.schema import SourceTable
from tests.support.commands import KEY, assert_refused, call, pipeline, start
from tests.support.postgres import Postgres, running_server
from tests.support.sandbox import serving, serving_beside

pytestmark = pytest.mark.process

CONFIG = """
database = "overviews.db"

[symbols]
list = {symbols}

[source]
base_url = "{base_url}"
limits = {limits}

[fleet]
name = "{name}"

[schedule]
cron = "* * * * *"
timezone = "UTC"
"""
FEW = ["AAPL", "IBM", "PEP"]
MANY = [f"M{number:03}" for number in range(300)]
STOPS_WITHIN = 8.0


def machine(folder: Path, name: str, base_url: str, symbols: list[str], *limits: str) -> Path:
    """Return the folder of a machine, with its configuration."""
    place = folder / name
    (place / "config").mkdir(parents=True)
    text = CONFIG.format(name=name, base_url=base_url, symbols=json.dumps(symbols), limits=json.dumps(limits))
    (place / "config" / "pipeline.toml").write_text(text)
    return place


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as db:
        return db.execute(query.encode()).fetchall()


async def until(url: str, query: str, *, within: float = 60) -> None:
    """Return once a query has a row."""
    async with asyncio.timeout(within):
        while not rows(url, query):
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(
    place: Path, url: str, printed: list[bytes] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Let `pipeline run` live while the block runs; kill it if it still does then. What it prints goes to `printed`."""
    process = await start(place, "run", "--json", PIPELINE_FLEET_URL=url)
    draining = asyncio.create_task(process.communicate())
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        output = await draining
        if printed is not None:
            printed += output


def test_collect_on_a_machine_of_a_fleet_uses_its_quota_and_the_file_follows(tmp_path: Path, fleet_url: str) -> None:
    with serving_beside() as served:
        alpha = machine(tmp_path, "alpha", served.base_url, FEW, "4/day")
        beta = machine(tmp_path, "beta", served.base_url, [*FEW, "MSFT", "ADBE"], "4/day")

        first = call(alpha, "collect", "--json", PIPELINE_FLEET_URL=fleet_url, ALPHAVANTAGE_API_KEY=KEY)
        second = call(beta, "collect", "--json", PIPELINE_FLEET_URL=fleet_url, ALPHAVANTAGE_API_KEY=KEY)

    assert "following the fleet into a new file" in first.err
    assert (first.code, first.json["status"], first.json["stored"]) == (0, "complete", 3)
    assert (second.code, second.json["due"], second.json["stored"]) == (ExitCode.QUOTA, 2, 1)
    assert served.api.requests == 4
    assert rows(fleet_url, "SELECT name FROM fleet.members WHERE left_at IS NULL") == []
    found = call(beta, "runs", "--json", PIPELINE_FLEET_URL=fleet_url, ALPHAVANTAGE_API_KEY=KEY).json
    assert sorted(run["status"] for run in found) == ["complete", "quota_exhausted"]
    assert len(call(beta, "as-of", "now", "--json", PIPELINE_FLEET_URL=fleet_url, ALPHAVANTAGE_API_KEY=KEY).json) == 4


def test_a_runs_pace_is_that_of_the_keys_that_this_machine_has(tmp_path: Path, fleet_url: str) -> None:
    with serving_beside() as served:
        alpha = machine(tmp_path, "alpha", served.base_url, FEW)
        file = alpha / "config" / "pipeline.toml"
        keys = "".join(f'[[fleet.keys]]\nname = "{name}"\nlimits = ["5/second"]\n' for name in ("one", "two"))
        file.write_text(file.read_text().replace("limits = []\n", "") + keys)

        ended = call(alpha, "collect", PIPELINE_FLEET_URL=fleet_url, ALPHAVANTAGE_API_KEY_ONE=KEY)

    assert ended.code == 0
    assert "3 requests took" in ended.out
    assert "2 keys" not in ended.out


def test_a_machine_that_is_configured_otherwise_than_a_running_member_is_refused(
    tmp_path: Path, fleet_url: str
) -> None:
    with serving_beside() as served:
        alpha = machine(tmp_path, "alpha", served.base_url, FEW, "4/day")
        beta = machine(tmp_path, "beta", served.base_url, FEW, "5/day")
        assert call(alpha, "collect", PIPELINE_FLEET_URL=fleet_url, ALPHAVANTAGE_API_KEY=KEY).code == 0
        with psycopg.connect(fleet_url, autocommit=True) as db:
            db.execute("UPDATE fleet.members SET role = 'member', left_at = NULL")

        ended = call(beta, "collect", PIPELINE_FLEET_URL=fleet_url, ALPHAVANTAGE_API_KEY=KEY)

    assert_refused(ended, ExitCode.REFUSED, "4/day", "5/day")


@pytest.mark.parametrize("command", ["collect", "run"])
def test_real_data_is_not_mixed_into_a_fleet_that_was_tried_with_invented_data(
    tmp_path: Path, fleet_url: str, command: str
) -> None:
    with serving_beside() as served:
        alpha = machine(tmp_path, "alpha", served.base_url, FEW)
        assert call(alpha, "collect", PIPELINE_FLEET_URL=fleet_url, ALPHAVANTAGE_API_KEY=KEY).code == 0
    beta = machine(tmp_path, "beta", SourceTable().base_url, FEW)

    ended = call(beta, command, PIPELINE_FLEET_URL=fleet_url, ALPHAVANTAGE_API_KEY=KEY)

    assert ended.code == ExitCode.REFUSED
    assert "the fleet holds invented data" in ended.err


async def test_a_member_stops_within_eight_seconds_in_the_middle_of_a_run(tmp_path: Path, fleet_url: str) -> None:
    async with serving() as served:
        place = machine(tmp_path, "alpha", served.base_url, MANY, "20/second")
        printed: list[bytes] = []
        async with running(place, fleet_url, printed) as process:
            await until(fleet_url, "SELECT 1 FROM fleet.outcomes")

            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == ExitCode.DONE

    assert time.monotonic() - began < STOPS_WITHIN
    logged = [json.loads(line) for line in b"".join(printed).splitlines()]
    (started,) = [line for line in logged if line["event"] == "daemon started"]
    assert (started["member"], started["fleet"]) == ("alpha", place_of(fleet_url))
    (begun,) = [line for line in logged if "new file" in line["event"]]
    assert begun["level"] == "info"
    assert rows(fleet_url, "SELECT name FROM fleet.members WHERE left_at IS NULL") == []
    assert rows(fleet_url, "SELECT id FROM fleet.slots WHERE finished_at IS NULL") == []
    assert rows(fleet_url, "SELECT count(*) > 0 FROM procrastinate_jobs WHERE status = 'todo'") == [(True,)]
    assert rows(fleet_url, "SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'") == [(0,)]


@pytest.mark.slow
@pytest.mark.parametrize("harm", [Postgres.crash, Postgres.freeze])
async def test_a_member_stops_within_eight_seconds_while_postgresql_is_away(
    tmp_path: Path, harm: Callable[[Postgres], None]
) -> None:
    with running_server() as server:
        with connected(server.url()) as db:
            install(db)
        async with serving() as served:
            place = machine(tmp_path, "alpha", served.base_url, MANY, "20/second")
            async with running(place, server.url()) as process:
                await until(server.url(), "SELECT 1 FROM fleet.outcomes")
                harm(server)

                began = time.monotonic()
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == ExitCode.DONE

        assert time.monotonic() - began < STOPS_WITHIN


@pytest.mark.slow
async def test_what_a_member_had_begun_that_was_killed_another_finishes(tmp_path: Path, fleet_url: str) -> None:
    async with serving() as served:
        alpha, beta = (machine(tmp_path, name, served.base_url, MANY, "10/second") for name in ("alpha", "beta"))
        async with running(alpha, fleet_url) as first, running(beta, fleet_url) as second:
            await until(fleet_url, "SELECT 1 FROM fleet.outcomes GROUP BY run_id HAVING count(DISTINCT member) = 2")
            first.kill()
            await until(fleet_url, "SELECT 1 FROM fleet.runs WHERE status = 'complete'", within=100)
            second.send_signal(signal.SIGTERM)
            assert await second.wait() == ExitCode.DONE

    assert served.api.refused == 0
    caught_up = await pipeline(alpha, "follow", "--once", PIPELINE_FLEET_URL=fleet_url)
    assert caught_up.code == 0
