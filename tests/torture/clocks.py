"""Clocks: whatever a machine's wall clock is set to, and whenever, no limit is exceeded and nothing is dated wrongly.

A machine collects again and again, while its clock is set forward, back and to 1970, also during requests; it is
started again, and its processes are killed. The server counts by the time that truly passes. Its `Date` is right, or
absent, or wrong; where it is not right, what `docs/guarantees.md` does not promise is left out. Now and then another
program holds the database for longer than a request may take, so that what was reserved must not be sent any more.
"""

import asyncio
import logging
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

import structlog
from aiohttp import web

from pipeline import instants
from pipeline.api.server_time import MOST_OFF
from pipeline.collect.halt import Halt
from pipeline.collect.order import Order, Source
from pipeline.collect.run import collect
from pipeline.model.symbols import Symbol
from pipeline.quota.keys import ApiKey
from pipeline.quota.ledger_time import UntrustedClock
from pipeline.quota.limits import Limit
from pipeline.sandbox.answers import Answer
from pipeline.sandbox.server import SandboxApi
from pipeline.store import writer
from pipeline.store.database import _refuse_foreign_log
from tests.support.clocks import ManualClock
from tests.support.companies import COMPANIES
from tests.support.observations import empty_database
from tests.torture.trial import Bout, Mutant, Trial

LIMITS = tuple(map(Limit.parse, ("5/day", "2/second")))
SYMBOLS = tuple(Symbol(f"QU{letter}X") for letter in "ABCDEFGHI")
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SPANS = (20 * SECOND, 30 * MINUTE, 7 * HOUR, DAY - 3 * MINUTE, DAY - MINUTE, DAY + MINUTE, 30 * HOUR, 3 * DAY)
OFF = (3 * SECOND, 100 * SECOND, 4 * MINUTE, 6 * MINUTE, 2 * HOUR, 25 * HOUR, 3 * DAY, 400 * DAY, 20_000 * DAY)
"""How far a clock is off: less than 3 s is what a clock may be off that is kept right."""
TIMEOUTS = (2 * SECOND, 30 * SECOND)
HELD = 14 * SECOND
"""How long another program holds the database: a batch is tried for longer."""


@dataclass(frozen=True, slots=True)
class Sort:
    """What is wrong besides the clock, and what then does not happen, as nothing is promised."""

    name: str
    date: Callable[["World"], datetime | None]
    reboots: bool = True
    falls_behind: bool = True


