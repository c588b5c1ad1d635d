"""The daemon as a process, in real time: signals, exit codes, closed streams, and a kill at any instant."""

import asyncio
import fcntl
import itertools
import json
import os
import random
import re
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from pipeline.errors import ExitCode
from pipeline.monitoring import heartbeat
from pipeline.sandbox.server import SandboxApi
from tests.support.commands import KEY, PIPELINE, call, environment, start
from tests.support.hostile import drips, hostile
from tests.support.sandbox import serving

pytestmark = pytest.mark.process

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
MANY = [f"S{number:04}" for number in range(2_000)]
PACE = "30/second"
TOKEN = "correct-horse-battery-staple"


def configure(folder: Path, base_url: str, symbols: list[str], *limits: str, cron: str = "* * * * *") -> None:
    (folder / "config").mkdir(exist_ok=True)
    text = CONFIG.format(base_url=base_url, symbols=json.dumps(symbols), limits=json.dumps(limits), cron=cron)
    (folder / "config" / "pipeline.toml").write_text(text)


class Process:
    """A daemon that has been started, and its log."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def logs(self, *words: str) -> str:
        """Return the first line, from now on, that has all these words."""
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            while line := await self.process.stderr.readline():
                self.lines.append(line.decode())
                if all(word in self.lines[-1] for word in words):
                    return self.lines[-1]
        raise AssertionError(f"it ended without logging {words}: {self.lines}")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ends(self) -> int | None:
        """Return its exit code."""
        async with asyncio.timeout(30):
            _, rest = await self.process.communicate()
        self.lines += rest.decode().splitlines()
        return self.process.returncode

    async def ends_cleanly(self) -> None:
        """Check that it closes everything. At its own deadline, a few seconds after a signal, it would not."""
        assert await self.ends() == ExitCode.DONE, self.lines
        assert "daemon ended" in self.lines[-1]


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


def check_sound(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "overviews.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def has_run(folder: Path) -> bool:
    """Whether the daemon has completed a run, by its heartbeat."""
    beat = heartbeat.read(folder / "overviews.db")
    return beat is not None and beat.last_status == "complete"


def has_refused(folder: Path) -> bool:
    """Whether the daemon has refused a configuration, by its heartbeat."""
    beat = heartbeat.read(folder / "overviews.db")
    return beat is not None and beat.refused is not None


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


async def test_it_runs_at_once_reports_its_health_and_stops_cleanly(tmp_path: Path) -> None:
    async with serving() as served:
        configure(tmp_path, served.base_url, FEW)
        async with daemon(tmp_path, PIPELINE_STATUS__LISTEN="127.0.0.1:0") as running:
            address = json.loads(running.lines[0])["address"]
            await until(lambda: has_run(tmp_path))

            healthy = call(tmp_path, "health")
            assert (healthy.code, healthy.out.split(":")[0]) == (ExitCode.DONE, "healthy")
            assert call(tmp_path, "status", "--json").json["daemon"]["pid"] == running.process.pid
            async with aiohttp.ClientSession() as http:
                async with http.get(f"{address}/metrics") as response:
                    page = await response.text()
                async with http.get(f"{address}/-/ready") as response:
                    assert (response.status, await response.text()) == (200, "ready\n")
            assert 'pipeline_requests_total{outcome="answered"} 3.0' in page
            assert KEY not in page

            running.send(signal.SIGTERM)
            await running.ends_cleanly()
    assert served.api.requests >= 3
    unhealthy = call(tmp_path, "health")
    assert (unhealthy.code, "pipeline run" in unhealthy.out) == (ExitCode.STALE, True)
    check_sound(tmp_path)


async def test_it_serves_the_site_too_to_those_who_have_the_token(tmp_path: Path) -> None:
    address = "127.0.0.1:0"
    async with serving() as served:
        configure(tmp_path, served.base_url, FEW)
        async with daemon(
            tmp_path,
            PIPELINE_STATUS__LISTEN=address,
            PIPELINE_WEB__LISTEN=address,
            PIPELINE_WEB_TOKEN=TOKEN,
        ) as running:
            lines = [json.loads(line) for line in running.lines]
            (url,) = [line["address"] for line in lines if "address" in line]  # one server for the same address
            await until(lambda: has_run(tmp_path))
            async with aiohttp.ClientSession() as http:
                query = f"{url}/query?function=OVERVIEW&symbol=IBM&apikey="
                async with http.get(query + TOKEN) as response:
                    assert json.loads(await response.read())["Symbol"] == "IBM"
                async with http.get(query + KEY) as response:
                    assert response.status == 401
                async with http.get(f"{url}/-/ready") as response:
                    assert response.status == 200
            (tmp_path / ".env").write_text('PIPELINE_WEB__ALLOWED_HOSTS=["nas.lan"]\n')
            running.send(signal.SIGHUP)
            await running.logs("restart needed", "web")
            running.send(signal.SIGTERM)
            await running.ends_cleanly()
    assert TOKEN not in "".join(running.lines)


async def test_neither_slow_clients_nor_greedy_ones_stop_a_run_or_a_health_check(tmp_path: Path) -> None:
    async with serving(PACE) as served, asyncio.TaskGroup() as clients:
        configure(tmp_path, served.base_url, MANY[:31], PACE)
        async with daemon(tmp_path, PIPELINE_WEB__LISTEN="127.0.0.1:0") as running:
            url = json.loads(running.lines[0])["address"]
            others = [clients.create_task(slow_client(url)) for _ in range(110)]  # 100 may be connected
            async with aiohttp.ClientSession() as http:
                others += [clients.create_task(greedy_client(http, f"{url}/companies?q={n}")) for n in range(8)]
                while not has_run(tmp_path):
                    async with asyncio.timeout(10), http.get(f"{url}/-/healthy") as response:
                        assert response.status == 200
                for one in others:
                    one.cancel()
                await asyncio.wait(others)
            running.send(signal.SIGTERM)
            await running.ends_cleanly()
    assert served.api.refused == 0
    check_sound(tmp_path)


async def slow_client(url: str) -> None:
    """Begin a request, never complete it, and begin again when the connection is ended."""
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            try:
                writer.write(b"GET /companies HTTP/1.1\r\nHost: local")
                await reader.read()
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()


async def greedy_client(http: aiohttp.ClientSession, address: str) -> None:
    """Ask again as soon as there is an answer."""
    while True:
        with suppress(aiohttp.ClientError):
            async with http.get(address) as response:
                await response.read()


async def test_sighup_reloads_the_configuration_refuses_a_bad_one_and_a_flood_of_it_delays_no_stop(
    tmp_path: Path,
) -> None:
    file = tmp_path / "config" / "pipeline.toml"
    async with serving() as served:
        configure(tmp_path, served.base_url, FEW)
        async with daemon(tmp_path) as running:
            await until(lambda: has_run(tmp_path))
            configure(tmp_path, served.base_url, [*FEW, "TSLA"])
            running.send(signal.SIGHUP)
            await running.logs('"added": ["TSLA"]')

            file.write_text(f"[source]\nplan = 'fre {KEY}'\n")
            running.send(signal.SIGHUP)
            await running.logs('"level": "error"', "'fre ***'")
            await until(lambda: has_refused(tmp_path))
            configure(tmp_path, served.base_url, [*FEW, "TSLA"])
            assert "'fre ***'" in call(tmp_path, "status", "--json").json["daemon"]["refused"]

            file.rename(file.with_name("elsewhere.toml"))
            running.send(signal.SIGHUP)
            await running.logs('"level": "error"', "config/pipeline.toml")

            is_flooded = asyncio.Event()
            flood = asyncio.create_task(hang_up(running, is_flooded))
            await is_flooded.wait()
            running.send(signal.SIGTERM)
            await running.ends_cleanly()
            await flood
    check_sound(tmp_path)


async def hang_up(running: Process, is_flooded: asyncio.Event) -> None:
    """Send SIGHUP up to a thousand times a second until the process has ended."""
    with suppress(ProcessLookupError):
        for number in itertools.count():
            if running.process.returncode is not None:
                return
            os.kill(running.process.pid, signal.SIGHUP)  # send_signal polls first, and would take the exit code
            if number == 100:
                is_flooded.set()
            await asyncio.sleep(0.001)


@pytest.mark.slow  # test_signals.py shows the same with a deadline of its own
async def test_whatever_hangs_it_ends_within_8_seconds(tmp_path: Path) -> None:
    async with hostile(drips) as (server, base_url):
        configure(tmp_path, base_url, FEW)
        async with daemon(tmp_path) as running:
            await until(lambda: bool(server.requests))
            with closing(sqlite3.connect(tmp_path / "overviews.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")  # and nothing can be written either
                running.send(signal.SIGTERM)
                async with asyncio.timeout(8):
                    assert await running.ends() == ExitCode.DONE
    check_sound(tmp_path)


NO_NAME_SERVER = """
import pathlib
import socket
import threading

