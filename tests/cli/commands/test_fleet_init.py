"""`pipeline fleet init`: a fleet is made, and members have to agree with this machine's configuration."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from pipeline.fleet.agreement import Agreement
from pipeline.quota.keys import fingerprint
from tests.support.commands import KEY, Ended, assert_refused, call
from tests.support.fleet_log import rows
from tests.support.fleets import tables
from tests.support.postgres import Databases


def init(folder: Path, url: str, *arguments: str, **variables: str) -> Ended:
    given = {"PIPELINE_FLEET_URL": url, "ALPHAVANTAGE_API_KEY": KEY} | variables
    return call(folder, "fleet", "init", *arguments, **given)


def test_a_fleet_is_made_once_with_the_limits_and_schedules_of_this_machine(folder: Path, postgres: Databases) -> None:
    with postgres.empty() as url:
        made, again = init(folder, url, "--json"), init(folder, url)

        (settings,) = rows(url, "SELECT settings FROM fleet.agreed")[0]
        limits = rows(url, "SELECT key_id, count, period FROM fleet.limits WHERE NOT is_for_retries ORDER BY period")
        seen = call(folder, "fleet", "--json", PIPELINE_FLEET_URL=url).json

    assert made.code == again.code == 0
    assert list(made.json) == ["fleet", "schema_before", "schema", "keys", "schedules", "changed", "running"]
    assert (made.json["schema_before"], made.json["schema"], made.json["changed"]) == (0, 1, None)
    assert f"{made.json['fleet']}, as before" in again.out
    assert "25/day" in again.out
    assert list(Agreement.from_text(settings).ids) == [fingerprint(KEY)]
    key, day = fingerprint(KEY), timedelta(days=1)
    assert limits == [(key, 1, timedelta(seconds=1)), (key, 25, day)]
    assert seen["agreed_at"] is not None
    assert KEY not in made.out + again.out + settings


def test_what_was_agreed_before_is_replaced_and_the_members_that_run_are_named(
    folder: Path, fleet_url: str, configure: Callable[[str], object]
) -> None:
    init(folder, fleet_url)
    with tables(fleet_url) as fleet:
        fleet.member("alpha", keys=[fingerprint(KEY)])
    configure('[symbols]\nlist = ["AAPL"]\n[source]\nplan = "premium-75"')

    changed = init(folder, fleet_url)

    assert "the limits of the key" in changed.out
    assert "25/day" in changed.out
    assert "alpha: they read their configuration again now" in changed.out
    assert init(folder, fleet_url, "--json").json["changed"] is None


def test_a_record_that_this_machine_collected_is_to_be_imported_next(folder: Path, fleet_url: str) -> None:
    call(folder, "collect", "--sandbox", "AAPL", "--database", "own.db")

    ended = init(folder, fleet_url, "--database", "own.db")

    assert "next: pipeline fleet import own.db" in ended.out
    status = call(folder, "status", "--database", "own.db", PIPELINE_FLEET_URL=fleet_url)
    assert "up to date" not in status.out
    assert "pipeline fleet import" in status.out


def test_the_limits_of_keys_that_are_held_elsewhere_are_set_too(
    folder: Path, fleet_url: str, configure: Callable[[str], object]
) -> None:
    both = '[symbols]\nlist = ["AAPL"]\n[[fleet.keys]]\nname = "one"\nplan = "{}"\n[[fleet.keys]]\nname = "two"\n'
    configure(both.format("premium-75"))
    init(folder, fleet_url, ALPHAVANTAGE_API_KEY_ONE=KEY)
    configure(both.format("premium-150"))

    ended = init(folder, fleet_url, ALPHAVANTAGE_API_KEY="")

    assert "not set here: one, two" in ended.out
    assert "one 150/minute" in ended.out
    limits = rows(fleet_url, "SELECT key_id, max(count) FROM fleet.limits WHERE NOT is_for_retries GROUP BY 1")
    assert limits == [(fingerprint(KEY), 150)]
    (settings,) = rows(fleet_url, "SELECT settings FROM fleet.agreed")[0]
    assert Agreement.from_text(settings).ids == {fingerprint(KEY): "one"}
    configure('[symbols]\nlist = ["AAPL"]\n[[fleet.keys]]\nname = "two"\n')
    assert "the fleet had the key one" in init(folder, fleet_url).out


def test_a_newer_schema_is_refused(folder: Path, fleet_url: str) -> None:
    with tables(fleet_url) as fleet:
        fleet.db.execute("UPDATE fleet.about SET version = 99")

    for arguments in (["fleet", "init"], ["fleet"]):
        ended = call(folder, *arguments, PIPELINE_FLEET_URL=fleet_url)
        assert_refused(ended, ExitCode.REFUSED, "schema is version 99", "update this machine")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["innit"], ["unknown command 'innit'", "did you mean init?"]),
        (["--json", "init"], ["write the options of init after it"]),
    ],
)
def test_wrong_usage_is_refused(folder: Path, arguments: list[str], words: list[str]) -> None:
    assert_refused(call(folder, "fleet", *arguments), ExitCode.USAGE, *words, "(pipeline fleet --help)")


def test_the_commands_below_fleet_are_completed(folder: Path) -> None:
    words = {"COMP_WORDS": "pipeline fleet in", "COMP_CWORD": "2"}

    assert "init" in call(folder, _PIPELINE_COMPLETE="bash_complete", **words).out
