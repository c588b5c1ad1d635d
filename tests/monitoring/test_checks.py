"""Checks: what `health` and the alerts take for a problem, and what they do not."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from pipeline.model.symbols import Symbol
from pipeline.monitoring.checks import Kind, Problem, health_problems
from pipeline.monitoring.heartbeat import Heartbeat
from pipeline.monitoring.status import Status
from pipeline.store.noted_backups import NO_BACKUPS
from pipeline.store.reader import Run
from tests.support.clocks import START
from tests.support.monitoring import BEAT

STALE_AFTER = timedelta(hours=72)
DAY = timedelta(days=1)
RUN = Run(
    id=5, trigger="schedule", status="complete", scheduled_for=None, started_at=None, finished_at=None, symbols=3,
    due=3, stored=3, unchanged=0, unknown=0, failed=0, rejected=0, deferred=0, requests=3, seconds=1.0, detail=None,
    schedule=None, uncovered=0,
)  # fmt: skip
WELL = Status(RUN, START, {}, {}, (), 3, (), (), (), (), 3, NO_BACKUPS, 0)


def found(beat: Heartbeat | None = BEAT, status: Status | None = WELL, *, is_running: bool = True) -> list[Problem]:
    return health_problems(beat, status, is_running=is_running, stale_after=STALE_AFTER, now=START)


def only(problems: list[Problem]) -> Problem:
    (problem,) = problems
    return problem


def test_a_daemon_that_beats_and_fresh_data_are_healthy() -> None:
    assert found() == []
    assert found(status=None) == []


def test_each_problem_of_the_daemon_is_found() -> None:
    silent = msgspec.structs.replace(BEAT, silent_seconds=300.0)
    old = msgspec.structs.replace(BEAT, at=START - timedelta(minutes=5))

    missing = only(found(None))
    assert (missing.kind, missing.remedy) == (Kind.DAEMON, "pipeline run")
    assert "pipeline run" in str(missing)
    assert "2026-03-14 18:25:00 UTC" in only(found(old)).text
    dead = only(found(is_running=False)).text
    assert f"process {BEAT.pid}" in dead
    assert "2026-03-14 18:30:00 UTC" in dead
    assert "300 s" in only(found(silent)).text


def test_a_failed_run_and_stale_symbols_are_found() -> None:
    failed = replace(WELL, last_run=replace(RUN, status="failed", detail="the key is refused"))
    stale = replace(WELL, stale=tuple(Symbol(f"S{number}") for number in range(20)))

    assert only(found(status=failed)).kind is Kind.RUN_FAILED
    assert "5" in str(only(found(status=failed)))
    assert "the key is refused" in str(only(found(status=failed)))
    assert only(found(status=stale)).kind is Kind.STALE
    assert "72 h: S0, S1, S2, S3, S4, S5, S6, S7 and 12 more" in str(only(found(status=stale)))


@pytest.mark.parametrize("status", ["partial", "quota_exhausted", "interrupted"])
def test_a_run_that_did_not_fail_is_healthy(status: str) -> None:
    assert found(status=replace(WELL, last_run=replace(RUN, status=status))) == []
