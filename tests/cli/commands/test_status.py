"""`pipeline status`: what is stored, stale and left of the quota."""

import fcntl
import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from pipeline.errors import ExitCode
from pipeline.monitoring import heartbeat
from pipeline.store.lock import lock_path
from tests.support.collected import Collected
from tests.support.commands import Ended, call, query
from tests.support.monitoring import BEAT, HEARTBEAT_KEYS
from tests.support.observations import database_of, seen, text
from tests.support.timeline import Ended as Outcome
from tests.support.timeline import Ran, seen_fields, write_steps

QUARTER = "2025-12-31"


def test_without_a_database_everything_is_pending_and_it_ends_with_7(folder: Path) -> None:
    ended = call(folder, "status", "--json")

    assert ended.code == ExitCode.STALE
    assert "no database at data/overviews.db: create it with pipeline collect" in ended.err
    assert (ended.json["stale"], ended.json["pending"]) == ([], ["AAPL"])
    assert ended.json["last_run"] is None
    assert not (folder / "data").exists()


def test_status_in_json(collected: Collected) -> None:
    ended = collected.at_sandbox("status", "--json", PIPELINE_SOURCE__LIMITS='["25/day"]')

    status = ended.json
    assert ended.code == 0
    assert list(status) == [
        "database", "snapshots", "companies", "daemon", "next_run", "last_run", "last_run_on_demand", "missed",
        "windows", "presumed_requests", "stale", "pending", "unknown", "uncovered", "drift", "suspicions",
        "last_backup", "threshold", "fleet",
    ]  # fmt: skip
    assert status["database"] == "data/sandbox.db"
    assert status["snapshots"] >= status["companies"] >= 10
    assert status["last_run"]["id"] == 2
    assert status["last_run"]["status"] == "complete"
    assert status["stale"] == []
    assert collected.fund in status["unknown"]
    assert status["drift"] == {"unknown_fields": [], "absent_fields": [], "unreadable_fields": []}
    (window,) = status["windows"]
    assert list(window) == ["limit", "used", "left", "next_free_at", "key"]
    assert window["limit"] == "25/day"


def test_what_a_killed_run_without_limits_may_have_sent_is_said_to_be_a_bound(
    collected: Collected, tmp_path: Path
) -> None:
    def ask(database: Path, *more: str) -> Ended:
        return call(
            collected.folder, "status", "--database", str(database), *more, PIPELINE_SOURCE__LIMITS='["500/day"]'
        )

    database = collected.backup(tmp_path / "killed.db")
    assert "presumed" not in ask(database).out
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("INSERT INTO in_flight VALUES (1, 'k', '2026-03-14T18:30:00.000Z', 320)")

    assert re.search(r"presumed +320 requests, the most that a killed run", ask(database).out)
    status = ask(database, "--json").json
    (window,) = status["windows"]
    assert (status["presumed_requests"], window["used"] >= 320) == (320, True)


def test_it_ends_with_0_if_nothing_is_stale(collected: Collected) -> None:
    ended = collected.at_sandbox("status")

    assert ended.code == 0
    assert "no limits" in ended.out
    assert re.search(r"last run +2, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: complete", ended.out)


def test_it_ends_with_7_if_a_symbol_is_stale(collected: Collected) -> None:
    (name, *_) = collected.names
    ended = collected.at_sandbox(
        "status", PIPELINE_SYMBOLS__LIST=json.dumps([name]), PIPELINE_STATUS__STALE_AFTER_HOURS="0.000001"
    )

    assert ended.code == ExitCode.STALE
    assert re.search(rf"stale +1 \({name}\)", ended.out)
    assert "pending" not in ended.out


def test_what_a_clock_ahead_observed_is_stale_and_points_to_doctor(collected: Collected, tmp_path: Path) -> None:
    (name, *_) = collected.names
    database = collected.backup(tmp_path / "ahead.db")
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE symbols SET last_overview = '2999-01-01T00:00:00.000Z' WHERE symbol = ?", (name,))

    ended = call(collected.folder, "status", "--database", str(database))

    assert ended.code == ExitCode.STALE
    assert re.search(rf"stale +1 \({name}\)", ended.out)
    assert re.search(rf"in the future +1 \({name}\) last seen: pipeline doctor", ended.out)
    assert call(collected.folder, "status", "--database", str(database), "--json").json["stale"] == [name]