class World(SandboxApi):
    """A machine, and a server that counts by true time."""

    def __init__(self, folder: Path, random: Random, sort: Sort) -> None:
        self.clock = ManualClock()
        self.database = folder / "overviews.db"
        self.strikes: dict[int, Callable[[], None]] = {}
        """What happens during a request, by its number."""
        self.answered: defaultdict[str, list[datetime]] = defaultdict(list)
        self.is_mute = False
        """Whether no request for the time is answered, or where `Date` is absent now and then, it is."""
        self.date_is_off = random.choice((-1, 1)) * random.choice(OFF)
        self.kept: Path | None = None
        """What is left of the database of a process that was killed."""
        self.is_confirmed = False
        """Whether a run has ended: it has had answers, or was refused."""
        self.run: asyncio.Task[object] | None = None
        self.holder: sqlite3.Connection | None = None
        """Another program, which writes to the database, and since when."""
        self.held_since = self.clock.true()
        self.happened: list[str] = []
        self.random, self.sort = random, sort
        super().__init__(
            companies=COMPANIES,
            limits=LIMITS,
            day=lambda: date(2026, 3, 13),
            wall=lambda: sort.date(self),
            now=self.clock.server_time,
        )

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.kept is not None or (request.method == "HEAD" and self.is_mute):
            if request.transport is not None:
                request.transport.abort()  # what still seems to come from a killed process never left
            return web.Response()
        response = await super()._handle(request)
        self.strikes.pop(self.requests, lambda: None)()
        return response

    def _answer_for(self, symbol: str, apikey: str) -> Answer:
        self.answered[symbol].append(self.clock.true())
        return super()._answer_for(symbol, apikey)

    def kill(self) -> None:
        """Keep what is durable now, and end the run.

        But not the first run of a record by a wrong clock: nothing may have dated its slots yet.
        """
        if self.run is not None and self.kept is None and (self.is_confirmed or self.clock.wall == self.clock.true()):
            self.kept = self.database.with_name("kept.db")
            with closing(sqlite3.connect(self.database)) as db, closing(sqlite3.connect(self.kept)) as copy:
                db.backup(copy)
            self.run.cancel()

    def hold(self) -> None:
        """Let another program hold the database, if it is free now."""
        holder = sqlite3.connect(self.database, timeout=0, isolation_level=None)
        try:
            holder.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            holder.close()
            return
        self.holder, self.held_since = holder, self.clock.true()
        self.happened.append("held")

    def let_go(self) -> None:
        """Let the other program end."""
        if self.holder is not None:
            self.holder.close()
            self.holder = None

    async def sleep(self, seconds: float) -> None:
        """Let time pass. Once the other program ends by that, the process is killed during the next request."""
        await self.clock.sleep(seconds)
        if self.holder is not None and self.clock.true() - self.held_since >= HELD:
            self.let_go()
            self.strikes[self.requests + 1] = self.kill

    def bury(self) -> None:
        """Put back what the killed process left."""
        if self.kept is not None:
            for suffix in ("", "-wal", "-shm"):
                self.database.with_name(self.database.name + suffix).unlink(missing_ok=True)
            self.kept.rename(self.database)
            _refuse_foreign_log.cache_clear()
            self.kept = None

    def set_clock(self) -> None:
        """Set the wall clock right, or wrong."""
        if self.random.random() < 0.6:
            self.set_wrong()
        else:
            self.clock.set_right()
            self.happened.append("clock right")

    def set_wrong(self) -> None:
        off = self.random.choice(OFF) * (self.random.choice((-1, 1)) if self.sort.falls_behind else 1)
        self.clock.wall = self.clock.true() + off
        self.happened.append(f"clock off by {off}")

    def reboot(self) -> None:
        if self.sort.reboots:
            self.clock.machine_reboots()
            self.happened.append("reboot")

    def repair(self) -> None:
        """Start the machine again, with the right time, and the network."""
        self.reboot()
        self.clock.set_right()
        self.is_mute = False
        self.happened.append("clock right, not mute")

    def wait(self) -> None:
        span = self.random.choice(SPANS)
        self.clock.advance(span)
        self.happened.append(f"{span} pass")

    def silence(self) -> None:
        self.is_mute = not self.is_mute
        self.happened.append("mute" if self.is_mute else "not mute")


SORTS = (
    Sort("right", lambda world: world.clock.true()),
    Sort("absent now and then", lambda world: None if world.is_mute else world.clock.true(), reboots=False),
    Sort("absent", lambda _world: None, reboots=False),
    Sort("absent, never behind", lambda _world: None, falls_behind=False),
    Sort("wrong", lambda world: world.clock.true() + world.date_is_off, reboots=False),
)
"""Of `Date`. The first two are most of what there is."""


