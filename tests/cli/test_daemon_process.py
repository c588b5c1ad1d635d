"""The daemon as a process of its own, in real time."""

import asyncio
import fcntl
import json
import os
import random
import re
import signal
import sqlite3
import termios
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from pipeline.monitoring import heartbeat
from pipeline.quota.limits import Limit
from pipeline.sandbox.companies import Companies
from pipeline.sandbox.server import SandboxApi
from tests.support.commands import KEY, PIPELINE, environment, pipeline, start
from tests.support.hostile import drips, hostile

CONFIG = """
database = "overviews.db"

[symbols]
list = {symbols}

[source]
base_url = "{base_url}"
limits = {limits}

[schedule]
cron = "{cron}"
timezone = "UTC"
"""
FEW = ["AAPL", "IBM", "PEP"]
MANY = [f"S{number:03}" for number in range(400)]


def configure(folder: Path, base_url: str, symbols: list[str], *, limits: str = "[]", cron: str = "* * * * *") -> None:
    (folder / "config").mkdir(exist_ok=True)
    text = CONFIG.format(base_url=base_url, symbols=json.dumps(symbols), limits=limits, cron=cron)
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
        await started.logs("daemon started")
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
            assert '"added": ["TSLA"]' in await running.logs("configuration changed.*symbols|added")

            (tmp_path / "config" / "pipeline.toml").write_text("[source]\nplan = 'fre'\n")
            running.send(signal.SIGHUP)
            await running.logs("the configuration is wrong: the one before stays in force")
            configure(tmp_path, base_url, [*FEW, "TSLA"])
            status = json.loads((await pipeline(tmp_path, "status", "--json")).out)
            assert "'fre'" in status["daemon"]["refused"]

            (tmp_path / "config" / "pipeline.toml").rename(tmp_path / "config" / "elsewhere.toml")
            running.send(signal.SIGHUP)
            assert "config/pipeline.toml is gone: put it back" in await running.logs("the configuration is wrong")
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
    async with hostile(drips) as (server, base_url):
        configure(tmp_path, base_url, FEW)
        async with daemon(tmp_path) as running:
            await until(lambda: bool(server.requests))
            with closing(sqlite3.connect(tmp_path / "overviews.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")  # and nothing can be written either
                running.send(signal.SIGTERM)
                code, seconds = await running.ends()
    assert code == 0
    assert seconds < 8
    check_sound(tmp_path)


NO_NAME_SERVER = """
import socket
import threading

ask = socket.getaddrinfo


def getaddrinfo(host, *args, **named):
    if str(host).endswith(".invalid"):
        threading.Event().wait()
    return ask(host, *args, **named)


socket.getaddrinfo = getaddrinfo
"""
"""A name server that never answers, as Python sees it: the call does not return, and cannot be broken off."""


@pytest.mark.slow  # five seconds pass until what is in flight is broken off
async def test_a_name_server_that_never_answers_does_not_keep_it_from_ending_in_order(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_NAME_SERVER)
    configure(tmp_path, "https://api.invalid/query", [*FEW, "TSLA", "MSFT", "QUVEX"])
    async with daemon(tmp_path, PYTHONPATH=str(tmp_path)) as running:
        await running.logs("run began")
        await asyncio.sleep(0.5)  # until all the threads there are for names hang
        running.send(signal.SIGTERM)
        code, seconds = await running.ends()
    assert (code, seconds < 8) == (0, True)
    assert "daemon ended" in running.lines[-1]
    with closing(sqlite3.connect(tmp_path / "overviews.db")) as db:
        assert db.execute("SELECT status FROM runs").fetchall() == [("interrupted",)]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
async def test_streams_that_are_closed_or_take_nothing_change_nothing(tmp_path: Path, closed: str) -> None:
    async with served() as (_, base_url):
        configure(tmp_path, base_url, FEW)
        running = await asyncio.create_subprocess_exec(
            "sh", "-c", f'exec "$0" run {closed}', str(PIPELINE), cwd=tmp_path, env=environment(tmp_path)
        )
        try:
            await until(lambda: is_done(tmp_path))
            running.send_signal(signal.SIGTERM)
            async with asyncio.timeout(8):
                assert await running.wait() == 0
        finally:
            await killed(running)
    check_sound(tmp_path)


def is_done(folder: Path) -> bool:
    """Whether the daemon has done a run, as its heartbeat tells."""
    beat = heartbeat.read(folder / "overviews.db")
    return beat is not None and beat.last_status == "complete"


async def until(it_is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not it_is_so():
            await asyncio.sleep(0.02)


def heeds(running: Process, number: signal.Signals) -> bool:
    """Whether it has a handler of its own for a signal: until then Python itself is starting, and it ends by it."""
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    (caught,) = re.findall(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bool(int(caught, 16) >> (number - 1) & 1)


async def killed(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()


@pytest.mark.parametrize(
    ("signals", "ends_with", "within"),
    [(2, 130, 3), pytest.param(1, 0, 8, marks=pytest.mark.slow)],
)
async def test_a_log_that_nobody_reads_does_not_keep_it_from_ending(
    tmp_path: Path, signals: int, ends_with: int, within: float
) -> None:
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    async with served() as (_, base_url):
        configure(tmp_path, base_url, MANY)
        running = await asyncio.create_subprocess_exec(
            str(PIPELINE), "run", "-vv", cwd=tmp_path, env=environment(tmp_path), stderr=writer
        )
        os.close(writer)
        try:
            await until(lambda: unread(reader) > size - 200)  # no room for another line
            for number in range(signals):
                await asyncio.sleep(0.3 * number)  # two signals at once would be one
                running.send_signal(signal.SIGTERM)
            async with asyncio.timeout(within):
                assert await running.wait() == ends_with
        finally:
            await killed(running)
            os.close(reader)
    check_sound(tmp_path)


def unread(pipe: int) -> int:
    """Return how many bytes wait in a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), "little")


async def test_a_storm_of_sighup_does_not_keep_it_from_ending(tmp_path: Path) -> None:
    async with served() as (_, base_url):
        configure(tmp_path, base_url, FEW)
        async with daemon(tmp_path) as running:
            storm = asyncio.create_task(hang_up(running))
            await asyncio.sleep(1.5)
            running.send(signal.SIGTERM)
            code, seconds = await running.ends()
            await storm
    assert (code, seconds < 3) == (0, True)
    check_sound(tmp_path)


async def hang_up(running: Process) -> None:
    """Send SIGHUP, a thousand times a second, as long as there is who gets it."""
    with suppress(ProcessLookupError):
        while running.process.returncode is None:
            os.kill(running.process.pid, signal.SIGHUP)  # send_signal asks first if it lives, and takes its exit code
            await asyncio.sleep(0.001)


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    async with hostile(drips) as (server, base_url):
        configure(tmp_path, base_url, FEW)
        async with daemon(tmp_path) as running:
            await until(lambda: bool(server.requests))
            running.send(signal.SIGTERM)
            await asyncio.sleep(0.3)  # two signals at once would be one
            running.send(signal.SIGTERM)
            code, seconds = await running.ends()
    assert code == 130
    assert seconds < 3


@pytest.mark.parametrize("times", [3, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(400)])])
async def test_told_to_end_at_any_instant_it_ends_in_order_and_keeps_what_was_acknowledged(
    tmp_path: Path, times: int
) -> None:
    async with served("30/second", latency=timedelta(milliseconds=50)) as (api, base_url):
        configure(tmp_path, base_url, MANY, limits='["30/second"]')
        for _ in range(times):
            process = Process(await start(tmp_path, "run"))
            await until(partial(heeds, process, signal.SIGTERM))
            await asyncio.sleep(random.uniform(0, 3))
            process.send(signal.SIGTERM)
            code, seconds = await process.ends()
            assert (code, seconds < 8) == (0, True), "".join(process.lines)
        assert api.refused == 0
    check_sound(tmp_path)
    with closing(sqlite3.connect(tmp_path / "overviews.db")) as db:
        ((kept, looked),) = db.execute("SELECT sum(snapshots), count(last_look) FROM symbols WHERE state = 'covered'")
        assert kept == looked
        assert db.execute("SELECT count(*) FROM runs WHERE status = 'running'").fetchone() == (0,)


async def test_killed_in_a_run_it_goes_on_with_it_as_soon_as_it_is_started_again(tmp_path: Path) -> None:
    async with served("30/second", latency=timedelta(milliseconds=50)) as (api, base_url):
        configure(tmp_path, base_url, MANY[:60], limits='["30/second"]', cron="0 0 * * *")
        async with daemon(tmp_path) as running:
            await running.logs("run began")
            await asyncio.sleep(0.5)
            running.send(signal.SIGKILL)
            assert (await running.ends())[0] == -signal.SIGKILL
        async with daemon(tmp_path) as running:
            await running.logs("run ended")
            running.send(signal.SIGTERM)
            assert (await running.ends())[0] == 0
        assert api.refused == 0
    check_sound(tmp_path)
    with closing(sqlite3.connect(tmp_path / "overviews.db")) as db:
        (first, second) = db.execute("SELECT scheduled_for, trigger, status FROM runs ORDER BY id").fetchall()
        assert first == (second[0], "catch_up", "interrupted")
        assert second == (second[0], "continue", "complete")
        assert db.execute("SELECT max(snapshots), count(last_look) FROM symbols").fetchone() == (1, 60)


@pytest.mark.slow  # up to a minute passes until the next fire time
async def test_stopped_over_a_fire_time_it_has_caught_up_a_moment_after_it_goes_on(tmp_path: Path) -> None:
    async with served() as (_, base_url):
        configure(tmp_path, base_url, FEW)
        async with daemon(tmp_path) as running:
            await running.logs("run ended")
            await asyncio.sleep((57 - time.time()) % 60)
            running.send(signal.SIGSTOP)
            await asyncio.sleep(5)
            running.send(signal.SIGCONT)
            began = time.monotonic()
            await running.logs("run ended")
            assert time.monotonic() - began < 3
            assert heartbeat.read(tmp_path / "overviews.db").timer_restarts == 0  # type: ignore[union-attr]  # it lives
            running.send(signal.SIGTERM)
            assert (await running.ends())[0] == 0
    with closing(sqlite3.connect(tmp_path / "overviews.db")) as db:
        assert db.execute("SELECT status FROM runs").fetchall() == [("complete",), ("complete",)]


async def test_a_daemon_that_was_killed_is_unhealthy_at_once(tmp_path: Path) -> None:
    async with served() as (_, base_url):
        configure(tmp_path, base_url, FEW)
        async with daemon(tmp_path) as running:
            await running.logs("run ended")
            running.process.kill()
            await running.ends()
    unhealthy = await pipeline(tmp_path, "health")
    assert (unhealthy.code, unhealthy.out[:44]) == (
        7,
        "unhealthy: the daemon has died: process " + str(running.process.pid)[:4],
    )
