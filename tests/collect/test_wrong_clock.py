"""Runs while the wall clock is wrong, against a server that counts by the time that truly passes."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from pipeline import instants
from pipeline.collect.summary import Summary
from pipeline.errors import ExitCode
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.quota.estimate import window_usage
from pipeline.quota.keys import KeyPlan
from pipeline.quota.ledger_time import UntrustedClock, least_now
from pipeline.quota.stored import quotas_named, shift_of
from pipeline.sandbox.server import SandboxApi
from pipeline.store.database import connect
from pipeline.store.reader import Reader
from tests.support.clocks import START, ManualClock
from tests.support.companies import COMPANIES
from tests.support.daemons import rows
from tests.support.runs import Runs, limits
from tests.support.sandbox import Served

PLAN = limits("25/day")
NOWHERE = "http://127.0.0.1:9/query"
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Server(SandboxApi):
    """Counts by true time, and dates its answers by it unless told otherwise."""

    def __init__(self, clock: ManualClock) -> None:
        self.date: Callable[[], datetime | None] = clock.true
        self.probes = 0
        self.strikes: dict[int, Callable[[], None]] = {}
        """What happens while a request is under way, by its number."""
        super().__init__(
            companies=COMPANIES,
            limits=PLAN,
            day=lambda: date(2026, 3, 13),
            wall=lambda: self.date(),  # noqa: PLW0108 - it may be replaced
            now=clock.server_time,
        )

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.probes += request.method == "HEAD"
        response = await super()._handle(request)
        self.strikes.pop(self.requests, lambda: None)()
        return response


@pytest.fixture
async def server(clock: ManualClock) -> AsyncIterator[tuple[Server, str]]:
    api = Server(clock)
    async with api.serve() as base_url:
        yield api, base_url


class Machine:
    """Collects all 64 symbols, again and again, on a machine whose clocks can be wrong."""

    def __init__(self, runs: Runs, server: Server, clock: ManualClock) -> None:
        self._runs = runs
        self.server = server
        self.clock = clock

    async def collect(self, count: int = 64, *, base_url: str | None = None) -> Summary:
        return await self._runs.collect(count, limits=PLAN, base_url=base_url)

    def name_host(self, time_url: str | None) -> None:
        """Let a host be asked for the time where the API's does not say it."""
        self._runs.source = replace(self._runs.source, time_url=time_url)

    async def refused(self) -> str:
        with pytest.raises(UntrustedClock) as caught:
            await self.collect()
        assert caught.value.exit_code == ExitCode.FAILED
        return str(caught.value)


@pytest.fixture
def machine(database: Path, server: tuple[Server, str], clock: ManualClock) -> Machine:
    api, base_url = server
    return Machine(Runs(database, Served(api, base_url), clock), api, clock)


async def test_neither_the_first_run_nor_one_of_the_same_boot_asks_for_the_time(machine: Machine) -> None:
    await machine.collect()
    machine.clock.advance(DAY + MINUTE)
    await machine.collect()

    assert (machine.server.requests, machine.server.refused, machine.server.probes) == (50, 0, 0)


async def test_the_first_run_after_a_boot_asks_once(machine: Machine) -> None:
    await machine.collect()
    machine.clock.advance(DAY + MINUTE)
    machine.clock.machine_reboots()
    for _ in range(3):
        await machine.collect()

    assert (machine.server.requests, machine.server.refused, machine.server.probes) == (50, 0, 1)


async def test_a_clock_set_forward_during_a_run_frees_nothing_for_the_next(machine: Machine) -> None:
    machine.server.strikes[10] = lambda: machine.clock.set_by(25 * HOUR)
    summary = await machine.collect()
    assert (summary.status, summary.exit_code) == (RunStatus.FAILED, ExitCode.FAILED)
    assert "the API's server 2026-03-14 18:30:" in str(summary.detail)
    assert "this machine's clock shows 2026-03-15 19:30:" in str(summary.detail)

    assert "set the clock" in await machine.refused()
    assert machine.server.requests == 10

    machine.clock.set_right()
    assert (await machine.collect()).status is RunStatus.QUOTA_EXHAUSTED
    assert (machine.server.requests, machine.server.refused) == (25, 0)


