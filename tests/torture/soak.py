"""Soak: a daemon that collects for months, and answers meanwhile, takes no more of the machine than at first."""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
import structlog

from pipeline.cli.site import Record, serving_site
from pipeline.model.symbols import Symbol
from pipeline.quota.limits import Limit
from pipeline.sandbox.companies import Companies
from pipeline.sandbox.server import SandboxApi
from pipeline.schedule.cron import Schedule
from pipeline.settings.addresses import Listen
from pipeline.web.probes import probes_of_record
from tests.support.companies import COMPANIES
from tests.support.daemons import DaemonClock, DaemonHarness
from tests.torture.trial import Bout, Mutant, Trial

_SYMBOLS = tuple(COMPANIES.symbols[:150])
"""Each is requested once a day."""
_SCHEDULE = Schedule("30 18 * * *", "UTC", timedelta(hours=36), None)
_QUESTIONS = 12
"""Of clients, on each day."""
_WARM_UP = 8
"""Days after which nothing grows any more that is not kept for good."""


class Taken(NamedTuple):
    """What the process takes of the machine, and what lies beside the database."""

    bytes: int
    descriptors: int
    threads: int
    wal: int
    heartbeat: int
    reported: int
    slots: int
    outcomes: int
    tasks: int


_MAY_GROW = Taken(
    bytes=(32 + 32) << 20,
    descriptors=4,
    threads=4,
    wal=8 << 20,
    heartbeat=200,
    reported=2_000,
    slots=len(_SYMBOLS) * 2,
    outcomes=len(_SYMBOLS) * 2,
    tasks=8,
)
"""By how much the last days may be above the first ones after the warm-up. Answers are kept up to 32 MB,
which fill in time; the stand-in API keeps some too, and SQLite pages of a file that grows."""


def run(bout: Bout) -> None:
    """Let days pass, and compare what the last ones take with the first."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with pytest.MonkeyPatch.context() as patch:
        asyncio.run(_soak(bout, patch))


async def _soak(bout: Bout, patch: pytest.MonkeyPatch) -> None:
    clock = DaemonClock()
    clock.drive_apscheduler(patch)

    def today() -> date:
        return clock.wall.date()

    api = SandboxApi(
        companies=_Plain(),
        limits=[Limit.parse("100000/day")],
        day=today,
        wall=lambda: clock.wall,
        now=clock.server_time,
    )
    database = bout.folder / "overviews.db"
    async with api.serve() as base_url:
        harness = DaemonHarness(
            database, base_url, clock, symbols=_SYMBOLS, schedules=(_SCHEDULE,), limits=("100000/day",),
            outcomes_kept=timedelta(days=5),
        )  # fmt: skip
        async with harness.running():
            record = Record(database, lambda: harness.config.scope, None, lambda: clock.wall, None)
            probes = probes_of_record(database, record.scope, lock=None, now=lambda: clock.wall)
            async with serving_site(Listen("127.0.0.1", 0), record, probes) as url, aiohttp.ClientSession() as session:
                taken = await _days(bout, harness, session, url)
    bout.count("requests", api.requests)
    _compare(bout, taken)


async def _days(bout: Bout, harness: DaemonHarness, session: aiohttp.ClientSession, url: str) -> list[Taken]:
    """Let days pass, and return what was taken at the end of each."""
    taken: list[Taken] = []
    while bout.goes_on() or len(taken) < 2 * _WARM_UP:
        asking = asyncio.create_task(_ask(bout, harness, session, url))
        await harness.through(harness.clock.wall + timedelta(days=1))
        await asking
        taken.append(_taken(harness.database))
        bout.count("days")
        if bout.stops_when_broken and len(taken) >= 2 * _WARM_UP:
            _compare(bout, taken)
    return taken


async def _ask(bout: Bout, harness: DaemonHarness, session: aiohttp.ClientSession, url: str) -> None:
    """Ask what clients ask, each time another question."""
    for _ in range(_QUESTIONS):
        at = harness.clock.wall - timedelta(seconds=bout.random.randrange(86_400))
        symbol = bout.random.choice(_SYMBOLS)
        prefix = f"/as-of/{at:%Y-%m-%dT%H:%M:%SZ}"
        paths = (
            "/", "/companies", f"/companies/{symbol}", "/changes", "/runs", "/metrics", "/-/ready",
            f"/api/v1/companies/{symbol}", "/api/v1/changes?limit=100", f"/query?function=OVERVIEW&symbol={symbol}",
        )  # fmt: skip
        path = bout.random.choice(paths)
        place = prefix if bout.random.random() < 0.5 and not path.startswith(("/-", "/metrics")) else ""
        async with session.get(f"{url}{place}{path}") as response:
            await response.read()
        bout.count("questions")
        if response.status >= 500:
            bout.broken(f"{place}{path} was answered with {response.status}")


def _taken(database: Path) -> Taken:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        counts = db.execute("SELECT (SELECT count(*) FROM requests), (SELECT count(*) FROM outcomes)")
        slots, outcomes = counts.fetchone()
    return Taken(
        bytes=int(status["VmRSS"].split()[0]) << 10,
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        threads=threading.active_count(),
        wal=_size(database, "-wal"),
        heartbeat=_size(database, ".heartbeat.json"),
        reported=_size(database, ".told.json"),
        slots=slots,
        outcomes=outcomes,
        tasks=len(asyncio.all_tasks()),
    )


def _size(database: Path, suffix: str) -> int:
    file = database.with_name(f"{database.name}{suffix}")
    return file.stat().st_size if file.exists() else 0


def _compare(bout: Bout, taken: Sequence[Taken]) -> None:
    """Compare the last quarter of the days with as many after the warm-up, each by its median."""
    number = max(3, (len(taken) - _WARM_UP) // 4)
    before, after = taken[_WARM_UP : _WARM_UP + number], taken[-number:]
    for place, name in enumerate(Taken._fields):
        first, last = (_median([one[place] for one in days]) for days in (before, after))
        most = _MAY_GROW[place]
        if last > first + most:
            bout.broken(f"{name}: {last} at the end of {len(taken)} days, {first} after {_WARM_UP}")


def _median(values: Sequence[int]) -> int:
    return sorted(values)[len(values) // 2]


class _Plain(Companies):
    """Companies whose documents take no time and no memory, and change each day."""

    def document(self, symbol: Symbol, day: date) -> dict[str, str] | None:
        number = sum(map(ord, symbol)) + day.toordinal()
        return {
            "Symbol": symbol, "AssetType": "Common Stock", "Name": f"{symbol} Inc", "Description": "x. " * 200,
            "Sector": "TECHNOLOGY", "LatestQuarter": "2025-12-31", "EBITDA": str(number // 30),
            "EPS": f"{number % 7}.5", "PERatio": f"{number % 40}.25", "MarketCapitalization": str(number * 1000),
        }  # fmt: skip


TRIAL = Trial(
    "soak",
    "memory, descriptors, threads, log and files stay as they are, however long a daemon collects and answers",
    run,
    (
        Mutant(
            "slots are never pruned",
            "pipeline/store/requests.py",
            "    while await writer.write(_delete_before, before) == _ROWS_AT_ONCE:",
            "    while False:",
        ),
        Mutant(
            "outcomes are never pruned",
            "pipeline/store/maintenance.py",
            "    if before is not None:",
            "    if False:",
        ),
    ),
    short_attempts=16,
)
