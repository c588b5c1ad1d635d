"""Run log: runs and outcomes as they stood at the horizon, where a run may not have ended."""

from pathlib import Path

import pytest

from pipeline.model.outcomes import Outcome, RunStatus, Trigger
from pipeline.query.history import History
from tests.support.observations import after, database_of, seen, text
from tests.support.timeline import SCHEDULE, Ended, Missed, Ran, seen_fields, write_steps

FIRST = Ran(0, (Ended("IBM", 0.1, fields=seen_fields(EPS="1")), Ended("PEP", 0.2, Outcome.FAILED, attempts=3)), 1)
LONG = Ran(
    10,
    (
        Ended("IBM", 10.1, Outcome.UNCHANGED, seen_fields(EPS="1")),
        Ended("IBN", 11, Outcome.UNKNOWN, detail="{}"),
        Ended("PEP", 12, fields=seen_fields(EPS="2"), attempts=2),
        Ended("KO", 13, Outcome.DEFERRED, attempts=0),
    ),
    14,
    RunStatus.QUOTA_EXHAUSTED,
    detail="the quota has ended",
)


@pytest.fixture(scope="module")
def runs() -> Path:
    """Two runs, a fire time that was missed, noted only after the second, and an import."""
    database = database_of([seen(-50, "KO", EPS="9")])
    imported = Ran(30, (), 31, trigger=Trigger.IMPORT)
    write_steps(database, [FIRST, LONG, Missed(5, 20), imported])
    return database


def test_without_a_horizon_every_run_has_ended(runs: Path) -> None:
    with History.open(runs) as history:
        assert [one.id for one in history.runs()] == [4, 3, 2, 1]
        assert [one.id for one in history.runs(limit=2, before=3)] == [2, 1]
        assert [one.id for one in history.runs(before=1 << 80)] == [4, 3, 2, 1]
        assert (history.run(3).status, history.run(3).schedule) == (RunStatus.MISSED, SCHEDULE)  # type: ignore[union-attr]
        assert history.run(9) is history.run(1 << 80) is None
        last, complete = history.last_run(), history.last_complete_run()
        assert last is not None
        assert complete is not None
        assert (last.id, last.detail, complete.id) == (2, "the quota has ended", 1)


def test_a_run_that_ended_later_is_under_way_with_its_outcomes_so_far(runs: Path) -> None:
    with History.open(runs, until=after(12)) as history:
        (run, before) = history.runs()
        assert (run.id, run.status, run.finished_at, run.seconds, run.detail) == (2, "running", None, None, None)
        assert (run.stored, run.unchanged, run.unknown, run.deferred, run.requests) == (1, 1, 1, 0, 4)
        assert run == history.run(2)
        assert [one.symbol for one in history.outcomes(2)] == ["IBM", "IBN", "PEP"]
        assert (before.id, before.status, before.finished_at) == (1, "complete", text(1))
        assert history.last_run() == before
        assert history.last_run_started_at() == after(10)


def test_a_run_that_began_later_does_not_exist(runs: Path) -> None:
    with History.open(runs, until=after(9.999)) as history:
        assert [one.id for one in history.runs()] == [1]
        assert history.run(2) is None
        assert history.outcomes(2) == []
        assert history.last_run_started_at() == after(0)
    with History.open(runs, until=after(-1)) as history:
        assert history.runs() == []
        assert history.last_run() is history.last_complete_run() is None
        assert history.last_run_started_at() is None


def test_a_missed_fire_time_is_known_once_it_was_noted(runs: Path) -> None:
    with History.open(runs, until=after(19)) as history:
        assert [one.id for one in history.runs()] == [2, 1]
    with History.open(runs, until=after(20)) as history:
        assert [one.id for one in history.runs()] == [3, 2, 1]


def test_an_import_has_its_symbols_when_it_has_ended(runs: Path) -> None:
    with History.open(runs, until=after(30.5)) as history:
        run = history.run(4)
        assert run is not None
        assert (run.trigger, run.status) == ("import", "running")


def test_outcomes_come_in_pages_and_by_kind(runs: Path) -> None:
    with History.open(runs) as history:
        first = history.outcomes(2, limit=2)
        rest = history.outcomes(2, after=(first[-1].at, first[-1].symbol))
        assert [one.symbol for one in (*first, *rest)] == ["IBM", "IBN", "PEP", "KO"]
        assert [one.symbol for one in history.outcomes(2, only={"unknown", "deferred"})] == ["IBN", "KO"]
