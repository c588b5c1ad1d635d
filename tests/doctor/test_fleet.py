"""Checks of the fleet: this machine's part in it, its PostgreSQL, and what is stuck."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline import extras
from pipeline.api.reachability import Reason
from pipeline.doctor.checkup import findings
from pipeline.doctor.configuration import check_keys
from pipeline.doctor.findings import Finding, Level
from pipeline.doctor.fleet import check_fleet
from pipeline.errors import Trouble
from pipeline.fleet.agreement import Agreement
from pipeline.fleet.examination import Examined, Pooling, examine
from pipeline.instants import utc_now
from pipeline.monitoring.checks import Kind
from pipeline.quota.keys import ApiKey, KeyPlan
from pipeline.schedule.cron import Schedule
from pipeline.settings.api_keys import api_keys
from pipeline.settings.environment import API_KEY, FLEET_URL, Environment
from pipeline.settings.errors import SettingsError
from pipeline.settings.fleet import Fleet
from pipeline.settings.load import Settings
from tests.support.clocks import START
from tests.support.commands import KEY
from tests.support.fleets import Tables, tables
from tests.support.observations import database_of, seen


@pytest.fixture
def member(settings: Settings) -> Settings:
    return replace(settings, fleet=Fleet("alpha"))


@pytest.fixture
def fleet(fleet_url: str) -> Iterator[Tables]:
    with tables(fleet_url) as found:
        found.agree()
        found.member("alpha")
        yield found


def checked(settings: Settings, examined: Examined | Trouble | None = None, url: str | None = "") -> list[Finding]:
    variables = {} if url is None else {FLEET_URL: url or "postgresql://me@db.example/fleet"}
    return list(check_fleet(settings, Environment(variables), examined))


def test_without_a_fleet_nothing_is_said(settings: Settings) -> None:
    assert checked(settings, url=None) == []


def test_a_fleet_without_its_url_is_a_problem(member: Settings) -> None:
    (found,) = checked(member, url=None)

    assert found.level is Level.PROBLEM
    assert FLEET_URL in found.found


def test_without_its_packages_a_fleet_is_a_problem(member: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "have_fleet", lambda: False)

    (found,) = checked(member)

    assert found.level is Level.PROBLEM
    assert "pip install" in str(found.remedy)


def test_a_server_that_nobody_tried_is_noted(member: Settings) -> None:
    configured, untried = checked(member)

    assert (configured.level, configured.found) == (Level.OK, "configured as alpha")
    assert untried.level is Level.NOTE
    assert "--online" in str(untried.remedy)


def test_why_a_server_does_not_answer_is_a_problem(member: Settings) -> None:
    _, found = checked(member, Trouble("PostgreSQL at x cannot be reached", remedy="start it"))

    assert (found.level, found.found, found.remedy) == (Level.PROBLEM, "PostgreSQL at x cannot be reached", "start it")


def test_a_fleet_that_is_well_has_no_problem_and_its_limits_scope_is_said(member: Settings, fleet: Tables) -> None:
    examined = examine(fleet.url, now=utc_now)
    found = checked(member, replace(examined, unsafe=()), fleet.url)

    assert {one.level for one in found} == {Level.OK}
    text = "\n".join(one.found for one in found)
    assert "1 member and 0 followers" in text
    assert "this clock is 0 s" in text
    assert "what another program sends with the same keys is not counted" in text


def test_a_server_that_may_forget_commits_is_noted(member: Settings, fleet: Tables) -> None:
    """That of the tests does, and so it is quick."""
    found = checked(member, examine(fleet.url, now=utc_now), fleet.url)

    assert [one.remedy for one in found if one.level is Level.NOTE] == ["set fsync = on", "set full_page_writes = on"]


def test_clock_and_pooler_are_examined(member: Settings, fleet: Tables) -> None:
    examined = examine(fleet.url, now=lambda: utc_now() - timedelta(minutes=10))
    assert examined.pooling is Pooling.NONE

    found = checked(member, replace(examined, pooling=Pooling.TRANSACTION, unsafe=()))

    (clock,) = (one for one in found if one.level is Level.NOTE)
    assert "10 min behind PostgreSQL's" in clock.found
    assert "through a pooler in mode transaction" in [one.found for one in found]


def test_a_machine_that_only_follows_needs_no_key(member: Settings) -> None:
    (found,) = check_keys(member, Environment({API_KEY: ""}))

    assert found.level is Level.NOTE
    assert "pipeline follow" in str(found.remedy)


def test_a_key_that_is_set_and_not_read_is_said_as_run_says_it(member: Settings) -> None:
    variables = Environment({API_KEY: KEY})
    settings = replace(member, plans=(KeyPlan("main", ()), KeyPlan("second", ())))

    (found,) = check_keys(settings, variables)

    assert found.level is Level.PROBLEM
    with pytest.raises(SettingsError) as refused:
        api_keys(variables, settings)
    assert found.found == refused.value.problem


def test_a_machine_that_only_follows_is_not_told_of_the_api_or_of_collecting(member: Settings) -> None:
    follower = replace(member, symbols=(), schedules=())
    answer = Reason("connection refused", "look")
    url = {FLEET_URL: "postgresql://me@db.example/fleet"}

    found = findings(follower, Environment(url), now=START, thorough=False, network=answer)

    assert not [one for one in found if one.check in (Kind.NETWORK, Kind.SYMBOLS)]
    assert not [one for one in found if one.level is Level.PROBLEM]


def test_what_is_configured_otherwise_than_the_fleet_has_agreed_is_found(member: Settings, fleet: Tables) -> None:
    key = ApiKey(member.plans[0].name, KEY, member.plans[0].limits)
    other = Schedule("7 7 * * *", "UTC", timedelta(hours=1), None)
    fleet.db.execute("UPDATE fleet.agreed SET settings = %s", [Agreement.of([key], [other]).to_text()])

    def found(**variables: str) -> list[Finding]:
        examined = examine(fleet.url, now=utc_now)
        given = Environment({FLEET_URL: fleet.url} | variables)
        return [one for one in check_fleet(member, given, examined) if "the fleet has 7 7" in one.found]

    (alone,) = found(**{API_KEY: KEY})
    fleet.member("beta")
    (problem,) = found(**{API_KEY: KEY})

    assert alone.level is Level.NOTE
    assert problem.level is Level.PROBLEM
    assert "would end with 3" in problem.found
    assert "pipeline fleet init" in str(problem.remedy)
    assert found() == []  # it only follows


def test_what_is_stuck_is_found(member: Settings, fleet: Tables) -> None:
    fleet.member("beta", beat=timedelta(minutes=5))

    (problem,) = (one for one in checked(member, examine(fleet.url, now=utc_now)) if one.level is Level.PROBLEM)

    assert "beta has died" in problem.found


def test_the_file_has_to_go_with_the_configuration(settings: Settings, member: Settings, fleet: Tables) -> None:
    examined = examine(fleet.url, now=utc_now)
    own = database_of([seen(0, EPS="1")])

    assert checked(replace(settings, database=own), url=None) == []
    (mixed,) = [one for one in checked(replace(member, database=own)) if "single machine" in one.found]
    assert (mixed.level, "pipeline fleet import" in str(mixed.remedy)) == (Level.PROBLEM, True)

    for name, level, words in (
        (str(examined.state.id), Level.NOTE, "ends at entry 0"),
        ("other", Level.PROBLEM, "another"),
    ):
        _follow(own, name)
        (file,) = [one for one in checked(replace(member, database=own), examined) if str(own) in one.found]
        assert file.level is level
        assert words in file.found
    (alone,) = checked(replace(settings, database=own), url=None)
    assert (alone.level, "pipeline fleet detach" in str(alone.remedy)) == (Level.NOTE, True)


def _follow(database: Path, fleet: str) -> None:
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("INSERT OR REPLACE INTO followed (id, fleet, timeline, seq) VALUES (1, ?, 1, 4)", (fleet,))
