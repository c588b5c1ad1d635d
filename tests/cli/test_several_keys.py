"""Several keys on one machine: collected with, and shown."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from tests.support.commands import assert_refused, call
from tests.support.sandbox import serving_beside

KEYS = """
[[keys]]
name = "main"
limits = ["3/day"]

[[keys]]
name = "second"
limits = ["2/day"]
"""
LISTED = '[symbols]\nlist = ["AAPL", "GOOG", "TSLA", "MSFT", "PEP", "KO"]\n'
FIRST, SECOND = "S3CR3TK3YOFOURS1", "0THERK3YOFOURS22"


def test_each_key_is_used_up_and_shown_with_what_it_has_left(folder: Path, configure: Callable[[str], object]) -> None:
    configure(LISTED + KEYS)

    run = call(folder, "collect", "--sandbox", "--latency", "0", "--json")
    status = call(folder, "status", "--json", "--database", "data/sandbox.db").json
    plan = call(folder, "plan", "--database", "data/sandbox.db")

    assert run.code == ExitCode.QUOTA, run.err
    assert (run.json["requests"], run.json["deferred"]) == (5, 1)
    assert [(one["key"], one["limit"], one["used"], one["left"]) for one in status["windows"]] == [
        ("main", "3/day", 3, 0),
        ("second", "2/day", 2, 0),
    ]
    assert [line.split()[:4] for line in plan.out.splitlines()[-2:]] == [
        ["main", "3/day", "3", "0"],
        ["second", "2/day", "2", "0"],
    ]


def test_the_keys_are_sent_and_are_not_in_the_database(folder: Path, configure: Callable[[str], object]) -> None:
    with serving_beside("3/day") as served:
        configure(f'{LISTED}[source]\nbase_url = "{served.base_url}"\n{KEYS}')
        ended = call(folder, "collect", "-v", ALPHAVANTAGE_API_KEY_MAIN=FIRST, ALPHAVANTAGE_API_KEY_SECOND=SECOND)

    assert ended.code == ExitCode.QUOTA
    assert (served.api.requests, served.api.refused) == (5, 0)
    left = [path.read_bytes() for path in (folder / "data").iterdir()]
    assert left
    for text in (*left, ended.out.encode(), ended.err.encode()):
        assert FIRST[:8].encode() not in text
        assert SECOND[:8].encode() not in text


@pytest.mark.parametrize("command", [["collect"], ["run"]])
def test_a_missing_key_is_named_by_its_variable(
    folder: Path, configure: Callable[[str], object], command: list[str]
) -> None:
    configure(LISTED + KEYS)

    ended = call(folder, *command, ALPHAVANTAGE_API_KEY_MAIN=FIRST)

    assert_refused(ended, ExitCode.REFUSED, "no API key for second", "ALPHAVANTAGE_API_KEY_SECOND")
    assert not (folder / "data").exists()


@pytest.mark.parametrize("command", [["collect"], ["run"]])
def test_a_member_of_a_fleet_collects_nothing_without_the_url_of_its_database(
    folder: Path, configure: Callable[[str], object], command: list[str]
) -> None:
    configure(f"{LISTED}[fleet]\n")

    ended = call(folder, *command, ALPHAVANTAGE_API_KEY=FIRST)

    assert_refused(ended, ExitCode.REFUSED, "[fleet] needs the URL", "PIPELINE_FLEET_URL")
    assert not (folder / "data").exists()
