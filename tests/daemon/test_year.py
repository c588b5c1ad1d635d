"""A year of the daemon in minutes: the real daemon, a real file, the stand-in API, and a clock that the test moves.

What can happen to a daemon happens to it, drawn by a seed: it is killed and restarted, its machine sleeps and reboots,
clocks change, the API fails, is down, says that the quota has ended, and changes its documents; and its quota is too
small for its list. Every day it is checked that nothing was lost, forgotten or done twice.
"""

import gc
import json
import logging
import os
import random
import sqlite3
import sys
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from hashlib import md5
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import structlog
from aiohttp import web

from pipeline import instants
from pipeline.collect.active_run import ActiveRun
from pipeline.model.outcomes import Outcome, RunStatus, Trigger
from pipeline.model.symbols import Symbol
from pipeline.query.history import History
from pipeline.quota.limits import Limit
from pipeline.sandbox.answers import Answer
from pipeline.sandbox.companies import Companies
from pipeline.sandbox.server import SandboxApi
from pipeline.schedule.cron import Schedule
from pipeline.store.database import _refuse_foreign_log
from pipeline.store.migrate import migrate
from pipeline.store.stored_symbols import SymbolNotFound
from tests.support.companies import COMPANIES
from tests.support.daemons import DaemonClock, DaemonHarness, rows
from tests.support.sandbox import Served

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
OUTCOMES_KEPT = 20 * DAY
NEW_YORK = ZoneInfo("America/New_York")

NIGHTLY = (Symbol("AAPL"), Symbol("BRK-B"), Symbol("IBM"), COMPANIES.symbols[0], COMPANIES.symbols[-1])
EVENINGS = Schedule("30 18 * * mon-fri", "America/New_York", 36 * HOUR)
"""Everything, of which the quota allows two fifths."""
NIGHTS = Schedule("30 2 * * *", "America/New_York", 6 * HOUR, NIGHTLY)
"""At a local time that one day does not have."""
SUNDAYS = Schedule("*/30 1,2 * * sun", "America/New_York", HOUR, (Symbol("MSFT"),))
"""By the wall clock: four times on a Sunday, six and two on the days when clocks change."""
SCHEDULES = (EVENINGS, NIGHTS, SUNDAYS)


# What should be: computed by walking through the minutes


@cache
def local(minute: datetime) -> datetime:
    """Return what a clock in New York shows."""
    return minute.astimezone(NEW_YORK).replace(tzinfo=None)


def first_at(wanted: datetime) -> datetime:
    """Return the first minute at which clocks in New York show this local time, or one after it."""
    minute = wanted.replace(tzinfo=UTC) + 3 * HOUR
    while local(minute) < wanted:
        minute += MINUTE
    return minute


def fire_times(first: date, last: date) -> dict[str, list[datetime]]:
    """Return the fire times of all schedules on these local days."""
    found: dict[str, list[datetime]] = {str(schedule): [] for schedule in SCHEDULES}
    day = datetime.combine(first, datetime.min.time())
    while day.date() <= last:
        if day.weekday() < 5:
            found[str(EVENINGS)].append(first_at(day + 18.5 * HOUR))
        found[str(NIGHTS)].append(first_at(day + 2.5 * HOUR))
        if day.weekday() == 6:
            half_hours = (day.replace(tzinfo=UTC) + 4 * HOUR + n * 30 * MINUTE for n in range(10))
            found[str(SUNDAYS)] += [
                at for at in half_hours if local(at).hour in (1, 2) and local(at).date() == day.date()
            ]
        day += DAY
    return found


def test_the_expected_fire_times_are_right_on_both_nights_on_which_clocks_change() -> None:
    spring, autumn = fire_times(date(2026, 3, 8), date(2026, 3, 8)), fire_times(date(2026, 11, 1), date(2026, 11, 1))

    assert spring[str(NIGHTS)] == [datetime(2026, 3, 8, 7, tzinfo=UTC)]  # 03:00, right after the change
    assert [len(spring[str(SUNDAYS)]), len(autumn[str(SUNDAYS)])] == [2, 6]
    assert autumn[str(NIGHTS)] == [datetime(2026, 11, 1, 7, 30, tzinfo=UTC)]