async def test_where_the_server_says_no_time_such_a_step_frees_nothing_either(machine: Machine) -> None:
    machine.server.date = lambda: None
    machine.server.strikes[10] = lambda: machine.clock.set_by(25 * HOUR)
    for _ in range(3):
        assert (await machine.collect()).status is RunStatus.QUOTA_EXHAUSTED
    machine.clock.advance(DAY - 5 * MINUTE)
    await machine.collect()
    assert machine.server.requests == 25

    machine.clock.advance(6 * MINUTE)
    await machine.collect()
    assert (machine.server.requests, machine.server.refused) == (50, 0)


@pytest.mark.parametrize("step", [3 * DAY, -3 * DAY])
async def test_a_clock_that_was_wrong_for_one_run_frees_nothing_once_it_is_right(
    machine: Machine, step: timedelta
) -> None:
    """No server had said so: slots are dated by the wrong clock, and become as old as they are when it is set."""
    machine.server.date = lambda: None
    machine.clock.set_by(step)
    await machine.collect()
    machine.server.date = machine.clock.true
    machine.clock.advance(HOUR)
    machine.clock.set_right()
    assert (await machine.collect()).status is RunStatus.QUOTA_EXHAUSTED
    machine.clock.advance(23 * HOUR - 5 * MINUTE)
    await machine.collect()
    assert machine.server.requests == 25

    machine.clock.advance(6 * MINUTE)
    await machine.collect()
    assert (machine.server.requests, machine.server.refused) == (50, 0)


@pytest.mark.parametrize("step", [3 * DAY, -3 * DAY, 6 * MINUTE, -6 * MINUTE])
async def test_an_answer_at_a_wrong_time_is_not_stored_and_its_request_counts(
    machine: Machine, database: Path, step: timedelta
) -> None:
    machine.clock.set_by(step)
    summary = await machine.collect()

    assert (summary.status, summary.exit_code) == (RunStatus.FAILED, ExitCode.FAILED)
    assert +summary.counts == {Outcome.DEFERRED: 64}
    assert rows(database, "SELECT count(*) FROM snapshots") == [(0,)]
    assert rows(database, "SELECT outcome FROM requests") == [("wrong_clock",)]

    machine.clock.machine_reboots()
    machine.clock.set_right()
    await machine.collect()
    assert (machine.server.requests, machine.server.refused) == (25, 0)


@pytest.mark.parametrize("step", [3 * DAY, -3 * DAY])
async def test_after_a_boot_a_wrong_clock_is_refused_before_anything_is_requested(
    machine: Machine, database: Path, step: timedelta
) -> None:
    await machine.collect()
    before = rows(database, "SELECT * FROM requests"), rows(database, "SELECT * FROM clock")
    machine.clock.advance(HOUR)
    machine.clock.machine_reboots()
    machine.clock.set_by(step)

    line = await machine.refused()

    assert f"{machine.clock.wall:%Y-%m-%d %H:%M:%S}" in line
    assert f"{machine.clock.true():%Y-%m-%d %H:%M:%S}" in line
    assert (rows(database, "SELECT * FROM requests"), rows(database, "SELECT * FROM clock")) == before
    assert machine.server.requests == 25


async def test_where_no_server_says_its_time_a_clock_behind_the_record_is_not_set(machine: Machine) -> None:
    await machine.collect()
    machine.server.date = lambda: None
    machine.clock.machine_reboots()
    machine.clock.set_by(-HOUR)

    assert "the record has reached 2026-03-14 18:30:" in await machine.refused()


async def test_where_no_server_says_its_time_after_a_boot_no_time_is_taken_to_have_passed(machine: Machine) -> None:
    machine.server.date = lambda: None
    await machine.collect()
    machine.clock.advance(30 * HOUR)
    machine.clock.machine_reboots()
    assert (await machine.collect()).status is RunStatus.QUOTA_EXHAUSTED
    machine.clock.advance(DAY + MINUTE)
    await machine.collect()
    assert (machine.server.requests, machine.server.refused) == (50, 0)


async def test_a_clock_minutes_behind_dates_slots_by_the_servers_time(machine: Machine, database: Path) -> None:
    """Such a clock is not refused, but what it dates would be free too early after another boot."""
    machine.clock.set_by(-4 * MINUTE)
    await machine.collect()
    ((first,),) = rows(database, "SELECT min(finished_at) FROM requests")
    assert instants.from_text(first) >= START

    machine.clock.set_right()
    machine.clock.advance(DAY - 2 * MINUTE)
    machine.clock.machine_reboots()
    await machine.collect()
    assert (machine.server.requests, machine.server.refused) == (25, 0)


