"""The daemon as a process of its own, in real time."""

import asyncio
import json
import random
import re
import signal
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import date, timedelta
from pathlib import Path

import aiohttp
import pytest

from pipeline.sandbox.companies import Companies
from pipeline.sandbox.server import SandboxApi
from pipeline.windows import Limit
from tests.commands import KEY, pipeline, start
from tests.hostile import drips, hostile

CONFIG = """
database = "overviews.db"

[symbols]
list = {symbols}

[source]
base_url = "{base_url}"
limits = {limits}

[schedule]
cron = "* * * * *"
timezone = "UTC"
"""
FEW = ["AAPL", "IBM", "PEP"]


def configure(folder: Path, base_url: str, symbols: list[str], *, limits: str = "[]") -> None:
    (folder / "config").mkdir(exist_ok=True)
    text = CONFIG.format(base_url=base_url, symbols=json.dumps(symbols), limits=limits)
    (folder / "config" / "pipeline.toml").write_text(text)


class Process:
    """A daemon that has been started, and what it logs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def logs(self, pattern: str) -> str:
        """Return the first line, from now on, in which the pattern is found."""
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            while line := await self.process.stderr.readline():
                self.lines.append(line.decode())
                if re.search(pattern, self.lines[-1]):
                    return self.lines[-1]
        raise AssertionError(f"it ended, and never said {pattern}: {self.lines}")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ends(self) -> tuple[int | None, float]:
        """Return its exit code, and after how many seconds."""
        began = time.monotonic()
        async with asyncio.timeout(30):
            _, rest = await self.process.communicate()
        self.lines.append(rest.decode())
        return self.process.returncode, time.monotonic() - began


@asynccontextmanager
async def daemon(folder: Path, *arguments: str, **variables: str) -> AsyncIterator[Process]:
    started = Process(await start(folder, "run", *arguments, **variables))
    try:
        await started.logs("the daemon has started")
        yield started
    finally:
        if started.process.returncode is None:
            started.process.kill()
            await started.process.communicate()
        assert KEY not in "".join(started.lines)


@asynccontextmanager
async def served(*limits: str, latency: timedelta = timedelta()) -> AsyncIterator[tuple[SandboxApi, str]]:
    plan = [Limit.parse(limit) for limit in limits]
    api = SandboxApi(companies=Companies(), limits=plan, day=lambda: date(2026, 3, 13), latency=latency)
    async with api.serve() as base_url:
        yield api, base_url


def check_sound(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "overviews.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_it_runs_at_once_tells_how_it_is_and_ends_in_order(tmp_path: Path) -> None:
    async with served() as (api, base_url):
        configure(tmp_path, base_url, FEW)
        async with daemon(tmp_path, PIPELINE_STATUS__LISTEN="127.0.0.1:0") as running:
            address = json.loads(running.lines[0])["address"]
            await running.logs('"run ended"|run ended')

            healthy = await pipeline(tmp_path, "health")
            assert (healthy.code, healthy.out.split(":")[0]) == (0, "healthy")
            status = json.loads((await pipeline(tmp_path, "status", "--json")).out)
            assert status["daemon"]["pid"] == running.process.pid
            async with aiohttp.ClientSession() as http:
                async with http.get(f"{address}/metrics") as answer:
                    page = await answer.text()
                async with http.get(f"{address}/-/ready") as answer:
                    assert (answer.status, await answer.text()) == (200, "ready\n")
            assert 'pipeline_requests_total{outcome="answered"} 3.0' in page
            assert KEY not in page

            running.send(signal.SIGTERM)
            code, seconds = await running.ends()
    assert code == 0
    assert seconds < 8
    assert api.requests >= 3
    unhealthy = await pipeline(tmp_path, "health")
    assert (unhealthy.code, unhealthy.out) == (7, "unhealthy: no daemon runs on this database: pipeline run\n")
    check_sound(tmp_path)


async def test_a_second_daemon_leaves_with_6_and_names_the_first(tmp_path: Path) -> None:
    async with served() as (_, base_url):
        configure(tmp_path, base_url, FEW)
        async with daemon(tmp_path) as running:
            second = await pipeline(tmp_path, "run")
            assert second.code == 6
            assert f"another daemon runs on this database: run, process {running.process.pid}, since" in second.err


async def test_sighup_takes_over_a_configuration_and_refuses_a_wrong_one(tmp_path: Path) -> None:
    async with served() as (_, base_url):
        configure(tmp_path, base_url, FEW)
        async with daemon(tmp_path) as running:
            await running.logs("run ended")
            configure(tmp_path, base_url, [*FEW, "TSLA"])
            running.send(signal.SIGHUP)
            assert '"added": ["TSLA"]' in await running.logs("the configuration has changed.*symbols|added")

            (tmp_path / "config" / "pipeline.toml").write_text("[source]\nplan = 'fre'\n")
            running.send(signal.SIGHUP)
            await running.logs("the configuration is wrong: the one before stays in force")
            configure(tmp_path, base_url, [*FEW, "TSLA"])
            status = json.loads((await pipeline(tmp_path, "status", "--json")).out)
            assert "'fre' is no plan" in status["daemon"]["refused"]
            running.send(signal.SIGTERM)
            assert (await running.ends())[0] == 0


async def test_a_file_it_cannot_use_ends_it_with_1_and_one_line(tmp_path: Path) -> None:
    async with served() as (_, base_url):
        configure(tmp_path, base_url, FEW)
        (tmp_path / "overviews.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
        ended = await pipeline(tmp_path, "run")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert re.search(r"^pipeline: overviews\.db: .*(damaged|not a database)", ended.err.splitlines()[-1])


async def test_without_a_key_or_symbols_it_says_so_and_does_not_start(tmp_path: Path) -> None:
    configure(tmp_path, "https://localhost/query", FEW)
    no_key = await pipeline(tmp_path, "run", ALPHAVANTAGE_API_KEY="")
    configure(tmp_path, "https://localhost/query", [])
    no_symbols = await pipeline(tmp_path, "run")
    assert (no_key.code, no_symbols.code) == (3, 3)
    assert "the API key is empty" in no_key.err
    assert "no symbols: list them" in no_symbols.err


async def test_whatever_hangs_it_ends_within_8_seconds(tmp_path: Path) -> None:
    async with hostile(drips) as (_, base_url):
        configure(tmp_path, base_url, FEW)
        async with daemon(tmp_path) as running:
            await running.logs("run began")
            with closing(sqlite3.connect(tmp_path / "overviews.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")  # and nothing can be written either
                running.send(signal.SIGTERM)
                code, seconds = await running.ends()
    assert code == 0
    assert seconds < 8
    check_sound(tmp_path)


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    async with hostile(drips) as (_, base_url):
        configure(tmp_path, base_url, FEW)
        async with daemon(tmp_path) as running:
            await running.logs("run began")
            running.send(signal.SIGTERM)
            await asyncio.sleep(0.3)  # two signals at once would be one
            running.send(signal.SIGTERM)
            code, seconds = await running.ends()
    assert code == 130
    assert seconds < 3


@pytest.mark.parametrize("times", [3, pytest.param(50, marks=pytest.mark.slow)])
async def test_told_to_end_at_any_instant_it_ends_in_order_and_keeps_what_was_acknowledged(
    tmp_path: Path, times: int
) -> None:
    names = [f"S{number:03}" for number in range(400)]
    async with served("30/second", latency=timedelta(milliseconds=50)) as (api, base_url):
        configure(tmp_path, base_url, names, limits='["30/second"]')
        for _ in range(times):
            process = Process(await start(tmp_path, "run"))
            await asyncio.sleep(random.uniform(0.05, 3))
            process.send(signal.SIGTERM)
            code, seconds = await process.ends()
            assert (code, seconds < 8) == (0, True), "".join(process.lines)
        assert api.refused == 0
    check_sound(tmp_path)
    with closing(sqlite3.connect(tmp_path / "overviews.db")) as db:
        ((kept, looked),) = db.execute("SELECT sum(snapshots), count(last_look) FROM symbols")
        assert kept == looked
        assert db.execute("SELECT count(*) FROM runs WHERE status = 'running'").fetchone() == (0,)