# What the API does


class Drifting(Companies):
    """Companies of which fields appear and vanish during the year, and some documents stay the same for weeks."""

    def __init__(self) -> None:
        super().__init__()
        # Instead of one for each company and quarter, or year: memory is measured.
        self._statement = lru_cache(8)(self._reported)
        self._prices = lru_cache(8)(self._drawn)

    def document(self, symbol: Symbol, day: date) -> dict[str, str] | None:
        if symbol < "M":
            day = day.replace(day=1)
        document = super().document(symbol, day)
        if document is not None:
            of_the_year = day.timetuple().tm_yday
            if of_the_year % 90 >= 60:
                document["CarbonScore"] = str(of_the_year // 7)
            if of_the_year % 70 >= 65:
                del document["Beta"]
            if of_the_year % 50 >= 47:
                document["EPS"] = "n/a"
        return document


class Unreliable(SandboxApi):
    """An API with troubles, and a journal of what it gave out."""

    def __init__(self, limits: tuple[str, ...], chance: random.Random, clock: DaemonClock, failing: float) -> None:
        super().__init__(
            companies=Drifting(),
            limits=tuple(map(Limit.parse, limits)),
            day=lambda: datetime.fromtimestamp(clock.server_time() / 1e9 + self._epoch, UTC).date(),
            wall=lambda: clock.wall,
            now=clock.server_time,
        )
        self._epoch = clock.wall.timestamp() - clock.server_time() / 1e9
        self._cached_overview.cache_clear()
        self._cached_overview = lru_cache(1)(self._overview)  # instead of megabytes: memory is measured
        self._chance = chance
        self._failing = failing
        self.troubles: Counter[str] = Counter()
        self.given: defaultdict[str, deque[str]] = defaultdict(deque)
        """What each symbol was answered, oldest first, that no run is known to have received."""
        self.is_down = False
        self.is_out_of_quota = False
        self.is_unheard = False
        """The client has been killed: what still seems to come from it never left."""
        self.strikes: deque[tuple[int, Callable[[], None]]] = deque()
        """What happens while a request is under way: after how many more."""

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.is_unheard:
            return await self._reset(request)
        if request.method == "HEAD":  # asks for the time
            return await super()._handle(request)
        answer = self._answer(request.query)
        trouble = answer.headers and answer.headers.get("Trouble")
        if trouble:
            self.troubles[trouble] += 1
        elif answer.status == 200:
            self.given[request.query["symbol"]].append(digest(json.loads(answer.body)))
        response = answer.response()
        if self.strikes:  # the clock may be set while another answer is under way: it would be refused
            response.headers["Date"] = ""
        self._strike()
        return await self._reset(request) if trouble == "reset" else response

    async def _reset(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _strike(self) -> None:
        if self.strikes:
            after, happens = self.strikes.popleft()
            if after:
                self.strikes.appendleft((after - 1, happens))
            else:
                happens()

    def _answer_for(self, symbol: str, apikey: str) -> Answer:
        if self.is_out_of_quota:
            self.is_out_of_quota = False
            return Answer(QUOTA_ENDED, headers={"Trouble": "quota"})
        if self.is_down:
            return Answer(b"down", 503, headers={"Trouble": "outage"})
        if self._chance.random() < self._failing:
            return self._chance.choice(TROUBLES)
        return super()._answer_for(symbol, apikey)


QUOTA_ENDED = b'{"Information": "our standard API rate limit is 25 requests per day: you have reached it"}'
TROUBLES = (
    Answer(b"busy", 503, headers={"Trouble": "503"}),
    Answer(b"", 200, headers={"Trouble": "reset"}),
    Answer(b'{"Symbol": "A', 200, headers={"Trouble": "garbled"}),
)


def digest(document: object) -> str:
    return md5(json.dumps(document).encode()).hexdigest()


# The year


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, not paths


@dataclass
class Year:
    """A year, or some weeks of it, and what came of them."""

    database: Path
    clock: DaemonClock
    chance: random.Random
    quota: int
    """Requests a day: two fifths of what every evening takes."""
    often: float
    """How often something happens, against a life that is already eventful."""
    failing: float = 0.05
    happened: Counter[str] = field(default_factory=Counter)
    looks: int = 0

    def __post_init__(self) -> None:
        self.began = self.seen = self.clock.wall
        self._limits = (f"{self.quota}/day", "2/second")
        funds = COMPANIES.symbols[-4:]  # which the API does not cover
        self._list = (*COMPANIES.symbols[: self.quota * 5 // 2 - 4], *funds)
        self.api = Unreliable(self._limits, random.Random(self.chance.random()), self.clock, self.failing)
        self.journal = sqlite3.connect(":memory:")  # apart from Python's own memory, which is measured
        self.journal.execute(
            "CREATE TABLE looks (symbol, at, digest, run, fire_time, PRIMARY KEY (symbol, at)) WITHOUT ROWID"
        )
        self._checked_run = 0
        self._up_at: datetime | None = None
        self._objects: list[int] = []
        self._blocks: list[int] = []
        self._open_before = _descriptors()
        self._open = 0

    async def passes(self, days: int) -> None:
        """Let this many days pass."""
        self._due = fire_times(self.began.date() - 5 * DAY, self.began.date() + (days + 10) * DAY)
        async with self.api.serve() as self._base_url:
            end = self.began + days * DAY
            while self.clock.wall < end:
                await self._life(end)

    async def _life(self, end: datetime) -> None:
        """Let one daemon live until it is killed or stopped, and time pass until its next."""
        self.api.is_unheard = False
        self.harness = DaemonHarness(
            self.database,
            self._base_url,
            self.clock,
            symbols=self._list,
            schedules=SCHEDULES,
            limits=self._limits,
            attempts=3,
            timeout=10 * MINUTE,  # one worker's wait moves the clock for all: no request may time out by that
            outcomes_kept=OUTCOMES_KEPT,
        )
        self._kept: Path | None = None
        self._slept_in: ActiveRun | None = None
        await self.harness.begin()
        await self._check()
        day = self.clock.wall
        while not self._is_over() and self.clock.wall < end:
            await self.harness.through(self.clock.wall + self.chance.uniform(1, 6) * HOUR)
            await self.harness.beat()
            await self._happens()
            if self.clock.wall - day >= DAY and not self._is_over():
                day = self.clock.wall
                await self._check()
                self._check_means()
        await self._check()
        self._stop()
        await self.harness.ended()
        if self._kept is not None:
            self._bury(self._kept)
        self._enter_looks()
        if self._kept is None:
            assert not any(self.api.given.values()), "what the API gave out before the daemon was stopped is lost"
        self.api.given.clear()  # under way when it was killed
        self._away()

    def _is_over(self) -> bool:
        return self._kept is not None or self.harness.task.done() or self.harness.daemon.status.is_stopping

    async def _happens(self) -> None:
        """Let something happen now and then: each about once in the number of days given."""
        for days, what in (
            (20, self._kill),
            (20, self._stop),
            (15, lambda: self._while_asking(self._kill)),
            (15, lambda: self._while_asking(self._stop)),
            (25, lambda: self._while_asking(self._nap_while_asking)),
            (60, lambda: self._while_asking(self._set_back)),
            (12, self._nap),
            (90, self._set_back),
            (30, self._goes_down),
            (30, self._says_that_the_quota_ended),
        ):
            if not self._is_over() and self.chance.random() < self.often / days / 6:  # steps a day
                what()
                await self.harness.beat()
        if self._up_at is not None and self.clock.wall >= self._up_at:
            self.api.is_down, self._up_at = False, None

    # What happens

    def _while_asking(self, happens: Callable[[], None]) -> None:
        self.api.strikes.append((self.chance.randrange(self.quota), happens))

    def _kill(self) -> None:
        """Kill the daemon: what is durable by now is all that is left of it."""
        if not self._is_over() and (
            self._slept_in is None or self._slept_in is not self.harness.daemon.status.active_run
        ):
            self.happened["killed"] += 1
            self._kept = self.database.with_name("kept.db")
            with closing(sqlite3.connect(self.database)) as db, closing(sqlite3.connect(self._kept)) as copy:
                db.backup(copy)
            self._acknowledged = self._acknowledged_by_the_run()
            self.api.is_unheard = True
            self.harness.dies()

    def _acknowledged_by_the_run(self) -> tuple[int, int] | None:
        run = self.harness.daemon.status.active_run
        return None if run is None else (run.id, run.counts[Outcome.STORED] + run.counts[Outcome.UNCHANGED])

    def _bury(self, left: Path) -> None:
        """Put back what a kill left of the file, without which there is no killing within one process."""
        for suffix in ("", "-wal", "-shm"):
            self.database.with_name(self.database.name + suffix).unlink(missing_ok=True)
        left.rename(self.database)
        _refuse_foreign_log.cache_clear()  # what the killed process remembered of its file went with it
        if self._acknowledged is not None:
            run, count = self._acknowledged
            query = "SELECT count(*) FROM outcomes WHERE run_id = ? AND outcome IN ('stored', 'unchanged')"
            assert rows(self.database, query, run)[0][0] >= count

    def _stop(self) -> None:
        if not self._is_over():
            self.happened["stopped"] += 1
            self.harness.daemon.stop()

    def _nap(self) -> None:
        self.happened["slept"] += 1
        self.clock.machine_sleeps(self.chance.choice((10 * MINUTE, HOUR, 9 * HOUR, 30 * HOUR, 3 * DAY)))

    def _nap_while_asking(self) -> None:
        """Sleep with requests on their way, of a run that is not killed then.

        One that leaves after the sleep leaves later than its deadline in the ledger, which is the wall clock's; and
        only by that deadline is a daemon that is killed before the answer known to have asked.
        """
        self._slept_in = self.harness.daemon.status.active_run
        self._nap()

    def _set_back(self) -> None:
        self.happened["set back"] += 1
        self.clock.set_by(-HOUR)

    def _goes_down(self) -> None:
        self.happened["down"] += 1
        self.api.is_down = True
        self._up_at = self.clock.wall + self.chance.choice((HOUR, 5 * HOUR, 30 * HOUR))

    def _says_that_the_quota_ended(self) -> None:
        self.api.is_out_of_quota = True

    def _away(self) -> None:
        """Let the time pass until the next daemon is started."""
        self.clock.advance(self.chance.choice((timedelta(seconds=1), 2 * MINUTE, HOUR, 7 * HOUR, 2 * DAY)))
        if self.chance.random() < 0.5:
            self.happened["rebooted"] += 1
            self.clock.machine_reboots()

    # What is checked every day, when there is nothing to be done

    async def _check(self) -> None:
        if self._is_over():
            return
        await self.harness.answered()
        self.seen = max(self.seen, self.clock.wall)
        assert self.harness.daemon.status.why_unhealthy() is None
        assert self.harness.daemon.why_not_ready() is None
        assert self.api.refused == 0, "the server counts more requests than the plan allows"
        assert rows(self.database, "SELECT id FROM runs WHERE status = 'running'") == []
        self._check_fire_times()
        self._enter_looks()
        assert not any(self.api.given.values()), "what the API gave out is in no outcome"
        (oldest,) = rows(self.database, "SELECT min(at) FROM outcomes")[0]
        assert oldest is None or self.clock.wall - instants.from_text(oldest) < OUTCOMES_KEPT + 6 * DAY
        (slots,) = rows(self.database, "SELECT count(*) FROM requests")[0]
        assert slots <= 4 * self.quota, "the ledger grows"

    def _check_fire_times(self) -> None:
        """Each fire time is one row, run if it could be, and missed only if it could not."""
        query = f"""
            SELECT scheduled_for, status, trigger, started_at, finished_at FROM runs
             WHERE schedule = ? AND trigger IN ('{Trigger.SCHEDULE}', '{Trigger.CATCH_UP}') ORDER BY scheduled_for
        """
        for schedule in SCHEDULES:
            due = self._due[str(schedule)]
            before = max(at for at in due if at <= self.began)
            first = before if self.began - before <= schedule.catch_up else self.began
            found = [(instants.from_text(row[0]), *row[1:]) for row in rows(self.database, query, str(schedule))]
            at_most = [at for at in due if first <= at <= self.clock.furthest]
            at_least = [at for at in at_most if at <= self.seen]
            assert [row[0] for row in found] in (at_least, at_most[: max(len(found), len(at_least))])
            if found and found[-1][0] <= self.clock.wall:
                last = rows(self.database, LAST_RUN_FOR, str(schedule), instants.to_text(found[-1][0]))
                # After two runs in a row that observed nothing, the second of them killed, it pauses first.
                resumes_at = self.harness.daemon.status.resumes_at
                is_resumed = last != [(RunStatus.INTERRUPTED,)] or (
                    resumes_at is not None and resumes_at > self.clock.wall
                )
                assert is_resumed, f"{found[-1][0]} was not resumed"
            for at, status, trigger, started_at, finished_at in found:
                began = instants.from_text(started_at or finished_at)
                # A run that is under way when a fire time comes may be what blocks it.
                is_last = not any(at < other <= began - 5 * MINUTE for other in due)
                if status == RunStatus.MISSED:
                    is_superseded = any(at < other <= began for other in due)
                    assert is_superseded or began - at > schedule.catch_up, f"{at} need not have been missed"
                else:
                    assert is_last, f"{at} was run, and not the newest"
                    assert began - at <= schedule.catch_up + 5 * MINUTE
                    assert (trigger == Trigger.SCHEDULE) == (began - at <= MINUTE) or began - at < 5 * MINUTE

    def _enter_looks(self) -> None:
        """Enter what runs acknowledged since the last time, and see that each look is in the record, and came once."""
        query = """
            SELECT run_id, symbol, outcome, outcomes.at, scheduled_for FROM outcomes JOIN runs ON runs.id = run_id
             WHERE run_id > ? AND outcome IN ('stored', 'unchanged', 'unknown') ORDER BY run_id
        """
        for run, symbol, outcome, at, fire_time in rows(self.database, query, self._checked_run):
            given = self.api.given[symbol]
            assert given, f"{symbol} is {outcome} in run {run}, and was not answered"
            seen = given.popleft()
            assert (seen == UNCOVERED) == (outcome == Outcome.UNKNOWN)
            again = self.journal.execute(
                "SELECT run, at FROM looks WHERE symbol = ? AND (fire_time = ? OR at >= ?)",
                (symbol, fire_time, fire_time),
            ).fetchall()
            assert again == [], f"{symbol} was observed for {fire_time} by {again}, and again by run {run} at {at}"
            self.journal.execute("INSERT INTO looks VALUES (?, ?, ?, ?, ?)", (symbol, at, seen, run, fire_time))
            self.looks += 1
        self._check_kept(after=self._checked_run)
        (self._checked_run,) = rows(self.database, "SELECT coalesce(max(id), 0) FROM runs")[0]

    def _check_kept(self, *, after: int) -> None:
        """What was acknowledged is in the record, as it was received."""
        looks = self.journal.execute("SELECT symbol, at, digest FROM looks WHERE run > ?", (after,)).fetchall()
        with History.open(self.database) as record:
            for symbol, at, seen in looks:
                assert found_at(record, symbol, at) == seen, f"{symbol} at {at}"

    def _check_means(self) -> None:
        """It takes no more memory, descriptors or threads as it grows older."""
        gc.collect()
        self._objects.append(len(gc.get_objects()))
        self._blocks.append(sys.getallocatedblocks())
        self._open = max(self._open, _descriptors() - self._open_before)
        assert self._open < 60
        assert threading.active_count() < 20

    def check_all(self) -> None:
        """Check once more at the end what is too much for every day."""
        self._check_kept(after=0)
        (looks,) = rows(
            self.database,
            "SELECT (SELECT count(*) FROM looks) + (SELECT count(*) FROM uncovered)"
            " + (SELECT count(*) FROM snapshots WHERE NOT EXISTS"
            " (SELECT 1 FROM looks WHERE looks.symbol = snapshots.symbol AND looks.at = observed_at))",
        )[0]
        assert looks == self.looks
        for symbol in self._list[:-10]:
            ats = [
                instants.from_text(at)
                for (at,) in self.journal.execute("SELECT at FROM looks WHERE symbol = ? ORDER BY at", (symbol,))
            ]
            # Each has its turn, for the stalest come first.
            assert max(b - a for a, b in zip([self.began, *ats], [*ats, self.clock.wall], strict=True)) < 21 * DAY
        if len(self._blocks) >= 60:
            assert min(self._objects[-20:]) < min(self._objects[20:40]) * 1.02, "it keeps ever more objects"
            # Caches, which are bounded, fill with what is reported each quarter.
            middle = len(self._blocks) // 2
            assert min(self._blocks[-20:]) < min(self._blocks[middle:][:20]) * 1.05, "it takes ever more memory"

    def story(self) -> Iterator[str]:
        yield f"{(self.clock.wall - self.began).days} days, {self.api.requests} requests, {self.looks} looks"
        yield str(dict(self.happened))
        yield str(dict(self.api.troubles))
        yield str(dict(rows(self.database, "SELECT trigger || ' ' || status, count(*) FROM runs GROUP BY 1")))
        yield f"objects {self._objects[20::60]}, blocks {self._blocks[20::60]}, {self._open} descriptors at most"


UNCOVERED = digest({})
LAST_RUN_FOR = "SELECT status FROM runs WHERE schedule = ? AND scheduled_for = ? ORDER BY id DESC LIMIT 1"


def found_at(record: History, symbol: str, at: str) -> str:
    """Return what the database has of an observation at that very instant."""
    try:
        found = list(record.documents_as_of(at, [symbol], max_staleness=timedelta()))
    except SymbolNotFound:
        found = []
    return digest(found[0] if found else {})


@pytest.fixture
def year(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Year]]:
    state = random.getstate()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))

    def begin(seed: int, *, start: datetime, quota: int, often: float) -> Year:
        random.seed(seed)  # tenacity's waits
        clock = DaemonClock(start)
        clock.drive_apscheduler(monkeypatch)
        database = tmp_path / "overviews.db"
        migrate(database, now=start)
        begun.append(Year(database, clock, random.Random(seed), quota, often))
        return begun[-1]

    begun: list[Year] = []
    yield begin
    for one in begun:
        one.journal.close()
    structlog.reset_defaults()
    random.setstate(state)


@pytest.mark.parametrize(
    ("seed", "start"), [(6, datetime(2026, 3, 5, 12, tzinfo=UTC)), (8, datetime(2026, 10, 29, 12, tzinfo=UTC))]
)
async def test_some_days_around_each_change_of_clocks(year: Callable[..., Year], seed: int, start: datetime) -> None:
    days = year(seed, start=start, quota=6, often=5)

    await days.passes(5)

    days.check_all()
    assert sum(days.happened.values()) >= 5


@pytest.mark.slow
async def test_hundreds_of_heartbeats_leave_nothing_behind(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock())
    async with harness.running():
        counts = []
        for _ in range(7):
            await harness.beat(480)
            gc.collect()
            counts.append((len(gc.get_objects()), sys.getallocatedblocks()))

    _, *counted = counts  # in the first hours caches fill
    (objects, blocks), (objects_later, blocks_later) = (
        map(min, zip(*some, strict=True)) for some in (counted[:3], counted[3:])
    )
    assert objects_later - objects < 100
    assert blocks_later - blocks < 400


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("seed", "quota"), [(1, 25), (2, 8)])
async def test_a_year(year: Callable[..., Year], seed: int, quota: int) -> None:
    whole = year(seed, start=datetime(2026, 1, 5, 12, tzinfo=UTC), quota=quota, often=1)

    await whole.passes(365)

    whole.check_all()
    print(*whole.story(), sep="\n")
