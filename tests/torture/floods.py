"""Floods: however clients misbehave, health checks are answered, a run keeps its plan, and nothing stays behind."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tests.support.observations import database_of, seen
from tests.support.sandbox import Served, serving
from tests.torture.flood.attacks import ATTACKS, Target, connect, why_unhealthy
from tests.torture.flood.processes import Footprint, Server, started
from tests.torture.trial import Bout, Mutant, Trial

_AT_ONCE = 3
"""Kinds of attack."""
_A_SECOND = 25
"""Requests that the plan allows."""
_RUN_WITHIN = 90.0
"""Seconds beyond the least possible in which the run must end, on a machine that is busy with the flood."""
_SETTLES_WITHIN = 30.0
"""Seconds in which what a flood took is given back: a connection that says nothing has ten."""
_MOST_MORE = Footprint(descriptors=140, threads=40, bytes=200 << 20)
"""What a flood may take: 109 connections, and files for questions; answers that are kept; pages of SQLite's."""
_MOST_LEFT = Footprint(descriptors=30, threads=30, bytes=160 << 20)
"""What may stay: what is kept, and threads and files for questions."""
_LONG, _IDLE = 20.0, 60
"""From so many seconds on it is also held that connections are ended which say nothing: of so many."""
_CONFIGURATION = """
database = "overviews.db"
symbols.list = {symbols}
[source]
base_url = "{base_url}"
limits = ["{a_second}/second"]
concurrency = 2
[schedule]
cron = "0 0 * * *"
catch_up_hours = 26
[web]
listen = "127.0.0.1:0"
read_through = true
"""
_KEPT, _DAYS = 60, 20
"""Companies and days that are in the database before."""


def run(bout: Bout) -> None:
    """Flood a daemon that collects, and a server of the same database."""
    kept = [seen(24 * day, f"S{one}", PERatio=f"{day}.{one}", EPS="1") for one in range(_KEPT) for day in range(_DAYS)]
    shutil.copyfile(database_of(kept), bout.folder / "overviews.db")
    asyncio.run(_flood(bout))


async def _flood(bout: Bout) -> None:
    symbols = [f"S{number}" for number in range(int(_A_SECOND * max(bout.seconds, 6) / 2))]
    async with serving(f"{_A_SECOND}/second", latency=0.03) as served:
        _set_up(bout.folder, symbols, served)
        environment = bout.environment()
        async with (
            started(bout.folder, "run", "--json", environment=environment) as daemon,
            started(bout.folder, "serve", "--listen", "127.0.0.1:0", "--json", environment=environment) as server,
        ):
            run_ends = asyncio.create_task(
                _run_ends(bout, daemon, len(symbols) / _A_SECOND + bout.seconds + _RUN_WITHIN)
            )
            await _waves(bout, (daemon, server))
            await run_ends
            for process in (daemon, server):
                for line in process.faults()[:3]:
                    bout.broken(f"{process.name}: {line[:500]}")
        bout.count("requests to the API", served.api.requests)
        if served.api.refused:
            bout.broken(f"the API refused {served.api.refused} of {served.api.requests}: more than the plan allows")
    with closing(sqlite3.connect(bout.folder / "overviews.db")) as db:
        (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            bout.broken(f"the database is damaged: {verdict}")


def _set_up(folder: Path, symbols: Sequence[str], served: Served) -> None:
    for symbol in symbols:
        served.api.knows(symbol, {"Symbol": symbol, "PERatio": "10"})
    (folder / "config").mkdir()
    text = _CONFIGURATION.format(symbols=json.dumps(symbols), base_url=served.base_url, a_second=_A_SECOND)
    (folder / "config" / "pipeline.toml").write_text(text)


async def _waves(bout: Bout, servers: Sequence[Server]) -> None:
    """Attack one server after the other, in a few ways at once, while both answer health checks."""
    before = {server.name: server.footprint() for server in servers}
    attacks = list(ATTACKS)
    bout.random.shuffle(attacks)
    while bout.goes_on():
        now, server = attacks[:_AT_ONCE], servers[0]
        attacks, servers = [*attacks[_AT_ONCE:], *now], [*servers[1:], server]
        target = Target(server.port, bout.random)
        attacking = asyncio.gather(*(attack(target) for attack in now))
        while not attacking.done():
            await _check(bout, servers, before, f"during {', '.join(attack.__name__ for attack in now)}")
            await asyncio.wait((attacking,), timeout=0.2)
        await attacking
        bout.count("connections", target.connections)
        bout.count("attacks", len(now))
        bout.count("questions answered", target.answers)
        bout.count("of them refused", target.refused)
    idle = [await connect(server.port) for server in servers for _ in range(_IDLE)] if bout.seconds >= _LONG else []
    for server in servers:
        await _settles(bout, server, before[server.name])
    for _, writer in idle:
        writer.close()


async def _check(bout: Bout, servers: Sequence[Server], before: dict[str, Footprint], when: str) -> None:
    """Check that each server answers a health check, and takes no more than it may."""
    for server in servers:
        if server.process.returncode is not None:
            raise RuntimeError(f"{server.name} has ended with {server.process.returncode} {when}: {server.lines[-5:]}")
        if (why := await why_unhealthy(server.port)) is not None:
            bout.broken(f"{server.name}: a health check fails {when}: {why}")
        bout.count("health checks")
        for what in _beyond(server.footprint(), before[server.name], _MOST_MORE):
            bout.broken(f"{server.name}: {what} {when}")


async def _settles(bout: Bout, server: Server, before: Footprint) -> None:
    """Check that a server gives back what it took."""
    ends = asyncio.get_running_loop().time() + _SETTLES_WITHIN
    while found := _beyond(server.footprint(), before, _MOST_LEFT):
        if asyncio.get_running_loop().time() > ends:
            bout.broken(f"{server.name}: {found[0]} {_SETTLES_WITHIN:g} s after the last attack")
            return
        await asyncio.sleep(0.2)


def _beyond(now: Footprint, before: Footprint, most: Footprint) -> list[str]:
    """Return of what there is more than there may be."""
    return [
        f"{value} {name} where it had {start}"
        for name, value, start, more in zip(Footprint._fields, now, before, most, strict=True)
        if value > start + more
    ]


async def _run_ends(bout: Bout, daemon: Server, within: float) -> None:
    """Wait for the run that has begun with the daemon, and check how it ended."""
    try:
        async with asyncio.timeout(within):
            while not (ended := daemon.events("run ended")):
                await asyncio.sleep(0.1)
    except TimeoutError:
        bout.broken(f"the run has not ended in {within:.0f} s")
        return
    bout.count("runs")
    if ended[0].get("status") != "complete":
        bout.broken(f"the run ended so: {ended[0]}")


TRIAL = Trial(
    "floods",
    "health checks are answered and a run keeps its plan, however clients misbehave; nothing stays behind",
    run,
    (
        Mutant(
            "any number of connections",
            "pipeline/web/connections.py",
            "        self._most = most",
            "        self._most = 10 * most",
        ),
        Mutant(
            "a connection may say nothing for ever",
            "pipeline/web/connections.py",
            "        self._open[transport] = asyncio.get_running_loop().call_later(seconds,",
            "        self._open[transport] = asyncio.get_running_loop().call_later(3600 + seconds,",
            is_slow=True,  # it shows half a minute after the last attack
        ),
    ),
    short_attempts=2,
)
