"""How fast are pages and the API, and what do clients cost a daemon that collects?

wrk, of Debian's package of that name, is the clients. Its percentiles count what a client would have waited that had
asked at its pace: a pause of the server counts for all who would have come meanwhile.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

from benchmarks.documents import symbols
from benchmarks.generated import DAYS, LARGE, SMALL, database_in, databases, generate
from benchmarks.processes import measured, python, report_progress
from benchmarks.report import Line
from benchmarks.server import Plan, served

QUESTION = "Serving: 20 clients, in milliseconds; the targets are for 10 million snapshots"
_CLIENTS, _MANY_CLIENTS, _SLOW_CLIENTS = 20, 50, 1_000
_VARIED = 40
"""Addresses of a route that differ."""
_SECONDS = 5
"""For each route, twice."""
_REQUESTS = 100_000
_QUICK = ("/query", "/companies/{symbol}", "/api/v1/companies/{symbol}")
"""Routes of which many addresses are asked for, to fill what is kept of answers; of the others one."""
_TARGET = "≤ 200 ms"
_SYMBOLS, _LATENCY = 300, timedelta(milliseconds=200)
"""Collected while clients ask, twenty a second: no plan allows more."""
_CONFIG = """
database = "overviews.db"
[symbols]
file = "symbols.txt"
[source]
base_url = "{url}"
limits = ["20/second"]
[schedule]
cron = "0 0 1 1 *"
catch_up_hours = 87600
[status]
listen = "127.0.0.1:0"
[web]
listen = "localhost:0"
"""


def measure(*, large: bool, folder: Path | None) -> list[Line]:
    """Return what each page and path of the API takes over a million snapshots; if `large`, over ten million.

    Then what becomes of the memory, and of a run that collects meanwhile.
    """
    if shutil.which("wrk") is None:
        return [Line("20 clients", "-", "", "wrk is missing: apt-get install wrk")]
    with databases(folder) as place:
        companies = LARGE if large else SMALL
        generated = generate(place, companies)
        database = database_in(place, companies)
        lines = [Line(f"{companies * DAYS:,} snapshots", f"{database.stat().st_size / 1e6:,.0f} MB", "", generated)]
        with _serve(database) as server:
            lines += [*_routes(server, database), *_memory(server, database)]
        lines += _collecting()
    if not large:
        lines.append(Line("10 million snapshots", "-", "", "python -m benchmarks serving --large: 4 GB, 10 minutes"))
    return lines


@dataclass(frozen=True, slots=True)
class _Server:
    """A process that answers at this address."""

    process: "subprocess.Popen[str]"
    url: str

    @property
    def megabytes(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def _serve(database: Path) -> Iterator[_Server]:
    command = [*_pipeline("serve"), "--database", str(database), "--listen", "127.0.0.1:0", "--quiet"]
    with subprocess.Popen(command, cwd=database.parent, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            yield _Server(process, url)
        finally:
            process.terminate()


def _pipeline(command: str) -> list[str]:
    return [str(Path(sys.executable).with_name("pipeline")), command]


@contextmanager
def _wrk(url: str, addresses: Sequence[str], clients: int, seconds: float) -> Iterator["subprocess.Popen[str]"]:
    """Let clients ask for these addresses in turn while the block runs."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("\n".join(addresses))
        listed.flush()
        script = Path(__file__).with_name("wrk.lua")
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds:g}s", "--timeout", "30s", "-s", str(script), url, "--"]
        with subprocess.Popen([*command, listed.name], stdout=subprocess.PIPE, text=True) as wrk:
            yield wrk


def _asked(url: str, addresses: Sequence[str], *, clients: int = _CLIENTS, seconds: float = _SECONDS) -> Any:
    with _wrk(url, addresses, clients, seconds) as wrk:
        out, _ = wrk.communicate()
    return json.loads(out.splitlines()[-1])


def _routes(server: _Server, database: Path) -> Iterator[Line]:
    for asked in measured("benchmarks.addresses", str(database), str(_VARIED)):
        route, one, many = asked["route"], asked["one"], asked["many"]
        report_progress(f"serving: {route}")
        began = time.perf_counter()
        try:
            with urllib.request.urlopen(server.url + one, timeout=60) as response:
                size = len(response.read())
        except urllib.error.HTTPError as error:
            yield Line(
                f"  {route}", str(error.code), "", "nothing to show", is_broken=error.code != HTTPStatus.NOT_FOUND
            )
            continue
        first = (time.perf_counter() - began) * 1000
        same, varied = _asked(server.url, [one]), _asked(server.url, many)
        failed = same["failed"] + varied["failed"]
        yield Line(
            f"  {route}",
            f"{same['median']:.1f}, p99 {same['p99']:.0f}",
            _TARGET,
            f"{same['requests'] / same['seconds']:,.0f}/s, {size / 1000:.0f} kB, the first one {first:.0f}; of"
            f" {len(many)} in turn {varied['median']:.0f}, p99 {varied['p99']:.0f}",
            is_broken=failed > 0,
        )