def test_a_field_with_several_suspicious_changes_is_named_once() -> None:
    values = enumerate(("100", "0", "100", "0"))
    database = database_of([seen(hour, RevenueTTM=value, LatestQuarter=QUARTER) for hour, value in values])
    write_steps(
        database, [Ran(48, (Outcome("IBM", 49, fields=seen_fields(RevenueTTM="0", LatestQuarter=QUARTER)),), 51)]
    )
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE runs SET started_at = ?", (text(0),))

    ended = call(database.parent, "status", "--database", str(database))
    in_json = call(database.parent, "status", "--database", str(database), "--json").json

    assert len(in_json["suspicions"]) > 1, "or the test shows nothing"
    assert re.search(r"suspicious +IBM revenue_ttm: pipeline", ended.out)


def test_a_run_under_way_whose_lock_is_free_has_died(collected: Collected, tmp_path: Path) -> None:
    database = collected.backup(tmp_path / "killed.db")
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE runs SET status = 'running', finished_at = NULL, seconds = NULL WHERE id = 2")

    def said() -> str:
        return call(collected.folder, "status", "--database", str(database)).out

    assert "so far, unless its process died" in said(), "a copy: nothing is known of the process"
    with lock_path(database).open("w") as file:
        assert re.search(r"\d+ of \d+ when its process died", said())
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "so far, unless its process died" in said()


def test_a_symbol_that_was_just_added_to_the_list_is_pending_and_not_stale(collected: Collected) -> None:
    ended = collected.at_sandbox("status", PIPELINE_SYMBOLS__LIST='["NEVERASKED"]')

    assert ended.code == 0
    assert re.search(r"stale +0\n", ended.out)
    assert re.search(r"pending +1 \(NEVERASKED\): ", ended.out)
    assert re.search(r"unseen +1 \(NEVERASKED\): .*reload the daemon", ended.out)


def test_a_company_that_the_api_denies_is_named(stored: Path) -> None:
    ended = query(stored, "status", PIPELINE_SYMBOLS__LIST='["IBM", "PEP"]')

    assert re.search(r"uncovered +1 \(IBM\): ", ended.out)
    assert re.search(r"not covered +0\n", ended.out)
    found = query(stored, "status", "--json", PIPELINE_SYMBOLS__LIST='["IBM", "PEP"]').json
    assert (found["unknown"], found["uncovered"]) == (["IBM"], ["IBM"])


def test_what_clients_caused_last_has_a_line_and_is_not_the_last_run(stored: Path, tmp_path: Path) -> None:
    database = tmp_path / "overviews.db"
    shutil.copy(stored, database)
    before = query(database, "status", "--json").json
    assert before["last_run_on_demand"] is None
    with closing(sqlite3.connect(database)) as db, db:
        db.execute(
            "INSERT INTO runs (trigger, started_at, status, symbols, due, rejected, detail)"
            " VALUES ('on_demand', '2026-03-15T10:00:00.000Z', 'failed', 1, 1, 1, 'not strict JSON')"
        )
    after = query(database, "status", "--json").json
    assert after["last_run"] == before["last_run"]
    assert after["last_run_on_demand"]["status"] == "failed"
    assert "2026-03-15 10:00:00 UTC: failed, 1 rejected: not strict JSON" in query(database, "status").out


def test_the_daemon_in_json_has_the_keys_of_its_heartbeat(folder: Path) -> None:
    (folder / "data").mkdir()
    heartbeat.write(folder / "data" / "overviews.db", BEAT)

    ended = call(folder, "status", "--json")

    assert list(ended.json["daemon"]) == HEARTBEAT_KEYS
    assert ended.json["daemon"]["at"] == "2026-03-14T18:30:00.000Z"
