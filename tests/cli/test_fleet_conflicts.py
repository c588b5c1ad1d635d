"""One fleet or none: no command mixes a fleet's record with one that a machine collects for itself."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from tests.cli.commands.test_follow import add
from tests.support.commands import KEY, Ended, assert_refused, call
from tests.support.observations import database_of, seen

FLEET = "5f3c9a52-0000-4000-8000-000000000001"
URL = "postgresql://me@127.0.0.1:9/fleet"
"""Where nobody listens: what is refused is refused without a look."""
COMMANDS = [["collect", "AAPL"], ["run"], ["import", "x.jsonl"]]


@pytest.fixture
def own(folder: Path) -> Path:
    """Return a record that a single machine collected."""
    (folder / "x.jsonl").write_text("")
    return Path(shutil.copyfile(database_of([seen(0, EPS="1")]), folder / "own.db"))


@pytest.fixture
def follower(folder: Path, own: Path) -> Path:
    """Return a record that follows a fleet."""
    path = folder / "follower.db"
    path.write_bytes(own.read_bytes())
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO followed (id, fleet, timeline, seq) VALUES (1, ?, 1, 5)", (FLEET,))
    return path


def called(folder: Path, arguments: list[str], database: Path, url: str | None) -> Ended:
    variables = {} if url is None else {"PIPELINE_FLEET_URL": url}
    return call(folder, *arguments, "--database", str(database), ALPHAVANTAGE_API_KEY=KEY, **variables)


@pytest.mark.parametrize("arguments", [*COMMANDS, ["restore", "own.db"]])
def test_a_followers_file_is_refused_where_no_fleet_is_configured(
    folder: Path, follower: Path, arguments: list[str]
) -> None:
    before = follower.read_bytes()

    ended = called(folder, arguments, follower, None)

    assert_refused(ended, ExitCode.REFUSED, "follows the fleet", FLEET, "pipeline fleet detach")
    assert follower.read_bytes() == before


@pytest.mark.process  # Procrastinate, when it is first imported, asks a program what Python is built for
@pytest.mark.parametrize("arguments", [["collect", "AAPL"], ["run"]])
def test_a_single_machines_file_is_refused_in_a_fleet(folder: Path, own: Path, arguments: list[str]) -> None:
    before = own.read_bytes()

    ended = called(folder, arguments, own, URL)

    assert_refused(ended, ExitCode.REFUSED, "single machine", "pipeline fleet import")
    assert own.read_bytes() == before


def test_nothing_is_imported_into_a_members_file_alone(folder: Path, follower: Path) -> None:
    ended = called(folder, ["import", "x.jsonl"], follower, URL)

    assert_refused(ended, ExitCode.REFUSED, "would not reach the others", "pipeline fleet import")


def test_a_single_machines_backup_is_not_restored_in_a_fleet(folder: Path, own: Path, follower: Path) -> None:
    ended = called(folder, ["restore", str(own)], follower, URL)

    assert_refused(ended, ExitCode.REFUSED, "single machine")


def test_a_followers_backup_is_restored_in_a_fleet_and_on_a_new_machine(folder: Path, follower: Path) -> None:
    for name, url in (("new.db", URL), ("other.db", None)):
        restored = called(folder, ["restore", str(follower)], folder / name, url)
        assert restored.code == 0
        assert "no requests before" not in restored.out


def test_a_file_that_follows_another_fleet_is_refused(folder: Path, follower: Path, fleet_url: str) -> None:
    asyncio.run(add(fleet_url, "IBM"))

    ended = called(folder, ["follow", "--once"], follower, fleet_url)

    assert ended.code == ExitCode.REFUSED
    assert f"follows another fleet ({FLEET}" in ended.err


@pytest.fixture
def desk(tmp_path: Path, follower: Path) -> Path:
    """Return a folder without a configuration; the follower's file has no schedule."""
    folder = tmp_path / "desk"
    folder.mkdir()
    with closing(sqlite3.connect(follower)) as db, db:
        db.execute("DELETE FROM schedules")
    return folder


def test_a_follower_without_a_list_of_its_own_shows_the_fleets_and_no_quota_that_nobody_has(
    desk: Path, follower: Path
) -> None:
    with closing(sqlite3.connect(follower)) as db, db:
        db.execute("INSERT INTO schedules VALUES ('5 4 * * * Asia/Tokyo', '2026-01-01T00:00:00.000Z')")
        db.execute(
            "INSERT INTO schedules VALUES ('5 4 * * * Mars/Olympus', '2026-01-01T00:00:00.000Z')"
        )  # not known here
        listed = [(one, "2026-01-01T00:00:00.000Z", f"fleet {FLEET}") for one in ("IBM", "PEP")]
        db.execute("DELETE FROM universe")
        db.executemany("INSERT INTO universe (symbol, since, configuration) VALUES (?, ?, ?)", listed)

    def shown(*arguments: str) -> Ended:
        return call(desk, *arguments, "--database", str(follower))

    status, text, plan = shown("status", "--json"), shown("status"), shown("plan", "--json").json
    assert status.json["next_run"].endswith("T19:05:00.000Z")
    assert status.json["stale"] == ["IBM", "PEP"]
    assert status.json["windows"] is None
    assert "set PIPELINE_FLEET_URL" in text.out
    assert "25/day" not in text.out
    assert (plan["symbols"], plan["windows"], plan["finish_at"]) == (2, None, None)
    assert [row["symbol"] for row in shown("symbols", "--json").json] == ["IBM", "PEP"]
    coming = shown("schedule", "--json").json
    assert {(row["schedule"], row["symbols"]) for row in coming} == {("5 4 * * * Asia/Tokyo", 2)}
    assert "IBM, PEP" in shown("health").out


def test_a_fleet_whose_log_has_brought_no_schedule_yet_has_no_threshold_that_cannot_hold(
    desk: Path, follower: Path
) -> None:
    for command in ("status", "plan"):
        shown = call(desk, command, "--database", str(follower)).out
        assert "threshold" not in shown
        assert "pipeline run" not in shown


def test_what_only_reads_answers_from_a_followers_file_as_from_any(folder: Path, follower: Path) -> None:
    assert f"runs of the fleet {FLEET}, as of entry 5" in called(folder, ["runs"], follower, None).err
    assert called(folder, ["runs", "--json"], follower, None).err == ""
    for arguments in (["as-of", "now"], ["history", "IBM"], ["backup", "copy.db"]):
        assert called(folder, arguments, follower, None).code == 0
