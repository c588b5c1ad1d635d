"""`pipeline runs`: past runs, and the outcomes of one."""

import csv
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from tests.support.collected import Collected
from tests.support.commands import assert_refused, call_on_terminal


def test_runs_are_listed_newest_first(collected: Collected) -> None:
    runs = collected.at_sandbox("runs", "--json").json

    assert [run["id"] for run in runs] == [2, 1]
    assert all(run["status"] == "complete" and run["trigger"] == "manual" for run in runs)
    assert [run["id"] for run in collected.at_sandbox("runs", "--limit", "1", "--json").json] == [2]


def test_the_table_names_only_outcomes_that_occurred(collected: Collected) -> None:
    header, second, first = collected.at_sandbox("runs").out.splitlines()
    oldest = collected.at_sandbox("runs", "--json").json[-1]

    assert header.split() == ["id", "trigger", "started", "status", "due", "outcomes", "requests", "seconds"]
    assert f"{oldest['stored']} stored, {oldest['unknown']} unknown" in first
    assert "failed" not in first + second


def test_a_narrow_terminal_shows_when_each_run_started(collected: Collected, tmp_path: Path) -> None:
    database = collected.backup(tmp_path / "copy.db")
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE runs SET scheduled_for = started_at, stored = 480, unchanged = 10, failed = 3")

    header, *_, omitted = call_on_terminal(tmp_path, "runs", "--database", str(database), COLUMNS="80").out.splitlines()

    assert header.split() == ["id", "scheduled_for", "started", "status", "due", "outcomes"]
    assert "trigger, requests, seconds" in omitted


def test_every_format_has_the_same_facts(collected: Collected) -> None:
    as_json = collected.at_sandbox("runs", "--json").json
    as_lines = [json.loads(line) for line in collected.at_sandbox("runs", "--format", "jsonl").out.splitlines()]
    as_csv = list(csv.DictReader(StringIO(collected.at_sandbox("runs", "--format", "csv").out)))

    assert as_lines == as_json
    assert [{name: str("" if value is None else value) for name, value in run.items()} for run in as_json] == as_csv


def test_a_run_has_an_outcome_for_every_symbol(collected: Collected) -> None:
    outcomes = collected.at_sandbox("runs", "1", "--json").json

    assert {outcome["symbol"] for outcome in outcomes} == {*collected.names, collected.fund}
    assert {outcome["outcome"] for outcome in outcomes if outcome["symbol"] == collected.fund} == {"unknown"}
    assert all(outcome["attempts"] == 1 for outcome in outcomes)
    assert collected.fund in collected.at_sandbox("runs", "1").out
    assert len(collected.at_sandbox("runs", "1", "--format", "csv").out.splitlines()) == 14


def test_an_unknown_run_ends_with_1(collected: Collected) -> None:
    assert_refused(collected.at_sandbox("runs", "99"), ExitCode.FAILED, "99", "pipeline runs")


@pytest.mark.process
def test_outcomes_that_a_pager_takes_slowly_do_not_hold_the_file(collected: Collected, tmp_path: Path) -> None:
    database = collected.backup(tmp_path / "copy.db")
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("UPDATE outcomes SET detail = ? WHERE run_id = 1", ("x" * 50_000,))
        words = [sys.executable, "-m", "pipeline", "runs", "1", "--json", "--database", str(database)]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as printing:
            assert printing.stdout is not None
            assert printing.stdout.read(1) == b"["  # the rest is more than a pipe takes
            db.execute("UPDATE runs SET detail = 'later'")
            busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            printing.stdout.read()

    assert not busy