def _memory(server: _Server, database: Path) -> Iterator[Line]:
    """Yield how much memory many requests take."""
    report_progress(f"serving: {_REQUESTS:,} requests")
    asked = measured("benchmarks.addresses", str(database), str(_VARIED))
    addresses = [one["one"] for one in asked] + [
        address for one in asked if one["route"] in _QUICK for address in one["many"]
    ]
    before, sent = server.megabytes, 0
    while sent < _REQUESTS:
        sent += _asked(server.url, addresses, seconds=20)["requests"]
    yield Line("memory, after all that", f"{before:.0f} MB", "", f"{server.megabytes:.0f} MB {sent:,} requests later")


@dataclass(slots=True)
class _Beat:
    """How long a server takes to answer a health check, which needs its event loop alone, ten times a second."""

    url: str
    took: list[float] = field(default_factory=list)
    failed: int = 0
    _ends: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self._ends.wait(0.1):
            began = time.perf_counter()
            try:
                urllib.request.urlopen(f"{self.url}/-/healthy", timeout=10).read()
            except OSError:
                self.failed += 1
            self.took.append((time.perf_counter() - began) * 1000)

    def end(self) -> None:
        self._ends.set()

    @property
    def text(self) -> str:
        slowest = sorted(self.took)
        p99 = slowest[len(slowest) * 99 // 100]
        return f"health checks: p99 {p99:.0f} ms, the slowest {slowest[-1]:.0f} ms, {self.failed} unanswered"


def _collecting() -> Iterator[Line]:
    """Yield how long a run takes alone, and while clients ask."""
    alone, beat = _run(0, slow=0)
    yield Line(f"a run of {_SYMBOLS} symbols at 20/s", f"{alone:.2f} s", "", beat.text)
    for clients, slow, what in ((_MANY_CLIENTS, 0, "50 clients"), (0, _SLOW_CLIENTS, "1,000 slow clients")):
        seconds, beat = _run(clients, slow=slow)
        yield Line(f"  with {what}", f"{seconds:.2f} s", "≤ 1.02", beat.text, is_broken=beat.failed > 0)


def _run(clients: int, *, slow: int) -> tuple[float, _Beat]:
    """Return how many seconds the first run of a daemon takes, and its beat meanwhile."""
    report_progress(f"serving: a run of {_SYMBOLS} symbols with {clients} clients and {slow} slow ones")
    with tempfile.TemporaryDirectory() as folder, served(Plan(_LATENCY)) as api:
        place = Path(folder)
        (place / "config").mkdir()
        (place / "config" / "pipeline.toml").write_text(_CONFIG.format(url=api.url))
        (place / "config" / "symbols.txt").write_text("\n".join(symbols(_SYMBOLS)))
        environment = {**os.environ, "ALPHAVANTAGE_API_KEY": "DEMODEMODEMODEMO"}
        command = [*_pipeline("run"), "--json"]
        with subprocess.Popen(command, cwd=place, env=environment, stderr=subprocess.PIPE, text=True) as daemon:
            try:
                assert daemon.stderr is not None
                url = _address(daemon.stderr, "serving")
                return _watched(url, place / "overviews.db", clients, slow)
            finally:
                daemon.terminate()
                daemon.communicate()


def _address(log: IO[str], event: str) -> str:
    for line in log:
        logged = json.loads(line)
        if logged["event"] == event:
            return str(logged["address"])
    sys.exit("the daemon did not start")


def _watched(url: str, database: Path, clients: int, slow: int) -> tuple[float, _Beat]:
    beat = _Beat(url)
    watch = threading.Thread(target=beat.watch)
    port = url.rpartition(":")[2]
    others: list[subprocess.Popen[str]] = []
    if slow:
        others.append(subprocess.Popen(python("benchmarks.slow_clients", port, str(slow)), text=True))
    watch.start()
    try:
        with _wrk(url, _PAGES, max(clients, 1), 120 if clients else 0.1) as wrk:
            others.append(wrk)
            seconds = _seconds_of_run(database)
            for one in others:
                one.send_signal(signal.SIGTERM)
                one.wait()
    finally:
        beat.end()
        watch.join()
    return seconds, beat


_PAGES = ("/companies", "/companies?sort=pe_ratio", "/changes", "/api/v1/as-of", "/api/v1/changes", "/fields")


def _seconds_of_run(database: Path) -> float:
    """Return how long the first run took, once it has ended."""
    while True:
        time.sleep(0.5)  # between two looks at whether the run has ended
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as db:
            row = db.execute("SELECT seconds FROM runs WHERE status = 'complete'").fetchone()
        if row is not None:
            return float(row[0])
