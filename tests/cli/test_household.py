"""A household of scripts that share one key by way of the daemon, whose process is killed meanwhile."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiohttp
import pytest

from pipeline.quota.limits import PLANS
from tests.support.commands import start
from tests.support.sandbox import Served, serving

pytestmark = pytest.mark.process

CONFIG = """
database = "overviews.db"
symbols.list = ["S0"]
[source]
base_url = "{base_url}"
limits = {limits}
concurrency = 2
[schedule]
cron = "0 0 1 1 *"
catch_up_hours = 0
[web]
listen = "127.0.0.1:0"
read_through = true
"""
SYMBOLS = [f"S{number}" for number in range(30)]
CLIENTS, TURNS = 40, 3


class Household:
    """Forty clients, and the daemon that they ask, which is started again when it has been killed."""

    def __init__(self, folder: Path, served: Served) -> None:
        self.folder = folder
        self.served = served
        self.told: Counter[str] = Counter()
        self._process: asyncio.subprocess.Process
        self._url = ""

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """Run the daemon while the block runs."""
        await self._start()
        try:
            yield
        finally:
            self._process.kill()
            await self._process.communicate()

    async def kill(self) -> None:
        """Kill the daemon, as `kill -9` does, and start it again."""
        self._url = ""
        self._process.kill()
        await self._process.communicate()
        await self._start()

    async def _start(self) -> None:
        self._process = await start(self.folder, "run", "--json")
        assert self._process.stderr is not None
        address = ""
        async with asyncio.timeout(30):
            while line := await self._process.stderr.readline():
                entry = json.loads(line)
                if entry["event"] == "serving":
                    address = entry["address"]
                elif entry["event"] == "next run":  # it has begun the database: now it can collect
                    break
        self._url = address

    async def ask(self, session: aiohttp.ClientSession, symbol: str) -> None:
        """Ask for a symbol, again after the daemon was killed, until there is an answer or a refusal."""
        while True:
            try:
                address = f"{self._url}/query?function=OVERVIEW&symbol={symbol}&apikey=any"
                async with session.get(address) as response:
                    document = await response.json()
                    assert response.status == 200
            except (aiohttp.ClientError, ValueError):  # nobody listens; or not yet, and there is no address
                await asyncio.sleep(0.02)
                continue
            if document.get("Symbol") == symbol:
                self.told["answered"] += 1
            else:
                (text,) = document.values()
                assert list(document) == ["Information"]
                self.told["refused for the quota" if "rate limit" in text else "refused"] += 1
            return

    async def ask_all(self, turn: int) -> None:
        """Let forty clients ask at the same time for one of thirty symbols each."""
        asked = [SYMBOLS[(7 * number + 13 * turn) % len(SYMBOLS)] for number in range(CLIENTS)]
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(self.ask(session, symbol) for symbol in asked))

    async def kill_after(self, requests: int) -> None:
        """Kill the daemon once the API has got this many requests."""
        while self.served.api.requests < requests:
            await asyncio.sleep(0.005)
        await self.kill()


def configure(folder: Path, base_url: str, limits: list[str]) -> None:
    (folder / "config").mkdir()
    text = CONFIG.format(base_url=base_url, limits=json.dumps(limits))
    (folder / "config" / "pipeline.toml").write_text(text)


@pytest.mark.parametrize(
    ("limits", "kills"),
    [
        pytest.param(["25/day"], [6], id="by the day"),
        pytest.param([*map(str, PLANS["free"])], [2, 9, 15], id="the free plan", marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(300)
async def test_forty_clients_share_25_requests_though_the_daemon_is_killed(
    tmp_path: Path, limits: list[str], kills: list[int]
) -> None:
    """The server, which enforces the plan, gets each symbol once and refuses nothing; each client gets an answer."""
    async with serving(*limits, latency=0.03) as served:
        for symbol in SYMBOLS:
            served.api.knows(symbol, {"Symbol": symbol})
        configure(tmp_path, served.base_url, limits)
        household = Household(tmp_path, served)
        async with household.living():
            for turn in range(TURNS):
                await asyncio.gather(household.ask_all(turn), *map(household.kill_after, kills[turn : turn + 1]))

    seen = Counter(served.api.seen)
    assert served.api.refused == 0
    assert len(seen) <= 25
    assert set(seen.values()) == {1}
    assert sum(household.told.values()) == CLIENTS * TURNS
    assert household.told["answered"] > CLIENTS
    with closing(sqlite3.connect(tmp_path / "overviews.db")) as db:
        stored = {symbol for (symbol,) in db.execute("SELECT symbol FROM symbols WHERE snapshots > 0")}
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert stored <= seen.keys()
    assert len(seen) - len(stored) <= 4 * len(kills)  # what a kill cut off
