"""`pipeline fleet import` and `detach`: from one machine into a fleet, and back."""

import asyncio
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from pipeline.quota.keys import fingerprint
from pipeline.store.log_place import followed
from tests.cli.commands.test_follow import add
from tests.support.commands import KEY, Ended, assert_refused, call
from tests.support.fleets import tables


@pytest.fixture
def own(folder: Path) -> Path:
    """Return a record that one machine collected."""
    plan = {"PIPELINE_SOURCE__PLAN": "premium-1200"}  # the free plan is one request a second
    assert call(folder, "collect", "--sandbox", "--database", "own.db", "IBM", "PEP", **plan).code == 0
    return folder / "own.db"


def fleet(folder: Path, url: str, *arguments: str) -> Ended:
    return call(folder, "fleet", *arguments, ALPHAVANTAGE_API_KEY=KEY, PIPELINE_FLEET_URL=url)


def test_a_new_fleet_takes_over_the_whole_record(folder: Path, own: Path, fleet_url: str) -> None:
    before = call(folder, "runs", "--database", "own.db", "--json").json

    ended = fleet(folder, fleet_url, "import", "own.db", "--json")
    again = fleet(folder, fleet_url, "import", "own.db", "--json")
    followed_it = call(folder, "follow", "--once", "--database", "other.db", PIPELINE_FLEET_URL=fleet_url)

    assert (ended.code, again.code, followed_it.code) == (0, 0, 0)
    assert list(ended.json) == ["database", "whole", "continued", "symbols", "observations"]
    assert (ended.json["whole"], ended.json["continued"], ended.json["symbols"]) == (True, False, 2)
    assert again.json["continued"]
    assert followed(own) is not None
    assert call(folder, "runs", "--database", "other.db", "--json").json == before
    theirs, ours = (
        call(folder, "history", "IBM", "--database", name, "--json").json for name in ("other.db", "own.db")
    )
    assert theirs == ours != []


@pytest.mark.usefixtures("own")
def test_what_it_did_is_said_with_what_to_do_next(folder: Path, fleet_url: str) -> None:
    shown = fleet(folder, fleet_url, "import", "own.db").out

    assert "of 2 symbols, and its runs" in shown
    assert "next: pipeline run --database own.db" in shown


def test_a_fleet_that_has_runs_takes_over_what_was_observed(folder: Path, own: Path, fleet_url: str) -> None:
    asyncio.run(add(fleet_url))
    with tables(fleet_url) as found:
        found.db.execute("DELETE FROM fleet.imports")

    ended = fleet(folder, fleet_url, "import", "own.db", "--json")

    assert (ended.code, ended.json["whole"]) == (0, False)
    assert followed(own) is None


def test_a_record_that_is_missing_or_a_followers_is_refused(folder: Path, fleet_url: str) -> None:
    asyncio.run(add(fleet_url, "IBM"))
    call(folder, "follow", "--once", "--database", "f.db", PIPELINE_FLEET_URL=fleet_url)

    assert_refused(fleet(folder, fleet_url, "import", "none.db"), ExitCode.FAILED, "none.db")
    assert_refused(fleet(folder, fleet_url, "import", "f.db"), ExitCode.REFUSED, "follows this fleet")


def test_a_detached_file_collects_within_what_the_fleet_has_left(folder: Path, fleet_url: str) -> None:
    asyncio.run(add(fleet_url, "IBM"))
    call(folder, "follow", "--once", "--database", "f.db", PIPELINE_FLEET_URL=fleet_url)
    with tables(fleet_url) as found:
        found.key(fingerprint(KEY), "")
        found.slot("PEP", finished=timedelta(seconds=10), key=fingerprint(KEY))
        found.member("beta")

    ended = fleet(folder, fleet_url, "detach", "--database", "f.db", "--json")

    assert list(ended.json) == ["database", "requests", "unreachable", "blocked_until", "running"]
    assert (ended.json["requests"], ended.json["unreachable"], ended.json["running"]) == (1, None, ["beta"])
    plan = call(folder, "plan", "--database", "f.db", "--json", ALPHAVANTAGE_API_KEY=KEY).json
    assert [window["used"] for window in plan["windows"]] == [1, 0]
    assert call(folder, "history", "IBM", "--database", "f.db").code == 0
    assert_refused(fleet(folder, fleet_url, "detach", "--database", "f.db"), ExitCode.REFUSED, "follows no fleet")


def test_detached_without_postgresql_it_waits_for_the_longest_window(folder: Path, fleet_url: str) -> None:
    asyncio.run(add(fleet_url, "IBM"))
    call(folder, "follow", "--once", "--database", "f.db", PIPELINE_FLEET_URL=fleet_url)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://me@127.0.0.1:{taken.getsockname()[1]}/fleet"

        ended = fleet(folder, url, "detach", "--database", "f.db")

    assert ended.code == 0
    assert "what counts in the plan is not known" in ended.out
    assert "no requests before" in ended.out
    assert "next: remove PIPELINE_FLEET_URL" in ended.out
    assert followed(folder / "f.db") is None