async def test_what_a_server_has_dated_is_not_dated_back_by_a_clock_that_is_behind(machine: Machine) -> None:
    """The clock agrees with the uptime, and both with nothing else."""
    machine.clock.set_by(-25 * HOUR)
    await machine.collect()
    machine.server.strikes[2] = machine.clock.set_right
    await machine.refused()
    machine.clock.set_right()
    await machine.collect()

    assert (machine.server.requests, machine.server.refused) == (25, 0)


async def test_what_a_killed_run_had_out_is_no_older_than_the_time_that_the_server_said_before(
    machine: Machine, database: Path
) -> None:
    """The clock is days behind, as an answer says; the next run, which is killed, hears no time; then all is right."""
    machine.clock.set_by(-3 * DAY)
    await machine.collect()
    machine.server.date = lambda: None
    await machine.collect()
    with connect(database, "rw") as db:
        db.execute("UPDATE requests SET finished_at = NULL, outcome = NULL WHERE outcome = 'answered'")
    machine.server.date = machine.clock.true
    machine.clock.machine_reboots()
    machine.clock.set_right()
    await machine.collect()

    assert (machine.server.requests, machine.server.refused) == (25, 0)


@pytest.mark.parametrize("reaches", [True, False], ids=["answered", "killed"])
async def test_a_virtual_machine_that_was_suspended_finds_the_slots_free_that_are(
    machine: Machine, database: Path, reaches: bool
) -> None:
    """Less has passed by its uptime. What a confirmed clock has dated is as old as it says, and all else is not."""
    await machine.collect()
    if not reaches:
        with connect(database, "rw") as db:
            db.execute("UPDATE clock SET confirmed_at = NULL")
    machine.clock.advance(14 * HOUR + MINUTE)
    machine.clock.machine_is_suspended(10 * HOUR)
    await machine.collect()

    assert (machine.server.requests, machine.server.refused, machine.server.probes) == (50 if reaches else 25, 0, 1)


async def test_what_was_dated_before_a_boot_stays_though_its_first_run_had_no_network(machine: Machine) -> None:
    await machine.collect()
    machine.clock.advance(25 * HOUR)
    machine.clock.machine_reboots()
    machine.clock.advance(2 * HOUR)
    with pytest.raises(UntrustedClock, match="is not reached"):
        await machine.collect(base_url=NOWHERE)
    machine.clock.advance(MINUTE)
    await machine.collect()

    assert (machine.server.requests, machine.server.refused) == (50, 0)


async def test_a_host_that_is_not_reached_is_no_reason_where_a_slot_is_free_anyway(machine: Machine) -> None:
    await machine.collect(5)
    machine.clock.advance(25 * HOUR)
    machine.clock.machine_reboots()
    summary = await machine.collect(base_url=NOWHERE)

    assert (summary.status, summary.requests) == (RunStatus.FAILED, 0)


async def test_what_is_dated_after_a_confirmation_by_a_clock_that_nothing_confirms_is_moved(machine: Machine) -> None:
    """A clock that is days behind after a boot, where no server says its time; then both are right."""
    await machine.collect(5)
    machine.server.date = lambda: None
    machine.clock.advance(3 * DAY)
    machine.clock.machine_reboots()
    machine.clock.set_by(-3 * DAY)
    await machine.collect()
    machine.server.date = machine.clock.true
    machine.clock.set_right()
    machine.clock.advance(HOUR)
    await machine.collect()

    assert machine.server.refused == 0
    assert machine.server.requests <= 30


async def test_what_is_read_of_the_quota_counts_by_the_ledgers_time(machine: Machine, database: Path) -> None:
    await machine.collect()
    machine.clock.advance(HOUR)
    for step, left in ((25 * HOUR, [0, 1]), (-25 * HOUR, [0, 1]), (timedelta(), [0, 1])):
        machine.clock.set_by(step)
        with Reader.open(database) as reader:
            shift = shift_of(reader, wall=machine.clock.wall, uptime=machine.clock.uptime)
            quotas = quotas_named(
                reader, [KeyPlan("", limits("25/day", "1/second"))], now=machine.clock.wall, shift=shift
            )
        assert [window.left for window in window_usage(quotas, now=machine.clock.wall)] == left


