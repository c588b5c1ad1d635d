"""On demand: what clients ask for is requested once, within the plan, and disturbs nothing that is scheduled."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from pipeline.collect.on_demand import NotCollected
from pipeline.daemon.on_demand import MOST_AT_ONCE, MOST_WAITING
from pipeline.instants import from_text, to_text
from pipeline.model.renames import ConfiguredRenames
from pipeline.model.symbols import Symbol
from pipeline.monitoring.checks import Kind, failed_run
from pipeline.monitoring.status import read_status
from pipeline.query.history import History
from pipeline.sandbox.server import SandboxApi
from pipeline.store.reader import Reader
from tests.support.clocks import shown_at
from tests.support.companies import COMPANIES
from tests.support.daemons import FIRST, SYMBOLS, DaemonClock, DaemonHarness, collect_by_hand, rows, runs
from tests.support.disk import no_file_larger_than
from tests.support.renames import rename
from tests.support.sandbox import Served, serving

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
KO, MSFT = Symbol("KO"), Symbol("MSFT")
OTHERS = tuple(Symbol(f"X{number}") for number in range(30))
"""Symbols that are not configured."""


def idle(database: Path, served: Served, **wanted: object) -> DaemonHarness:
    """Return a daemon with nothing scheduled before tomorrow."""
    return DaemonHarness(database, served.base_url, DaemonClock(FIRST + 5 * MINUTE), **{"schedules": (), **wanted})


def covers(served: Served, *symbols: Symbol) -> None:
    for symbol in symbols:
        served.api.knows(symbol, {"Symbol": symbol, "PERatio": "20"})


async def ask(harness: DaemonHarness, *symbols: Symbol) -> list[NotCollected | None]:
    """Ask for symbols at the same time, and return what became of each, once the daemon has nothing to do."""
    async with asyncio.timeout(30):
        told = await asyncio.gather(*(harness.daemon.on_demand.collect(symbol) for symbol in symbols))
    await harness.settled()
    return told


@asynccontextmanager
async def holding(release: asyncio.Event) -> AsyncIterator[Served]:
    """Serve the stand-in API, which answers nothing before it is released."""

    async def hold(_seconds: float) -> None:
        await release.wait()

    api = SandboxApi(
        companies=COMPANIES,
        limits=(),
        day=lambda: date(2026, 3, 13),
        latency=timedelta(seconds=1),
        sleep=hold,
        wall=lambda: shown_at(base_url),
    )
    async with api.serve() as base_url:
        yield Served(api, base_url)


async def until(is_so: Callable[[], bool]) -> None:
    """Let the loop go on until something is so."""
    async with asyncio.timeout(30):
        while not is_so():
            await asyncio.sleep(0.001)  # not 0: looking at it without a pause costs more than all that is looked at


async def test_a_symbol_that_is_not_fresh_is_collected_and_one_that_is_costs_nothing(
    database: Path, served: Served
) -> None:
    covers(served, KO)
    harness = idle(database, served)
    async with harness.running():
        assert await ask(harness, KO) == [None]
        assert await ask(harness, KO, KO) == [None, None]
        harness.clock.advance(19 * HOUR)
        assert await ask(harness, KO) == [None]
        assert served.api.seen == ["KO"]
        harness.clock.advance(HOUR)
        assert await ask(harness, KO) == [None]
        assert served.api.seen == ["KO", "KO"]

    assert (
        runs(database, "trigger", "status", "schedule", "scheduled_for", "symbols", "due", "requests")
        == [("on_demand", "complete", None, None, 1, 1, 1)] * 2
    )
    assert rows(database, "SELECT run_id, symbol, outcome, attempts FROM outcomes") == [
        (1, "KO", "stored", 1), (2, "KO", "unchanged", 1)
    ]  # fmt: skip


async def test_what_was_fresh_a_moment_ago_is_not_looked_up_again_and_never_taken_for_fresh_too_long(
    database: Path, served: Served
) -> None:
    harness = idle(database, served, fresh_for=MINUTE)
    async with harness.running():
        await ask(harness, KO)
        harness.clock.advance(timedelta(seconds=50))
        assert await ask(harness, KO) == [None]
        with closing(sqlite3.connect(database)) as db, db:
            db.execute("UPDATE symbols SET last_overview = NULL, last_look = NULL, last_try = NULL")
            db.execute("DELETE FROM requests")
        harness.clock.advance(timedelta(seconds=9))
        assert await ask(harness, KO) == [None]
        assert served.api.seen == ["KO"]
        harness.clock.advance(timedelta(seconds=1))
        assert await ask(harness, KO) == [None]
        assert served.api.seen == ["KO"] * 2


async def test_what_is_to_be_fresher_than_a_pause_is_requested_again_within_it(database: Path, served: Served) -> None:
    harness = idle(database, served, fresh_for=5 * MINUTE, limits=("25/day",))
    async with harness.running():
        for _ in range(3):
            assert await ask(harness, KO) == [None]
            harness.clock.advance(6 * MINUTE)
    assert served.api.seen == ["KO"] * 3


async def test_an_overview_ends_the_row_of_failures(database: Path, served: Served) -> None:
    harness = idle(database, served)
    async with harness.running():
        for wait in (0 * MINUTE, 16 * MINUTE, 31 * MINUTE):
            harness.clock.advance(wait)
            served.api.says("KO", "no JSON")
            assert (await ask(harness, KO))[0] is not None
        harness.clock.advance(61 * MINUTE)
        assert await ask(harness, KO) == [None]
        harness.clock.advance(DAY)
        served.api.says("KO", "no JSON")
        assert (await ask(harness, KO))[0] is not None
        harness.clock.advance(16 * MINUTE)
        assert await ask(harness, KO) == [None]


async def test_those_who_ask_for_one_symbol_share_a_request_and_many_symbols_share_few_runs(
    database: Path, served: Served
) -> None:
    covers(served, *OTHERS)
    harness = idle(database, served)
    async with harness.running():
        assert await ask(harness, *OTHERS, *OTHERS) == [None] * 60

    assert sorted(served.api.seen) == sorted(OTHERS)
    assert len(runs(database, "id")) <= 2 + len(OTHERS) // MOST_AT_ONCE
    assert len(rows(database, "SELECT symbol FROM outcomes WHERE outcome = 'stored'")) == len(OTHERS)


async def test_a_symbol_that_a_scheduled_run_requests_is_not_requested_again(database: Path) -> None:
    release = asyncio.Event()
    async with holding(release) as served:
        harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST), limits=("100/day",))
        starting = asyncio.create_task(harness.begin())
        await until(lambda: len(served.api.seen) == 3)
        asking = [asyncio.create_task(harness.daemon.on_demand.collect(one)) for one in (*SYMBOLS, KO)]
        await until(lambda: len(harness.daemon.on_demand._wanted) == 4 or any(one.done() for one in asking))
        release.set()
        assert await asyncio.gather(*asking) == [None] * 4
        await starting
        harness.daemon.stop()
        await harness.ended()

    assert sorted(served.api.seen) == sorted((*SYMBOLS, KO))
    assert runs(database, "trigger", "due") == [("schedule", 3), ("on_demand", 1)]


async def test_when_the_quota_has_ended_it_is_refused_without_a_run(database: Path) -> None:
    async with serving("2/day") as served:
        covers(served, *OTHERS)
        harness = idle(database, served, limits=("2/day",))
        async with harness.running():
            told = await ask(harness, *OTHERS[:3])
            assert told.count(None) == 2
            assert await ask(harness, *OTHERS[:3]) == told  # what was collected is fresh
            refused = [*filter(None, told), *filter(None, await ask(harness, *OTHERS[3:9]))]
            assert len(refused) == 7
            assert all(why.is_quota and "2/day is used up" in why.reason for why in refused)
            assert len(runs(database, "id")) == len({run for (run,) in rows(database, "SELECT run_id FROM requests")})
            assert served.api.requests == 2
            harness.clock.advance(DAY + MINUTE)
            await ask(harness, OTHERS[9])
            assert served.api.requests == 3  # a day of the daemon's clock is none of the server's, which refuses it


async def test_the_quotas_end_in_the_apis_words_is_honoured_too(database: Path, served: Served) -> None:
    text = "We have detected your API key as X and our standard API rate limit is 25 requests per day."
    served.api.says("X0", f'{{"Information": "{text}"}}', times=1)
    covers(served, OTHERS[1])
    harness = idle(database, served, limits=("25/day",))
    async with harness.running():
        for symbol in OTHERS[:2]:
            (why,) = await ask(harness, symbol)
            assert why is not None
            assert why.is_quota
        assert served.api.seen == ["X0"]
        harness.clock.advance(HOUR + MINUTE)
        assert await ask(harness, OTHERS[1]) == [None]


@pytest.mark.parametrize("answer", ['{"Symbol": "OTHER"}', "down"])
async def test_a_symbol_whose_request_brought_nothing_is_left_alone_for_ever_longer(
    database: Path, served: Served, answer: str
) -> None:
    served.api.says("KO", answer, status=503 if answer == "down" else 200, times=None)
    harness = idle(database, served, attempts=3)
    async with harness.running():
        for hours in (0, 0.24, 0.25, 0.74, 0.75, 1.74, 1.75, 3.74, 3.75, 7.74, 7.75, 11.74, 11.75, 15.74, 15.75):
            harness.clock.advance(FIRST + 5 * MINUTE + hours * HOUR - harness.clock.wall)
            (why,) = await ask(harness, KO)
            assert why is not None
            assert not why.is_quota

    started = [from_text(at) for (at,) in runs(database, "started_at")]
    assert [(at - started[0]) / HOUR for at in started] == pytest.approx(
        [0, 0.25, 0.75, 1.75, 3.75, 7.75, 11.75, 15.75]
    )
    assert {due for (due,) in runs(database, "due")} == {1}


async def test_a_symbol_that_the_api_does_not_cover_backs_off_as_always(database: Path, served: Served) -> None:
    served.api.says("X0", "{}", times=None)
    harness = idle(database, served)
    async with harness.running():
        for _ in range(7 * 6):
            assert await ask(harness, OTHERS[0]) == [None]
            harness.clock.advance(4 * HOUR)

    started = [from_text(at) for (at,) in runs(database, "started_at")]
    assert [round((at - FIRST) / DAY) for at in started] == [0, 1, 3, 7]  # after 1 day, 2, 4, each less 4 hours


async def test_three_symbols_without_any_response_end_it_for_all_and_a_reload_begins_again(
    database: Path, served: Served
) -> None:
    for symbol in OTHERS[:3]:
        served.api.says(symbol, "down", status=503, times=None)
    harness = idle(database, served)
    async with harness.running() as daemon:
        for symbol in OTHERS[:4]:
            (why,) = await ask(harness, symbol)
            assert why is not None
        assert served.api.seen == [*OTHERS[:3]]
        daemon.reload()
        await harness.settled()
        assert await ask(harness, OTHERS[3]) == [None]


async def test_a_refused_key_is_tried_once(database: Path, served: Served) -> None:
    served.api.says("KO", '{"Error Message": "the parameter apikey is invalid or missing."}', times=None)
    harness = idle(database, served)
    async with harness.running() as daemon:
        for symbol in (KO, MSFT, KO):
            (why,) = await ask(harness, symbol)
            assert why is not None
            assert "key" in why.reason
        assert served.api.seen == ["KO"]
        assert daemon.why_not_ready() is None


async def test_while_another_process_collects_nobody_waits_for_it(database: Path, served: Served) -> None:
    harness = idle(database, served)
    async with harness.running() as daemon:
        async with collect_by_hand(database, harness.clock):
            (why,) = await ask(harness, KO)
            assert why is not None
            assert "collect, process" in why.reason
            assert daemon.why_not_ready() is None
        assert await ask(harness, KO) == [None]


async def test_a_client_that_goes_away_cancels_nothing(database: Path) -> None:
    release = asyncio.Event()
    async with holding(release) as served:
        async with idle(database, served).running() as daemon:
            gone, stays = (asyncio.create_task(daemon.on_demand.collect(KO)) for _ in range(2))
            await until(lambda: served.api.seen == ["KO"])
            gone.cancel()
            release.set()
            assert await stays is None
        assert gone.cancelled()
    assert runs(database, "status") == [("complete",)]


async def test_where_there_is_an_older_document_a_client_waits_less(database: Path) -> None:
    release = asyncio.Event()
    release.set()
    async with holding(release) as served:
        harness = idle(database, served)
        async with harness.running() as daemon:
            assert await ask(harness, KO) == [None]
            harness.clock.advance(DAY)
            release.clear()
            daemon.on_demand.fresher_within = timedelta()
            why = await daemon.on_demand.collect(KO)
            assert why is not None
            assert "ask again" in why.reason
            release.set()
            await harness.settled()


async def test_a_client_waits_so_long_and_then_gets_what_there_is(database: Path) -> None:
    release = asyncio.Event()
    async with holding(release) as served:
        harness = idle(database, served)
        async with harness.running() as daemon:
            daemon.on_demand.any_within = timedelta()
            why = await daemon.on_demand.collect(KO)
            assert why is not None
            assert "ask again" in why.reason
            await until(lambda: served.api.seen == ["KO"])
            release.set()
            await harness.settled()
            assert await ask(harness, KO) == [None]
    assert served.api.seen == ["KO"]


async def test_stopped_meanwhile_it_answers_everyone_and_the_run_is_interrupted(database: Path) -> None:
    release = asyncio.Event()
    async with holding(release) as served:
        harness = idle(database, served)
        await harness.begin()
        asking = [asyncio.create_task(harness.daemon.on_demand.collect(one)) for one in OTHERS]
        await until(lambda: bool(served.api.seen))
        harness.daemon.stop()
        release.set()  # within the time that open requests have
        await harness.ended()
        told = await asyncio.gather(*asking)
        (after,) = await ask(harness, KO)

    assert {*served.api.seen} == {one for one, why in zip(OTHERS, told, strict=True) if why is None}
    assert {why.reason for why in told if why is not None} <= {
        "stopping",
        "the daemon was stopped",
        "the daemon is stopping",
    }
    assert after == NotCollected("stopping")
    assert [status for (status,) in runs(database, "status")] == ["interrupted"]


async def test_who_asks_while_it_is_stopped_is_answered_at_once(database: Path, served: Served) -> None:
    harness = idle(database, served)
    await harness.begin()
    asking = asyncio.create_task(harness.daemon.on_demand.collect(KO))
    await asyncio.sleep(0)  # it is looked up in a thread now
    harness.daemon.stop()
    await harness.ended()
    assert await asking == NotCollected("stopping")
    assert served.api.seen == []


async def test_a_run_that_is_throttled_to_its_end_is_not_begun_again_for_the_rest(
    database: Path, served: Served
) -> None:
    for symbol in OTHERS[:10]:
        served.api.says(
            symbol, '{"Information": "Burst pattern detected: no more than 1 request per second."}', times=None
        )
    harness = idle(database, served, limits=("20/day",))
    async with harness.running():
        told = await ask(harness, *OTHERS[:10])

    assert all(why is not None and why.is_quota for why in told)
    assert len(runs(database, "id")) <= 2  # the first may be for the first symbol alone
    assert len(served.api.seen) <= 4 + 4 + 4  # the workers', and a fifth of the day's for retries


async def test_a_crash_is_recorded_and_neither_clients_nor_the_schedules_wait_for_ever(
    database: Path, served: Served
) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST + MINUTE))
    async with harness.running() as daemon:
        fine = harness.reporter.request_ended

        def broken(_outcome: str, _seconds: float) -> None:
            raise RuntimeError("a fault")

        harness.reporter.request_ended = broken  # type: ignore[assignment, method-assign] # stands for any bug deep inside a run
        (why,) = await ask(harness, KO)
        assert why is not None
        assert "crashed" in why.reason
        harness.reporter.request_ended = fine  # type: ignore[method-assign]
        assert "a run crashed" in (daemon.why_not_ready() or "")
        assert (await ask(harness, MSFT))[0] is not None
        await harness.until(FIRST + DAY)

    assert runs(database, "trigger", "status") == [
        ("schedule", "complete"), ("on_demand", "failed"), ("schedule", "complete")
    ]  # fmt: skip


async def test_while_nothing_can_be_stored_nothing_is_requested(database: Path, served: Served) -> None:
    harness = idle(database, served)
    async with harness.running():
        served.api.knows("KO", {"Symbol": "KO", "Description": "x" * 300_000})
        with no_file_larger_than(200_000):
            for _ in range(3):
                (why,) = await ask(harness, KO)
                assert why is not None
                assert "disk" in why.reason
        assert served.api.seen == ["KO"]


async def test_a_run_that_cannot_begin_is_refused_for_its_reason_and_tried_again(
    database: Path, served: Served
) -> None:
    harness = idle(database, served)
    async with harness.running():
        await harness.settled()
        with closing(sqlite3.connect(database)) as reader:
            reader.execute("SELECT count(*) FROM runs").fetchone()  # so that SQLite's shared memory is there
            with no_file_larger_than(4_000):  # less than one page of the write-ahead log
                (why,) = await ask(harness, KO)
        assert why is not None
        assert "disk" in why.reason
        assert served.api.seen == []
        await harness.until(FIRST + HOUR)
        assert await ask(harness, KO) == [None]

    assert served.api.seen == ["KO"]


async def test_a_renamed_company_is_requested_by_its_symbol_of_now_and_a_class_share_as_it_is_configured(
    database: Path, served: Served
) -> None:
    symbols = tuple(map(Symbol, ("META", "BRK.B")))
    renames = ConfiguredRenames("", (rename("FB", "META", FIRST - DAY),))
    harness = idle(database, served, renames=renames)
    harness.config = replace(harness.config, listed=replace(harness.config.listed, symbols=symbols))
    async with harness.running():
        await ask(harness, *map(Symbol, ("FB", "META", "BRK-B", "BRK.B", "BF.B")))

    assert sorted(symbol for (symbol,) in rows(database, "SELECT symbol FROM outcomes")) == ["BF-B", "BRK.B", "META"]
    assert sorted(served.api.seen) == ["BF-B", "BRK-B", "META"]


async def test_only_so_many_wait(database: Path) -> None:
    release = asyncio.Event()
    async with holding(release) as served, idle(database, served).running() as daemon:
        asking = [asyncio.create_task(daemon.on_demand.collect(KO)) for _ in range(MOST_WAITING + 5)]
        await until(lambda: sum(one.done() for one in asking) == 5)
        release.set()
        told = await asyncio.gather(*asking)
    assert sum(why is not None for why in told) == 5
    assert served.api.seen == ["KO"]


async def test_what_clients_cause_is_no_run_of_the_schedule(database: Path, served: Served) -> None:
    """A failure on demand is not the schedule's, and what is configured, changed or last run stays what it was."""
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST + MINUTE))
    async with harness.running() as daemon:
        with History.open(database) as history:
            before = history.last_run_started_at(), history.universe("2027-01-01")
        beat = daemon.status.heartbeat
        served.api.says("KO", "no JSON", times=None)
        harness.clock.advance(HOUR)
        await ask(harness, KO)
        await harness.beat(2)
        with History.open(database) as history:
            assert (history.last_run_started_at(), history.universe("2027-01-01")) == before
        with Reader.open(database) as reader:
            last = reader.last_run()
            assert last is not None
            assert last.trigger == "schedule"
            status = read_status(database, harness.reporter.scope, now=harness.clock.wall)
        assert failed_run(status.last_run) is None
        assert status.on_demand_runs == {"failed": 1}
        assert daemon.status.heartbeat.last_run == beat.last_run
        assert not harness.reporter._alerts.firing(Kind.RUN_FAILED)
        await harness.until(FIRST + DAY)

    assert runs(database, "trigger", "status") == [
        ("schedule", "complete"), ("on_demand", "failed"), ("schedule", "complete")
    ]  # fmt: skip


async def test_a_fire_time_comes_before_what_clients_want(database: Path, served: Served) -> None:
    harness = DaemonHarness(database, served.base_url, DaemonClock(FIRST + MINUTE))
    async with harness.running():
        harness.clock.advance(DAY)
        assert await ask(harness, KO) == [None]

    assert runs(database, "trigger") == [("schedule",), ("schedule",), ("on_demand",)]
    assert to_text(FIRST + DAY) in {at for (at,) in runs(database, "scheduled_for")}
