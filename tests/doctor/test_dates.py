"""Checks of dates: what a wrong clock dated is counted, with what corrects it; an honest import never is."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipeline import instants
from pipeline.api.server_time import MOST_OFF
from pipeline.audit.corrections import Correction, correct
from pipeline.audit.misdated import misdated_observations
from pipeline.doctor.dates import check_dates
from pipeline.doctor.findings import Finding, Level
from pipeline.model.invented import INVENTED
from pipeline.store.writer import open_writer
from tests.support.clocks import START
from tests.support.observations import Observed, database_of, seen, text, uncovered

NOW = START + timedelta(days=7)
UNSET = datetime.fromisoformat("1970-01-01T00:00:12.345Z")
YEAR = 24 * 365


def found(path: Path, now: datetime = NOW) -> list[Finding]:
    with closing(sqlite3.connect(path)) as db:
        return list(check_dates(db, now))


def shown(hours: float) -> str:
    return instants.text_for_people(text(hours))


def run_at(path: Path, began: str, ended: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(
            "INSERT INTO runs (trigger, status, started_at, finished_at) VALUES ('manual', 'complete', ?, ?)",
            (began, ended),
        )


def test_what_is_from_the_future_is_counted_with_the_command_that_corrects_it() -> None:
    path = database_of([seen(0), seen(YEAR), seen(YEAR + 1), seen(YEAR + 2, EPS="1"), uncovered(YEAR + 3, "PEP")])

    (one,) = found(path)

    assert one.level is Level.PROBLEM
    assert one.found == f"4 observations of 2 symbols are from the future: {shown(YEAR)} to {shown(YEAR + 3)}"
    assert f"pipeline correct --since {text(YEAR)} --until {text(YEAR + 3)} " in str(one.remedy)


def test_a_clock_that_is_not_set_accuses_no_record_of_the_future() -> None:
    path = database_of([seen(0), seen(1)])
    run_at(path, text(0), text(1))

    (one,) = found(path, UNSET)

    assert one.level is Level.NOTE
    assert "not compared: the clock is not set" in one.found
    assert "pipeline correct" not in str(one.remedy)


def test_by_a_clock_that_is_behind_it_is_compared_before_anything_is_corrected() -> None:
    path = database_of([seen(0), seen(1)])
    run_at(path, text(0), text(1))

    remedies = [str(one.remedy) for one in found(path, START - timedelta(days=1))]

    assert len(remedies) == 2
    for remedy in remedies:
        assert remedy.index("pipeline doctor --online") < remedy.index("the record is right")
        assert remedy.index("the record is right") < remedy.index("pipeline correct")


@pytest.mark.parametrize(
    ("behind", "level"),
    [
        (timedelta(seconds=59), Level.OK),
        (timedelta(minutes=4), Level.NOTE),
        (MOST_OFF, Level.NOTE),
        (MOST_OFF + timedelta(seconds=1), Level.PROBLEM),
    ],
)
def test_a_difference_that_collect_accepts_is_no_problem(behind: timedelta, level: Level) -> None:
    (one,) = found(database_of([seen(0)]), START - behind)

    assert one.level is level
    assert ("pipeline correct" in str(one.remedy)) == (level is Level.PROBLEM)


def test_what_an_unset_clock_dated_is_found_and_its_run() -> None:
    path = database_of([Observed("IBM", UNSET, {"Symbol": "IBM"}), seen(0)])
    run_at(path, "2025-12-31T23:59:59.000Z", "2025-12-31T23:59:59.500Z")
    run_at(path, text(0), text(YEAR))

    early, run, later = found(path)

    assert early.found == "1 observation of 1 symbol is from before there was the API: at 1970-01-01 00:00:12 UTC"
    assert run.found.startswith("1 run is from before there was this program: at 2025-12-31 23:59:59 UTC")
    assert later.found == f"1 run is from the future: at {shown(YEAR)}"
    assert {one.level for one in (early, run, later)} == {Level.PROBLEM}


def test_one_command_moves_runs_with_their_observations() -> None:
    path = database_of([seen(YEAR), seen(YEAR + 1)])
    run_at(path, text(YEAR - 1), text(YEAR + 2))

    remedies = {one.remedy for one in found(path)}

    (remedy,) = remedies
    assert f"pipeline correct --since {text(YEAR - 1)} --until {text(YEAR + 2)} " in str(remedy)


@pytest.mark.parametrize("at", ["2017-01-01T00:00:00Z", "2020-06-01T00:00:00Z", instants.to_text(NOW)])
def test_an_honest_import_is_never_accused(at: str) -> None:
    (one,) = found(database_of([Observed("IBM", datetime.fromisoformat(at), {"Symbol": "IBM"})]))

    assert one.level is Level.OK


def test_the_sandbox_may_simulate_any_day_of_the_past() -> None:
    path = database_of([Observed("IBM", UNSET, {"Symbol": "IBM", "Description": INVENTED})])
    run_at(path, "1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000Z")

    assert [one.level for one in found(path)] == [Level.OK]


def test_a_follower_is_told_that_the_log_has_it_too() -> None:
    path = database_of([seen(YEAR)])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("INSERT INTO followed (id, fleet, timeline, seq) VALUES (1, 'f', 1, 7)")

    assert "pipeline fleet detach" in str(found(path)[0].remedy)


def test_the_command_that_it_names_corrects_it() -> None:
    path = database_of([seen(0), seen(YEAR), seen(YEAR + 1, EPS="1")])
    run_at(path, text(YEAR), text(YEAR + 1))
    since, until = (START + timedelta(hours=hours) for hours in (YEAR, YEAR + 1))

    asyncio.run(_do(path, Correction(since, until, timedelta(hours=5 - YEAR), NOW)))

    assert [one.level for one in found(path)] == [Level.OK]


async def _do(path: Path, correction: Correction) -> None:
    async with open_writer(path) as writer:
        await writer.write(correct, correction)


def test_nothing_is_read_but_by_seeking() -> None:
    path = database_of([seen(0)])
    plan: list[str] = []
    with closing(sqlite3.connect(path)) as db:
        db.set_trace_callback(plan.append)
        misdated_observations(db, since=text(0), until=text(1))
        db.set_trace_callback(None)
        (query,) = plan
        steps = [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN {query}")]

    sought = [step for step in steps if step.startswith("SEARCH")]
    assert len(sought) == 6, steps
    assert all("(symbol=? AND " in step for step in sought), steps
