"""The fleet in a status: as text, JSON, problems and metrics; known, out of reach, or only followed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.errors import Trouble
from pipeline.fleet.look import FleetLook, Lookout
from pipeline.monitoring.checks import Kind, fleet_problems
from pipeline.monitoring.conditions import Over, stuck_in_fleet
from pipeline.monitoring.fleet_view import FleetView, view_fleet
from pipeline.monitoring.metrics import Metrics
from pipeline.monitoring.status import Scope, read_status
from pipeline.store.log_place import Followed
from tests.support.clocks import START
from tests.support.fleets import Tables, tables
from tests.support.monitoring import EMPTY, FLEET, FLEET_VIEW, MEMBER, values

TROUBLE = "PostgreSQL at db.internal:5432/fleet cannot be reached: no route to host"
UNSEEN = replace(FLEET_VIEW, look=FleetLook("alpha", None, TROUBLE))
ONLY_FOLLOWED = FleetView(None, Followed("5f3c", 1, 7))


@pytest.fixture
def fleet(fleet_url: str) -> Iterator[Tables]:
    with tables(fleet_url) as found:
        found.agree()
        found.key("k1", "one", (75, timedelta(minutes=1)))
        found.slot("IBM", finished=timedelta(seconds=10))
        found.member("alpha")
        found.head(10)
        yield found


def follow(database: Path, seq: int) -> None:
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("INSERT INTO followed (id, fleet, timeline, seq) VALUES (1, 'f', 1, ?)", (seq,))


def test_in_a_line_it_says_who_runs_and_how_far_the_file_is() -> None:
    assert FLEET_VIEW.line() == "1 member, 0 followers running; this file is 3 entries behind"
    stuck = replace(FLEET, members=(replace(MEMBER, trouble="no space left"),), head=7)
    assert FleetView(FleetLook("alpha", stuck, None), FLEET_VIEW.place).line() == (
        "1 member, 0 followers running; this file is up to date; 1 problem, see pipeline fleet"
    )
    warned = replace(MEMBER, clock_ahead=timedelta(hours=1), trouble="no space left")
    both = FleetView(FleetLook("alpha", replace(FLEET, members=(warned,), head=7), None), FLEET_VIEW.place)
    assert both.line().endswith("up to date; 1 problem and 1 note, see pipeline fleet")
    unfollowed = replace(FLEET_VIEW, place=None)
    assert unfollowed.line().endswith("this file does not follow it")
    assert unfollowed.facts()["behind"] is None
    assert "pipeline fleet import" in replace(unfollowed, holds_own_record=True).line()
    assert TROUBLE in UNSEEN.line()
    assert "the quota is not known" in UNSEEN.line()
    assert "this file is as of entry 7 of its log" in ONLY_FOLLOWED.line()
    assert "set PIPELINE_FLEET_URL" in ONLY_FOLLOWED.line()
    assert not ONLY_FOLLOWED.is_quota_known


def test_strangers_do_not_learn_where_postgresql_is() -> None:
    assert "db.internal" not in UNSEEN.anonymous().line()
    assert FLEET_VIEW.anonymous() is FLEET_VIEW


def test_what_is_not_known_is_null() -> None:
    known, unseen, followed = FLEET_VIEW.facts(), UNSEEN.facts(), ONLY_FOLLOWED.facts()

    assert known == {
        "id": str(FLEET.id), "name": "alpha", "reachable": True, "trouble": None, "log_entries": 10, "followed": 7,
        "behind": 3, "members": 1, "followers": 0, "problems": [],
    }  # fmt: skip
    assert list(unseen) == list(followed) == list(known)
    assert (unseen["reachable"], unseen["trouble"], unseen["followed"]) == (False, TROUBLE, 7)
    assert {unseen[name] for name in ("log_entries", "behind", "members", "followers")} == {None}
    assert (followed["id"], followed["reachable"], followed["name"]) == ("5f3c", None, None)


def test_health_is_about_this_machine_and_not_about_others() -> None:
    others = replace(FLEET, members=(MEMBER, replace(MEMBER, name="beta", beat_at=START - timedelta(hours=1))))
    own = replace(FLEET, members=(replace(MEMBER, trouble="no space left"),))

    assert fleet_problems(None) == fleet_problems(ONLY_FOLLOWED) == fleet_problems(FLEET_VIEW) == []
    assert fleet_problems(FleetView(FleetLook("alpha", others, None), None)) == []
    (problem,) = fleet_problems(FleetView(FleetLook("alpha", own, None), None))
    assert (problem.kind, problem.text) == (Kind.FLEET, "alpha: no space left")
    assert [problem.text for problem in fleet_problems(UNSEEN)] == [TROUBLE]


def test_metrics_tell_what_is_known() -> None:
    def page(view: FleetView | None) -> dict[str, float]:
        found = values(Metrics().render(replace(EMPTY, fleet=view), None)[1])
        return {name: value for name, value in found.items() if name.startswith("pipeline_fleet_")}

    known = page(FLEET_VIEW)
    assert known['pipeline_fleet_members{role="member",state="running"}'] == 1
    assert known['pipeline_fleet_members{role="follower",state="dead"}'] == 0
    assert (known["pipeline_fleet_reachable"], known["pipeline_fleet_log_entries"]) == (1, 10)
    assert (known["pipeline_fleet_behind_entries"], known["pipeline_fleet_problems"]) == (3, 0)
    assert known["pipeline_fleet_clock_ahead_seconds"] == 0.5
    assert page(UNSEEN) == {"pipeline_fleet_followed_entries": 7, "pipeline_fleet_reachable": 0}
    assert page(ONLY_FOLLOWED) == {"pipeline_fleet_followed_entries": 7}
    assert page(None) == {}


def test_a_status_has_the_fleets_windows_and_how_far_the_file_is(database: Path, fleet: Tables) -> None:
    follow(database, 4)
    scope = Scope((), (), timedelta(hours=72), timedelta(days=14), Lookout(lambda: fleet.url, "alpha"))

    status = read_status(database, scope, now=START)

    assert [(one.key, one.limit, one.used) for one in status.windows] == [("one", "75/minute", 1)]
    assert status.fleet is not None
    assert (status.fleet.behind, status.fleet.has_members) == (6, True)


def test_where_none_are_configured_a_status_covers_what_the_fleet_lists(database: Path) -> None:
    follow(database, 4)
    with closing(sqlite3.connect(database)) as db, db:
        for symbol, until in (("IBM", None), ("PEP", "2026-02-01T00:00:00.000Z")):
            row = (symbol, "2026-01-01T00:00:00.000Z", "fleet f", until)
            db.execute("INSERT INTO universe (symbol, since, configuration, until) VALUES (?, ?, ?, ?)", row)
    scope = Scope((), (), timedelta(hours=72), timedelta(days=14))

    assert read_status(database, scope, now=START).stale == ["IBM"]


def test_a_status_goes_on_without_postgresql(database: Path) -> None:
    def no_url() -> str:
        raise Trouble("PIPELINE_FLEET_URL is not set")

    scope = Scope((), (), timedelta(hours=72), timedelta(days=14), Lookout(no_url, "alpha"))

    status = read_status(database, scope, now=START)

    assert status.windows == []
    assert status.fleet is not None
    assert status.fleet.facts()["trouble"] == "PIPELINE_FLEET_URL is not set"


def test_a_look_is_not_repeated_at_once() -> None:
    looks = []

    def url() -> str:
        looks.append(1)
        raise Trouble("no")

    lookout = Lookout(url, "alpha")

    assert lookout.look() is lookout.look()
    assert len(looks) == 1


def test_a_file_that_follows_is_known_without_a_fleet(database: Path) -> None:
    assert view_fleet(database, None) is None
    follow(database, 4)
    view = view_fleet(database, None)
    assert view is not None
    assert view.followed == 4


def test_what_is_stuck_is_an_alert_until_it_is_not() -> None:
    dead = replace(MEMBER, name="beta", beat_at=START - timedelta(hours=1))
    stuck = FleetLook("alpha", replace(FLEET, members=(MEMBER, dead)), None)
    well = FleetLook("alpha", FLEET, None)

    (problem,) = stuck_in_fleet(stuck, firing=set())

    assert (problem.kind, problem.subject) == (Kind.FLEET, "member beta")
    assert stuck_in_fleet(well, firing={"member beta"}) == [Over(Kind.FLEET, "member beta")]
    assert stuck_in_fleet(FleetLook("alpha", None, TROUBLE), firing={"member beta"}) == []
    warned = replace(FLEET, members=(replace(MEMBER, clock_ahead=timedelta(hours=1)),))
    assert stuck_in_fleet(FleetLook("alpha", warned, None), firing=set()) == []
