"""Status: the last run, the quota and the stale symbols, as a real database has them."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pipeline.collect.halt import Halt
from pipeline.collect.order import Order
from pipeline.collect.run import collect
from pipeline.model.symbols import Symbol
from pipeline.monitoring.checks import Kind, Problem, health_problems
from pipeline.monitoring.conditions import staleness
from pipeline.monitoring.metrics import Metrics
from pipeline.monitoring.status import Scope, read_status
from pipeline.schedule.cron import Schedule
from pipeline.store.reader import Listed, Reader
from tests.support.clocks import START
from tests.support.daemons import SYMBOLS, DaemonClock, DaemonHarness, config, plans, runs
from tests.support.monitoring import values
from tests.support.sandbox import Served

STALE_AFTER = timedelta(hours=72)
DAY = timedelta(days=1)


async def test_the_status_counts_what_the_database_holds(database: Path, served: Served) -> None:
    served.api.says("PEP", "{}")
    clock = DaemonClock(START)
    harness = DaemonHarness(database, served.base_url, clock, limits=("25/day",))
    async with harness.running():
        pass
    order = Order((SYMBOLS[0],), observed_since=None)
    await collect(database, config(served.base_url).source, order, halt=Halt(), clock=clock.as_clock())

    scope = Scope((*SYMBOLS, Symbol("TSLA")), plans(harness.config.source), STALE_AFTER, timedelta(days=14))
    found = read_status(database, scope, now=clock.wall)

    assert found.last_run is not None
    assert (found.last_run.id, found.runs, found.snapshots) == (2, {"complete": 2}, 2)
    assert found.last_success == START
    assert [(window.limit, window.used) for window in found.windows] == [("25/day", 4)]
    assert (found.unknown, found.pending, found.stale, found.fresh) == (["PEP"], ["TSLA"], [], 2)
    assert found.database_bytes >= database.stat().st_size


async def test_what_a_clock_ahead_of_time_observed_is_stale_in_health_metrics_and_notifications(
    database: Path, served: Served
) -> None:
    clock = DaemonClock(START + 365 * DAY)
    harness = DaemonHarness(database, served.base_url, clock, limits=("25/day",))
    async with harness.running():
        pass

    scope = Scope(SYMBOLS, (), STALE_AFTER, timedelta(days=14))
    found = read_status(database, scope, now=START)

    assert (found.stale, found.pending, found.fresh) == ([*SYMBOLS], [], 0)
    assert values(Metrics().render(found, None)[1])['pipeline_symbols{state="stale"}'] == len(SYMBOLS)
    told = staleness(found, SYMBOLS, STALE_AFTER, firing=SYMBOLS)
    assert [one.subject for one in told if isinstance(one, Problem)] == [*SYMBOLS]
    health = health_problems(None, found, is_running=False, stale_after=STALE_AFTER, now=START)
    assert Kind.STALE in [one.kind for one in health]


async def test_symbols_of_a_long_list_are_pending_and_then_stale_and_never_fresh_before_they_were_observed(
    database: Path, served: Served
) -> None:
    symbols = tuple(Symbol(f"S{number}") for number in range(400))
    clock = DaemonClock(START)
    harness = DaemonHarness(database, served.base_url, clock, symbols=symbols, limits=("25/day",))
    for symbol in symbols:
        served.api.knows(symbol, {"Symbol": symbol})
    async with harness.running():
        young = read_status(database, Scope(symbols, (), STALE_AFTER, timedelta(days=14)), now=clock.wall)
    later = read_status(database, Scope(symbols, (), STALE_AFTER, timedelta(days=14)), now=START + 4 * DAY)

    assert (young.fresh, len(young.pending), young.stale) == (25, 375, [])
    assert (later.fresh, later.pending, later.stale) == (0, [], list(symbols))
    page = values(Metrics().render(young, None)[1])
    assert (page['pipeline_symbols{state="pending"}'], page['pipeline_symbols{state="fresh"}']) == (375, 25)


async def test_a_symbol_added_to_an_old_list_is_pending_from_the_reload_on(database: Path, served: Served) -> None:
    clock = DaemonClock(START)
    harness = DaemonHarness(database, served.base_url, clock, schedules=(Schedule("30 18 * * 6", "UTC", DAY, None),))
    async with harness.running() as daemon:
        await harness.until(START + 2 * DAY)
        harness.config = config(served.base_url, symbols=(*SYMBOLS, Symbol("TSLA")), schedules=harness.config.schedules)
        scope = Scope(harness.config.symbols, (), timedelta(days=8), timedelta(days=14))
        not_seen_yet = read_status(database, scope, now=clock.wall)
        daemon.reload()
        await harness.settled()
        reloaded_at = clock.wall
        with Reader.open(database) as reader:
            assert reader.universe()["TSLA"] == [Listed(reloaded_at, None)]

    assert (not_seen_yet.pending, not_seen_yet.stale) == (["TSLA"], [])
    assert read_status(database, scope, now=reloaded_at + 8 * DAY).pending == ["TSLA"]
    assert read_status(database, scope, now=reloaded_at + 8 * DAY + timedelta(seconds=1)).stale == [*scope.symbols]


async def test_a_company_that_the_api_denies_is_unknown_until_it_is_stale(database: Path, served: Served) -> None:
    clock = DaemonClock(START)
    harness = DaemonHarness(database, served.base_url, clock)
    async with harness.running():
        served.api.says("PEP", "{}", times=None)
        for day in (1, 2, 3, 4):
            await harness.until(START + day * DAY)
            found = read_status(database, Scope(SYMBOLS, (), STALE_AFTER, timedelta(days=14)), now=clock.wall)
            page = values(Metrics().render(found, None)[1])
            assert (found.unknown, found.uncovered) == (["PEP"], ["PEP"])
            assert (found.stale, found.fresh) == (["PEP"] if day > 3 else [], 2)
            assert page["pipeline_uncovered_symbols"] == 1
            assert sum(number for name, number in page.items() if name.startswith("pipeline_symbols{")) == 3


async def test_missed_fire_times_are_not_the_last_run(database: Path, served: Served) -> None:
    clock = DaemonClock(START)
    harness = DaemonHarness(database, served.base_url, clock)
    async with harness.running():
        pass
    clock.advance(40 * DAY - timedelta(hours=1))
    harness.config = config(
        served.base_url, schedules=(replace(harness.config.schedules[0], catch_up=timedelta(hours=1)),)
    )
    async with harness.running():
        pass

    assert ("missed",) in runs(database, "status")
    last = read_status(database, Scope(SYMBOLS, (), STALE_AFTER, timedelta(days=14)), now=clock.wall).last_run
    assert last is not None
    assert last.id == 1
