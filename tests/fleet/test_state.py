"""The state of a fleet: what PostgreSQL's tables say, as values."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from pipeline.fleet.state import FleetState, Presence, read_state
from tests.support.fleets import Tables, tables
from tests.support.postgres import Databases

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def fleet(postgres: Databases) -> Iterator[Tables]:
    with postgres.create() as url, tables(url) as found:
        yield found


def state(fleet: Tables) -> FleetState:
    return read_state(fleet.db)


def test_a_fleet_that_has_just_been_made_has_nothing_in_it(fleet: Tables) -> None:
    found = state(fleet)

    assert (found.members, found.keys, found.runs, found.head, found.agreed) == ((), (), (), 0, None)
    assert not found.server.is_standby
    assert not found.server.is_read_only


def test_members_are_running_dead_or_have_left_by_postgresqls_clock(fleet: Tables) -> None:
    fleet.head(100)
    fleet.member("alpha", beat=10 * timedelta(seconds=1), followed=90, head=93)
    fleet.member("beta", beat=2 * MINUTE, followed=60, head=60)
    fleet.member("gamma", beat=2 * MINUTE, left=MINUTE)
    fleet.member("desk", role="follower", keys=[], followed=100, head=100)
    fleet.member("hand", role="collector", keys=[], head=100)

    found = state(fleet)

    presence = {one.name: one.presence(found.server.at) for one in found.members}
    assert presence == {
        "alpha": Presence.RUNNING, "beta": Presence.DEAD, "gamma": Presence.LEFT, "desk": Presence.RUNNING,
        "hand": Presence.RUNNING,
    }  # fmt: skip
    behind = {one.name: found.behind(one) for one in found.members}
    assert behind == {"alpha": 3, "beta": 40, "gamma": None, "desk": 0, "hand": None}
    assert found.holders("k1") == ["alpha"]


def test_a_windows_use_counts_what_was_closed_within_it_and_what_is_out(fleet: Tables) -> None:
    fleet.key("k1", "one", (3, DAY), (2, MINUTE))
    fleet.slot("A", finished=30 * HOUR)
    fleet.slot("B", finished=2 * HOUR)
    fleet.slot("C", finished=timedelta(seconds=20))
    fleet.slot("D", finished=None)
    fleet.slot("E", finished=HOUR, key="another")

    found = state(fleet)

    (key,) = found.keys
    day, minute = key.windows
    assert (day.limit, day.used, day.left) == ("3/day", 3, 0)
    assert (minute.limit, minute.used, minute.left) == ("2/minute", 2, 0)
    assert day.next_free_at is not None
    assert timedelta(hours=21) < day.next_free_at - found.server.at <= timedelta(hours=22)
    assert key.free_at(found.server.at) == day.next_free_at


def test_a_window_with_room_is_free_now(fleet: Tables) -> None:
    fleet.key("k1", "one", (3, DAY))
    fleet.slot("A", finished=HOUR)

    found = state(fleet)

    assert found.keys[0].windows[0].next_free_at is None
    assert found.keys[0].free_at(found.server.at) == found.server.at


def test_blocks_and_pauses_are_shown_while_they_last(fleet: Tables) -> None:
    fleet.key("k1", "one")
    fleet.db.execute(
        "UPDATE fleet.keys SET blocked_since = now(), blocked_until = now() + '1 hour', blocked_by = 'a new server',"
        " paused_since = now(), paused_until = now() - interval '1 s'"
    )

    (key,) = state(fleet).keys

    assert key.block is not None
    assert key.block.reason == "a new server"
    assert key.pause is None


def test_a_run_has_its_batches_and_which_of_them_have_jobs(fleet: Tables) -> None:
    run = fleet.run(batches=6, done=1)
    fleet.job(run, 1)
    fleet.job(run, 2, worker_beat=timedelta(seconds=5))
    fleet.job(run, 3, worker_beat=5 * MINUTE)
    fleet.job(run, 4, worker_beat=5 * MINUTE)
    fleet.outcome(run, "S0", ago=MINUTE)
    fleet.run(schedule="over", status="complete")

    (found,) = state(fleet).runs

    assert (found.id, found.due, found.ended, found.batches, found.batches_done) == (run, 6, 1, 6, 1)
    assert (found.jobs, found.stalled, found.without_job) == (4, 2, 1)


def test_a_key_that_no_configuration_has_any_more_is_of_no_interest(fleet: Tables) -> None:
    fleet.key("new", "new")
    fleet.key("old", "old")
    fleet.agree('{"keys":{"new":{"id":"new","limits":[]}},"schedules":{}}')
    agreed = state(fleet)
    fleet.member("alpha", keys=["old"])
    held = state(fleet)

    assert [key.id for key in agreed.known_keys] == [key.id for key in agreed.usable_keys] == ["new"]
    assert [key.id for key in held.known_keys] == ["new", "old"]
    assert [key.id for key in held.usable_keys] == ["old"]
