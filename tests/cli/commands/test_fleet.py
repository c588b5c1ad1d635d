"""`pipeline fleet`: members, keys, log and runs, what is stuck, and what it says where there is no fleet."""

import re
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from tests.support.commands import KEY, Ended, assert_refused, call
from tests.support.fleets import Tables, tables
from tests.support.postgres import Databases

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def fleet(fleet_url: str) -> Iterator[Tables]:
    with tables(fleet_url) as found:
        yield found


def asked(folder: Path, fleet: Tables, *arguments: str) -> Ended:
    return call(folder, "fleet", *arguments, PIPELINE_FLEET_URL=fleet.url)


def fill(fleet: Tables) -> int:
    """Let a member and a follower be there, with two keys, and a run that is half done. Return its number."""
    fleet.agree()
    fleet.key("k1", "one", (75, MINUTE), (5, timedelta(seconds=1)))
    fleet.key("k2", "two")
    fleet.slot("A", finished=timedelta(seconds=20))
    fleet.member("alpha", keys=["k1", "k2"], symbols=5, symbols_digest="d", followed=1200, head=1234)
    fleet.member("desk", role="follower", keys=[], followed=34, head=1234)
    fleet.head(1234)
    run = fleet.run(batches=2, done=1)
    fleet.job(run, 1)
    fleet.outcome(run, "S0", ago=timedelta(seconds=5))
    return run


def test_a_fleet_that_is_well_is_shown_and_it_ends_with_0(tmp_path: Path, fleet: Tables) -> None:
    run = fill(fleet)

    ended = asked(tmp_path, fleet)

    lines = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert ended.code == 0
    assert ended.err == ""
    assert "nothing is stuck" in lines
    assert "log 1,234 entries" in lines
    assert "running 1 member, 1 follower" in lines
    assert any(re.fullmatch(r"alpha member running \d+ s ago \+0.00 s 34 one, two 1\.0", line) for line in lines)
    assert any(re.fullmatch(r"desk follower running \d+ s ago \+0.00 s 1,200 - 1\.0", line) for line in lines)
    assert "one 75/minute 1 74 now alpha" in lines
    assert "5/second 0 5 now" in lines
    assert any(re.match(rf"{run} .* alpha 2 1 1 of 2 daily$", line) for line in lines)
    assert max(map(len, ended.out.splitlines())) <= 80


def test_the_json_has_stable_names(tmp_path: Path, fleet: Tables) -> None:
    fill(fleet)

    ended = asked(tmp_path, fleet, "--json")

    found = ended.json
    assert ended.code == 0
    assert list(found) == [
        "fleet", "since", "at", "schema", "server", "agreed_at", "agreed_by", "log_entries", "members", "keys", "runs",
        "problems",
    ]  # fmt: skip
    alpha, desk = found["members"]
    assert list(alpha) == [
        "name", "role", "state", "version", "keys", "started_at", "last_beat_at", "left_at", "clock_ahead_seconds",
        "followed", "behind", "symbols", "trouble",
    ]  # fmt: skip
    assert (alpha["state"], alpha["keys"], alpha["behind"], desk["behind"]) == ("running", ["one", "two"], 34, 1200)
    one, _ = found["keys"]
    assert list(one) == [
        "name", "fingerprint", "held_by", "windows", "blocked_until", "blocked_reason", "paused_until", "next_free_at",
        "no_longer_used",
    ]  # fmt: skip
    assert one["windows"][0] == {"limit": "75/minute", "used": 1, "left": 74, "next_free_at": None, "key": "one"}
    (run,) = found["runs"]
    assert (run["due"], run["ended"], run["batches"], run["batches_done"], run["jobs"]) == (2, 1, 2, 1, 1)
    assert found["problems"] == []


def test_what_is_stuck_comes_with_its_remedy_and_it_ends_with_7(tmp_path: Path, fleet: Tables) -> None:
    fill(fleet)
    fleet.member("beta", beat=5 * MINUTE)
    fleet.db.execute("UPDATE fleet.keys SET blocked_until = now() + '1 hour' WHERE id = 'k2'")

    ended = asked(tmp_path, fleet)

    assert ended.code == ExitCode.STALE
    assert re.search(r"problem  member +beta has died.*\n +-> start pipeline run there", ended.out)
    assert re.search(r"two: blocked until .* UTC: the quota has ended", ended.out)
    assert asked(tmp_path, fleet, "--json").json["problems"][0]["subject"] == "beta"