async def test_what_a_clock_dated_that_was_ahead_is_read_with_its_true_age(machine: Machine, database: Path) -> None:
    """As the next run counts it, which corrects what was dated."""
    machine.clock.set_by(25 * HOUR)
    await machine.collect()
    sent = machine.server.requests
    machine.clock.set_right()
    for passes, left in ((MINUTE, 25 - sent), (DAY - 2 * MINUTE, 25 - sent), (2 * MINUTE, 25)):
        machine.clock.advance(passes)
        with Reader.open(database) as reader:
            shift = shift_of(reader, wall=machine.clock.wall, uptime=machine.clock.uptime)
            quotas = quotas_named(reader, [KeyPlan("", PLAN)], now=machine.clock.wall, shift=shift)
        assert [window.left for window in window_usage(quotas, now=machine.clock.wall)] == [left]
    await machine.collect()

    assert sent > 0
    assert (machine.server.requests, machine.server.refused) == (sent + 25, 0)


@pytest.mark.parametrize("end", ["0001-01-01T00:00:00.000Z", instants.LATEST])
async def test_a_ledger_that_is_damaged_to_the_end_of_time_can_be_read(
    machine: Machine, database: Path, end: str
) -> None:
    await machine.collect(5)
    machine.clock.set_by(HOUR)
    with connect(database, "rw") as db:
        db.execute("UPDATE requests SET finished_at = ? WHERE id = 1", (end,))
        db.execute("INSERT INTO blocked (key, since, until) VALUES ('', ?, ?)", (end, end))
    with Reader.open(database) as reader:
        shift = shift_of(reader, wall=machine.clock.wall, uptime=machine.clock.uptime)
        (quota,) = quotas_named(reader, [KeyPlan("", limits("25/day"))], now=machine.clock.wall, shift=shift)
    machine.clock.set_right()

    assert shift is not None
    assert shift.by == HOUR
    assert len(quota.state.spent) == (5 if end == instants.LATEST else 4)
    assert (await machine.collect()).status is RunStatus.QUOTA_EXHAUSTED


@pytest.mark.parametrize(("named", "requests"), [(True, 75), (False, 25)])
async def test_on_a_machine_that_reboots_daily_a_host_that_says_its_time_can_be_named(
    machine: Machine, database: Path, clock: ManualClock, named: bool, requests: int
) -> None:
    """Where the API's does not."""
    machine.server.date = lambda: None
    other = Server(clock)
    async with other.serve() as time_url:
        machine.name_host(time_url if named else None)
        for _ in range(3):
            await machine.collect()
            clock.advance(DAY + MINUTE)
            clock.machine_reboots()

    assert (machine.server.requests, machine.server.refused, other.requests) == (requests, 0, 0)
    assert other.probes == (2 if named else 0)


@pytest.mark.parametrize(("ahead", "level"), [(4 * MINUTE, "warning"), (6 * MINUTE, "error"), (365 * DAY, "error")])
async def test_a_clock_that_may_date_answers_wrongly_is_logged_so_that_quiet_shows_it(
    machine: Machine, ahead: timedelta, level: str
) -> None:
    await machine.collect(5)
    right = machine.clock.wall
    machine.clock.set_by(ahead)
    machine.server.date = lambda: None
    with capture_logs() as lines:
        await machine.collect(5)

    (line,) = (one for one in lines if one["event"].startswith("the clock is not confirmed"))
    assert line["log_level"] == level
    assert line["clock"] == f"{instants.for_people(machine.clock.wall)} UTC"
    if level == "error":
        assert line["uptime"] == f"{instants.for_people(right)} UTC"


async def test_maintenance_deletes_nothing_by_a_clock_that_is_ahead(machine: Machine, database: Path) -> None:
    await machine.collect()
    machine.clock.set_by(400 * DAY)
    with Reader.open(database) as reader:
        now = least_now(reader.ledger_mark(), wall=machine.clock.wall, uptime=machine.clock.uptime)

    assert now <= machine.clock.true()


async def test_what_no_server_confirms_corrects_no_slot(machine: Machine, database: Path) -> None:
    """A killed run leaves slots that are newer than its mark: they may be right."""
    await machine.collect()
    with connect(database, "rw") as db:
        db.execute("UPDATE clock SET at = ?", (instants.to_text(START - HOUR),))
    before = rows(database, "SELECT finished_at, deadline_at FROM requests")
    machine.clock.machine_reboots()
    machine.server.date = lambda: None
    await machine.collect()

    assert rows(database, "SELECT finished_at, deadline_at FROM requests") == before