def run(bout: Bout) -> None:
    """Let worlds pass, one after the other, until one breaks a promise or time is over."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    writer._BUSY_SECONDS = 0.01  # true ones, while another program holds the database
    database = empty_database().read_bytes()
    number = 0
    try:
        while bout.goes_on():
            number += 1
            folder = bout.folder / str(number % 8)
            folder.mkdir(exist_ok=True)
            for old in folder.iterdir():
                old.unlink()
            (folder / "overviews.db").write_bytes(database)
            sort = bout.random.choice((*SORTS[:2], *SORTS))
            asyncio.run(_passes(World(folder, bout.random, sort), bout))
    finally:
        structlog.reset_defaults()


async def _passes(world: World, bout: Bout) -> None:
    """Let a life pass. Most are short: the clock is wrong, is repaired, and slots must not be free by that."""
    events = [world.set_clock, world.repair, world.reboot, world.wait, world.wait, world.silence]
    if bout.random.random() < 0.7:
        world.silence()
        world.set_wrong()
    async with world.serve() as base_url:
        for number in range(bout.random.choice((2, 2, 2, 4, 8))):
            if number == 1 and bout.random.random() < 0.7:
                world.repair()
            for _ in range(bout.random.randrange(3) if number else 0):
                bout.random.choice(events)()
            bout.count(await _collect(world, base_url))
            if world.refused:
                bout.broken(f"over the limit, with Date {world.sort.name}: {'; '.join(world.happened)}")
                return
    bout.count("lives")
    bout.count("requests", world.requests)
    if world.sort.name == "right" and (off := _most_off(world)) > MOST_OFF + MINUTE:
        bout.broken(f"an observation is {off} off: {'; '.join(world.happened)}")


async def _collect(world: World, base_url: str) -> str:
    """Collect once, perhaps with something happening meanwhile. Return how it ended."""
    strike = world.random.choice((None, None, world.kill, world.set_clock, world.hold))
    if strike is not None:
        world.strikes[world.requests + world.random.randrange(1, 6)] = strike
    workers, timeout = world.random.choice((1, 3)), world.random.choice(TIMEOUTS)
    source = Source(base_url, (ApiKey("", "S3CR3TK3Y", LIMITS),), workers, timeout, 2 * MINUTE, 2)
    clock = replace(world.clock.as_clock(), sleep=world.sleep)
    doing = collect(world.database, source, Order(SYMBOLS, None), halt=Halt(), clock=clock)
    world.run = asyncio.create_task(doing)
    try:
        summary = await world.run
    except UntrustedClock:
        world.happened.append("refused")
        return "refused clocks"
    except asyncio.CancelledError:
        if world.kept is None:
            raise
        world.happened.append("killed")
        world.bury()
        return "kills"
    finally:
        world.run = None
        world.let_go()
        world.strikes.clear()
    world.is_confirmed = True
    world.happened.append(f"{summary.status}, {world.requests} requests")
    return "runs that failed" if summary.exit_code == 1 else "runs"


def _most_off(world: World) -> timedelta:
    """Return how far what is stored is from the nearest time at which its symbol was truly answered."""
    with closing(sqlite3.connect(world.database)) as db:
        stored = db.execute(
            "SELECT symbol, observed_at FROM snapshots UNION SELECT symbol, confirmed_at FROM snapshots"
        )
        return max(
            (
                min(abs(instants.from_text(at) - true) for true in world.answered[symbol])
                for symbol, at in stored.fetchall()
            ),
            default=timedelta(),
        )


TRIAL = Trial(
    "clocks",
    "no clock frees a slot, nor dates what is stored wrongly",
    run,
    (
        Mutant(
            "a request leaves however late",
            "pipeline/quota/ledger.py",
            "return slot.deadline - self._clock.monotonic() >= self._least_left and self",
            "return self",
            is_slow=True,
        ),
        Mutant(
            "the wall clock is believed as a process begins",
            "pipeline/quota/ledger_time.py",
            "    if known is None or abs(wall - known) > AGREES_WITHIN:\n        return None\n",
            "    if known is None or abs(wall - known) > AGREES_WITHIN:\n        return Standing(wall, wall)\n",
        ),
        Mutant(
            "the Date of an answer is not compared",
            "pipeline/api/clock_check.py",
            "        if any(time.is_within(MOST_OFF, now) for time in times):\n",
            "        if times:\n",
        ),
        Mutant(
            "slots are dated by the wall clock",
            "pipeline/collect/sqlite_engine.py",
            "            clock=replace(clock, now=own.now),\n",
            "            clock=replace(clock),\n",
        ),
        Mutant(
            "what a wrong clock has dated is not corrected",
            "pipeline/quota/ledger_time.py",
            "is_confirmed=True, shift=shift)\n",
            "is_confirmed=True)\n",
        ),
        Mutant(
            "after another boot all the time has passed that the wall clock shows",
            "pipeline/quota/ledger_time.py",
            "    return Standing(known, max(wall, known, ",
            "    return Standing(max(wall, known), max(wall, known, ",
        ),
        Mutant(
            "what no server has confirmed passes for confirmed",
            "pipeline/quota/ledger_clock.py",
            "if self._is_confirmed and self.standing.is_one_line:",
            "if True:",
        ),
        Mutant(
            "what a server has answered is not dated by its time",
            "pipeline/collect/sqlite_engine.py",
            "            hear=own.hear,\n",
            "",
        ),
    ),
    short_attempts=30,
)
