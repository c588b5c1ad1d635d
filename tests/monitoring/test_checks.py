from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from pipeline.collect.halt import Halt
from pipeline.collect.order import Order
from pipeline.collect.run import collect
from pipeline.model.symbols import Symbol
from pipeline.monitoring.checks import problems
from pipeline.monitoring.status import Scope, Status, read_status
from pipeline.store.reader import Run
from tests.monitoring.test_heartbeat import BEAT
from tests.support.clocks import START
from tests.support.daemons import SYMBOLS, DaemonClock, DaemonHarness, config, runs
from tests.support.sandbox import Served

STALE_AFTER = timedelta(hours=72)
DAY = timedelta(days=1)
RUN = Run(
    id=5, trigger="schedule", status="complete", scheduled_for=None, started_at=None, finished_at=None, symbols=3,
    due=3, stored=3, unchanged=0, unknown=0, failed=0, rejected=0, deferred=0, requests=3, seconds=1.0, detail=None,
    schedule=None,
)  # fmt: skip
WELL = Status(RUN, START, {}, (), 3, (), (), 3, 0)


def ailing(beat: object = BEAT, found: Status | None = WELL, *, lives: bool = True) -> list[str]:
    return problems(beat, found, lives=lives, stale_after=STALE_AFTER, now=START)  # type: ignore[arg-type] # a Heartbeat or None


def test_a_daemon_that_beats_and_a_record_that_is_fresh_are_well() -> None:
    assert ailing() == []
    assert ailing(found=None) == []


def test_each_ailment_is_told_in_a_few_words() -> None:
    silent = msgspec.structs.replace(BEAT, silent_seconds=300.0)
    old = msgspec.structs.replace(BEAT, at=START - timedelta(minutes=5))
    failed = replace(WELL, last_run=replace(RUN, status="failed", detail="the key is refused"))
    stale = replace(WELL, stale=tuple(Symbol(f"S{number}") for number in range(20)))

    assert ailing(None) == ["no daemon runs on this database: pipeline run"]
    assert ailing(old) == ["the daemon has not been heard of since 2026-03-14 18:25:00 UTC"]
    assert ailing(lives=False) == ["the daemon has died: process 7 was last heard of at 2026-03-14 18:30:00 UTC"]
    assert ailing(silent) == ["the store has not answered for 300 s"]
    assert ailing(found=failed) == ["run 5 failed: the key is refused"]
    assert ailing(found=stale) == ["not looked at for 72 h: S0, S1, S2, S3, S4, S5, S6, S7 and 12 more"]


@pytest.mark.parametrize("status", ["partial", "quota_exhausted", "interrupted"])
def test_a_run_that_did_not_fail_is_no_ailment(status: str) -> None:
    assert ailing(found=replace(WELL, last_run=replace(RUN, status=status))) == []


# The condition, of a real record


async def test_the_condition_counts_what_the_record_holds(database: Path, served: Served) -> None:
    served.api.says("PEP", "{}")
    hands = DaemonClock(START)
    harness = DaemonHarness(database, served.base_url, hands, limits=("25/day",))
    async with harness.running():
        pass
    order = Order((SYMBOLS[0],), observed_since=None)
    await collect(database, config(served.base_url).source, order, halt=Halt(), clock=hands.clock())

    scope = Scope((*SYMBOLS, Symbol("TSLA")), harness.config.source.limits, STALE_AFTER)
    found = read_status(database, scope, now=hands.wall)

    assert found.last_run is not None
    assert (found.last_run.id, found.runs, found.snapshots) == (2, {"complete": 2}, 2)
    assert found.last_success == START
    assert [(window.limit, window.used) for window in found.windows] == [("25/day", 4)]
    # TSLA was never asked for, yet nothing was missed so far: the daemon has only just begun.
    assert (found.unknown, found.stale, found.fresh) == (["PEP"], [], 3)
    assert found.database_bytes >= database.stat().st_size


async def test_what_was_never_looked_at_is_stale_once_there_was_time_enough(database: Path, served: Served) -> None:
    hands = DaemonClock(START)
    async with DaemonHarness(database, served.base_url, hands).running():
        pass
    symbols = (*SYMBOLS, Symbol("TSLA"))

    later = read_status(database, Scope(symbols, (), STALE_AFTER), now=START + 4 * DAY)

    assert later.stale == list(symbols)


async def test_missed_fire_times_and_imports_are_no_last_run(database: Path, served: Served) -> None:
    hands = DaemonClock(START)
    harness = DaemonHarness(database, served.base_url, hands)
    async with harness.running():
        pass
    hands.passes(40 * DAY - timedelta(hours=1))
    harness.config = config(
        served.base_url, schedules=(replace(harness.config.schedules[0], catch_up=timedelta(hours=1)),)
    )
    async with harness.running():
        pass

    assert ("missed",) in runs(database, "status")
    last = read_status(database, Scope(SYMBOLS, (), STALE_AFTER), now=hands.wall).last_run
    assert last is not None
    assert last.id == 1