def test_a_warning_alone_ends_with_0(tmp_path: Path, fleet: Tables) -> None:
    fill(fleet)
    fleet.db.execute("UPDATE fleet.members SET clock_ahead = '5 minutes' WHERE name = 'alpha'")

    ended = asked(tmp_path, fleet)

    assert ended.code == 0
    assert re.search(r"note +clock +the clock of alpha is 5 min ahead of PostgreSQL's", ended.out)


def test_without_a_url_it_is_refused(folder: Path) -> None:
    assert_refused(call(folder, "fleet"), ExitCode.REFUSED, "PIPELINE_FLEET_URL")


def test_a_server_that_does_not_answer_is_said_in_a_line_without_the_password(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://me:a-s3cret-password@127.0.0.1:{taken.getsockname()[1]}/fleet"

        ended = call(folder, "fleet", PIPELINE_FLEET_URL=url)

    assert_refused(ended, ExitCode.FAILED, "PostgreSQL at 127.0.0.1", "cannot be reached", "refused")
    assert "s3cret" not in ended.err


def test_status_and_plan_go_by_the_fleets_quota(folder: Path, fleet: Tables) -> None:
    fill(fleet)
    member = {"PIPELINE_FLEET_URL": fleet.url, "PIPELINE_FLEET__NAME": "alpha"}

    status, plan = (call(folder, command, "--json", **member).json for command in ("status", "plan"))
    shown = [call(folder, command, **member).out for command in ("status", "plan")]

    assert status["fleet"]["members"] == 1
    assert status["windows"] == plan["windows"]
    assert [(one["key"], one["used"]) for one in plan["windows"]] == [("one", 1), ("one", 0), ("two", 0)]
    assert plan["fleet"] == {"reachable": True, "trouble": None}
    assert plan["finish_at"] is not None
    assert "1 member, 1 follower running" in shown[0]
    assert "75/minute" in shown[0]
    assert "75/minute" in shown[1]


def test_without_postgresql_status_plan_and_health_say_so_and_go_on(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://me:a-s3cret-password@127.0.0.1:{taken.getsockname()[1]}/fleet"

        status, plan = (call(folder, command, PIPELINE_FLEET_URL=url) for command in ("status", "plan"))
        as_json = call(folder, "plan", "--json", PIPELINE_FLEET_URL=url).json

    for ended in (status, plan):
        assert "cannot be reached" in ended.out
        assert "no limits" not in ended.out
        assert "s3cret" not in ended.out + ended.err
    assert plan.code == 0
    assert (as_json["due"], as_json["finish_at"], as_json["days"], as_json["windows"]) == (1, None, None, None)
    assert as_json["fleet"]["reachable"] is False


def test_no_command_shows_the_password_or_a_key(folder: Path, fleet: Tables, postgres: Databases) -> None:
    """With a server that does not answer, one that does, a database without a fleet, and a URL that is none."""
    own = call(folder, "collect", "--sandbox", "--database", "own.db", "IBM")
    commands = (
        ["fleet"], ["fleet", "--json"], ["fleet", "init"], ["fleet", "import", "own.db"], ["fleet", "detach"],
        ["follow", "--once"], ["doctor", "--online", "--json"], ["status"], ["plan"], ["health"], ["collect"], ["runs"],
    )  # fmt: skip
    with socket.socket() as taken, postgres.empty() as empty:
        taken.bind(("127.0.0.1", 0))
        closed = f"postgresql://me:a-s3cret-password@127.0.0.1:{taken.getsockname()[1]}/fleet"
        there = [url.replace("postgres@", "postgres:a-s3cret-password@") for url in (fleet.url, empty)]
        urls = (closed, *there, f"{closed}?a-s3cret-password")
        source = {"PIPELINE_SOURCE__BASE_URL": "http://127.0.0.1:9/query", "PIPELINE_COLLECT__ATTEMPTS": "1"}
        member = {"ALPHAVANTAGE_API_KEY": KEY, **source}
        ended = [call(folder, *words, PIPELINE_FLEET_URL=url, **member) for url in urls for words in commands]

    assert own.code == 0
    for one in ended:
        assert "s3cret" not in one.out + one.err
        assert KEY not in one.out + one.err
        assert "Traceback" not in one.err