resolve = socket.getaddrinfo


def getaddrinfo(host, *args, **named):
    if str(host).endswith(".invalid"):
        pathlib.Path("hangs").touch()
        threading.Event().wait()
    return resolve(host, *args, **named)


socket.getaddrinfo = getaddrinfo
"""
"""A name server that never answers, as Python sees it: the call does not return, and cannot be cancelled."""


@pytest.mark.slow  # it takes five seconds until requests in flight are cancelled
async def test_a_name_server_that_never_answers_delays_no_clean_stop(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_NAME_SERVER)
    configure(tmp_path, "https://api.invalid/query", [*FEW, "TSLA", "MSFT", "QUVEX"])
    async with daemon(tmp_path, PYTHONPATH=str(tmp_path)) as running:
        await until((tmp_path / "hangs").exists)
        running.send(signal.SIGTERM)
        await running.ends_cleanly()
    with closing(sqlite3.connect(tmp_path / "overviews.db")) as db:
        assert db.execute("SELECT status FROM runs").fetchall() == [("interrupted",)]


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "2>/dev/full"])
async def test_it_needs_no_standard_streams(tmp_path: Path, closed: str) -> None:
    async with serving() as served:
        configure(tmp_path, served.base_url, FEW)
        running = await asyncio.create_subprocess_exec(
            "sh", "-c", f'exec "$0" run {closed}', str(PIPELINE), cwd=tmp_path, env=environment(tmp_path)
        )
        try:
            await until(lambda: has_run(tmp_path))
            running.send_signal(signal.SIGTERM)
            async with asyncio.timeout(30):
                assert await running.wait() == ExitCode.DONE
        finally:
            await killed(running)
    check_sound(tmp_path)


async def test_idle_connections_stop_no_run_and_no_health_check(tmp_path: Path) -> None:
    """More of them than the process may open files."""
    reads_log, writes_log = os.pipe()
    async with serving(PACE) as served:
        configure(tmp_path, served.base_url, MANY, PACE)
        running = await asyncio.create_subprocess_exec(
            "sh", "-c", 'ulimit -n 64; exec "$0" run', str(PIPELINE),
            cwd=tmp_path, env=environment(tmp_path, PIPELINE_STATUS__LISTEN="127.0.0.1:0"), stderr=writes_log,
        )  # fmt: skip
        os.close(writes_log)
        idle: list[asyncio.StreamWriter] = []
        try:
            with os.fdopen(reads_log) as log:
                address = json.loads(await asyncio.to_thread(log.readline))["address"]
                port = int(address.rpartition(":")[2])
                for _ in range(200):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    idle.append(writer)
                async with aiohttp.ClientSession() as http, http.get(f"{address}/-/healthy") as response:
                    assert response.status == 200
                sent = served.api.requests
                await until(lambda: served.api.requests > sent + 10)
                running.send_signal(signal.SIGTERM)
                async with asyncio.timeout(30):
                    assert await running.wait() == ExitCode.DONE
                assert '"level": "error"' not in log.read()
        finally:
            for writer in idle:
                writer.close()
            await killed(running)
    check_sound(tmp_path)


async def killed(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()


@pytest.mark.parametrize(
    ("signals", "ends_with"), [(2, ExitCode.INTERRUPTED), pytest.param(1, ExitCode.DONE, marks=pytest.mark.slow)]
)
async def test_a_log_that_nobody_reads_delays_no_stop_and_a_second_signal_quits_at_once(
    tmp_path: Path, signals: int, ends_with: int
) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    async with serving() as served:
        configure(tmp_path, served.base_url, MANY)
        running = await asyncio.create_subprocess_exec(
            str(PIPELINE), "run", "-vv", cwd=tmp_path, env=environment(tmp_path), stderr=writer
        )
        os.close(writer)
        try:
            await until(lambda: waits_in(running, "pipe_write"))
            running.send_signal(signal.SIGTERM)
            if signals == 2:
                await until(lambda: waits_in(running, "nanosleep"))  # the first one was handled: its deadline runs
                running.send_signal(signal.SIGTERM)
            async with asyncio.timeout(30):
                assert await running.wait() == ends_with
        finally:
            await killed(running)
            os.close(reader)
    check_sound(tmp_path)


def waits_in(process: asyncio.subprocess.Process, function: str) -> bool:
    """Whether a thread of the process waits in a function of the kernel with this in its name."""
    return any(function in path.read_text() for path in Path(f"/proc/{process.pid}/task").glob("*/wchan"))


@pytest.mark.parametrize("times", [2, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(400)])])
async def test_stopped_at_any_instant_it_ends_cleanly_and_loses_nothing_acknowledged(
    tmp_path: Path, times: int
) -> None:
    chance = random.Random(times)
    async with serving(PACE, latency=0.05) as served:
        configure(tmp_path, served.base_url, MANY, PACE)
        for life in range(times):
            process = Process(await start(tmp_path, "run"))
            await until(partial(heeds, process, signal.SIGTERM))
            await until(partial(has_answered, served.api, served.api.requests + chance.randrange(30)))
            if life == times - 1:
                await until(lambda: has_stored(tmp_path))  # else it would prove nothing
            process.send(signal.SIGTERM)
            assert await process.ends() == ExitCode.DONE, process.lines
            log = "".join(process.lines)  # empty if it had not started yet
            assert ("daemon started" in log) == ("daemon ended" in log), log
        assert served.api.refused == 0
    check_sound(tmp_path)
    with closing(sqlite3.connect(tmp_path / "overviews.db")) as db:
        ((stored, observed),) = db.execute(
            "SELECT sum(snapshots), count(last_look) FROM symbols WHERE state = 'covered'"
        )
        assert stored == observed
        assert db.execute("SELECT count(*) FROM runs WHERE status = 'running'").fetchone() == (0,)


def has_answered(api: SandboxApi, requests: int) -> bool:
    return api.requests >= requests


def has_stored(folder: Path) -> bool:
    """Whether the database holds a snapshot."""
    if not (folder / "overviews.db").exists():
        return False
    with closing(sqlite3.connect(folder / "overviews.db")) as db, suppress(sqlite3.OperationalError):  # no table yet
        ((count,),) = db.execute("SELECT count(*) FROM snapshots").fetchall()
        return bool(count)
    return False


def heeds(running: Process, number: signal.Signals) -> bool:
    """Whether the process handles a signal: before it does, Python itself is starting, and ends by it."""
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    (caught,) = re.findall(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bool(int(caught, 16) >> (number - 1) & 1)


async def test_killed_during_a_run_it_is_unhealthy_at_once_and_resumes_the_run_when_restarted(tmp_path: Path) -> None:
    async with serving(PACE, latency=0.05) as served:
        configure(tmp_path, served.base_url, MANY[:20], PACE, cron="0 0 * * *")
        async with daemon(tmp_path) as running:
            await until(lambda: served.api.requests > 5)
            running.send(signal.SIGKILL)
            assert await running.ends() == -signal.SIGKILL
        unhealthy = call(tmp_path, "health")
        assert (unhealthy.code, str(running.process.pid) in unhealthy.out) == (ExitCode.STALE, True)
        async with daemon(tmp_path) as running:
            await until(lambda: has_run(tmp_path))
            running.send(signal.SIGTERM)
            await running.ends_cleanly()
        assert served.api.refused == 0
    check_sound(tmp_path)
    with closing(sqlite3.connect(tmp_path / "overviews.db")) as db:
        (first, second) = db.execute("SELECT scheduled_for, trigger, status FROM runs ORDER BY id").fetchall()
        assert first == (second[0], "catch_up", "interrupted")
        assert second == (second[0], "continue", "complete")
        assert db.execute("SELECT max(snapshots), count(last_look) FROM symbols").fetchone() == (1, 20)


@pytest.mark.slow  # up to a minute passes until the next scheduled time
async def test_suspended_over_a_scheduled_time_it_catches_up_when_it_continues(tmp_path: Path) -> None:
    async with serving() as served:
        configure(tmp_path, served.base_url, FEW)
        async with daemon(tmp_path) as running:
            await running.logs("run ended")
            await asyncio.sleep((57 - time.time()) % 60)
            running.send(signal.SIGSTOP)
            await asyncio.sleep(5)
            running.send(signal.SIGCONT)
            await running.logs("run ended")  # within 30 s, which is before the next scheduled time
            assert heartbeat.read(tmp_path / "overviews.db").timer_restarts == 0  # type: ignore[union-attr]  # it runs
            running.send(signal.SIGTERM)
            await running.ends_cleanly()
    with closing(sqlite3.connect(tmp_path / "overviews.db")) as db:
        assert db.execute("SELECT status FROM runs").fetchall() == [("complete",), ("complete",)]
