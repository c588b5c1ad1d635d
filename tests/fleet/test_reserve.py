"""fleet.reserve, the function in PostgreSQL: what it admits, held against the windows of one machine's ledger."""

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.fleet.key_view import Verdict
from pipeline.fleet.quota import DECLARE, declaration
from pipeline.instants import nanoseconds
from pipeline.model.slots import KeyId
from pipeline.quota.keys import KeyPlan
from pipeline.quota.limits import PERIODS, Limit, retry_limits
from pipeline.quota.windows import Windows
from tests.support.clocks import START
from tests.support.slot_stages import FleetTime

LIFETIME = timedelta(seconds=35, microseconds=1500)
"""Deadlines fall between the milliseconds at which slots are closed here."""
STEP = timedelta(milliseconds=2)
DAY = timedelta(days=1)

_numbers = itertools.count(1)


@dataclass
class Key:
    """A key of a fleet, as one connection sees it."""

    db: psycopg.Connection[Any]
    limits: tuple[Limit, ...]
    id: KeyId = field(default_factory=lambda: KeyId(f"k{next(_numbers)}"))

    def __post_init__(self) -> None:
        self.db.execute(DECLARE, declaration(self.id, KeyPlan("key", self.limits)))

    def reserve(
        self, *symbols: str, retry: bool = False, run: int = 1, db: psycopg.Connection[Any] | None = None
    ) -> list[Verdict]:
        """Ask for slots of these symbols."""
        rows = (db or self.db).execute(
            "SELECT * FROM fleet.reserve(%s, 'me', %s, %b::bigint[], %b::text[], %b::bool[], '{}', '{}', '{}')",
            [self.id, LIFETIME, [run] * len(symbols), list(symbols), [retry] * len(symbols)],
        )
        return [Verdict(*row) for row in rows]

    def take(self, count: int = 1, *, retry: bool = False) -> list[Verdict]:
        """Ask for slots of symbols that have none."""
        return self.reserve(*(f"S{next(_numbers)}" for _ in range(count)), retry=retry)

    def close(self, outcome: str, *slots: int | None) -> None:
        self.db.execute("SELECT fleet.close_slots(%b::bigint[], %b::text[])", [list(slots), [outcome] * len(slots)])

    def pause(self, slot: int | None, told: timedelta | None = None) -> None:
        self.db.execute("SELECT fleet.pause(%s, %s, '2 seconds', '2 minutes', %s)", [self.id, slot, told])

    def end_quota(self, slot: int | None) -> None:
        self.db.execute("SELECT fleet.end_quota(%s, %s, '1 hour', '20 hours')", [self.id, slot])


def words(verdicts: list[Verdict]) -> list[str]:
    return [one.verdict for one in verdicts]


@pytest.fixture
def db(fleet_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(fleet_url, autocommit=True) as db:
        yield db


@pytest.fixture
def time(db: psycopg.Connection[Any]) -> FleetTime:
    return FleetTime(db)


class Machine:
    """What one machine's ledger would admit: the windows of `quota`, told of the same slots."""

    def __init__(self, limits: tuple[Limit, ...]) -> None:
        self.windows, self.retries = Windows(limits), Windows(retry_limits(limits))
        self.open: dict[int, tuple[datetime, bool]] = {}

    def at(self, wall: datetime) -> int:
        """Return an instant as these windows have it, after what has expired by then."""
        expired = sorted((until, slot) for slot, (until, _) in self.open.items() if until <= wall)
        for until, slot in expired:
            self.end(slot, until)
        return nanoseconds(wall - START)

    def take(self, slot: int, *, retry: bool, until: datetime) -> None:
        self.open[slot] = until, retry
        self.windows.take()
        if retry:
            self.retries.take()

    def end(self, slot: int, at: datetime | None) -> None:
        """A slot counts from an instant; None: not at all."""
        _, retry = self.open.pop(slot)
        for windows in (self.windows, self.retries)[: 1 + retry]:
            if at is None:
                windows.give_back()
            else:
                windows.end(nanoseconds(at - START))


LIMITS = st.lists(
    st.builds(Limit, st.integers(1, 12), st.sampled_from(list(PERIODS.values()))),
    min_size=1, max_size=3, unique_by=lambda limit: limit.period,
)  # fmt: skip
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(1, 5)),
        st.tuples(st.just("retry"), st.integers(1, 2)),
        st.tuples(st.just("close"), st.integers(0, 9)),
        st.tuples(st.just("give back"), st.integers(0, 9)),
        st.tuples(st.just("pass"), st.sampled_from([1, 250, 500, 502, 17_500, 30_000, 1_800_000, 43_200_000])),
    ),
    max_size=20,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limits=LIMITS, steps=STEPS)
def test_a_key_admits_exactly_what_one_machines_windows_admit(
    db: psycopg.Connection[Any], time: FleetTime, limits: list[Limit], steps: list[tuple[str, int]]
) -> None:
    key, machine = Key(db, tuple(limits)), Machine(tuple(limits))
    for kind, number in steps:
        slots = sorted(machine.open)
        if kind in ("take", "retry"):
            for verdict in key.take(number, retry=kind == "retry"):
                _compare(verdict, machine, time.wall, retry=kind == "retry")
        elif kind == "pass":
            time.advance(STEP * number)
        elif slots:
            slot = slots[number % len(slots)]
            key.close("unsent" if kind == "give back" else "answered", slot)
            machine.at(time.wall)
            if slot in machine.open:
                machine.end(slot, None if kind == "give back" else time.wall + timedelta(milliseconds=1))
            elif kind == "give back":
                return  # of a slot that has expired: that the windows of one machine do not have
        time.advance(STEP)


def _compare(verdict: Verdict, machine: Machine, wall: datetime, *, retry: bool) -> None:
    now = machine.at(wall)
    assert verdict.at == wall
    if retry and machine.retries.opening(now).at > now:
        assert verdict.verdict == "no_retry" or machine.windows.opening(now).at > now
    elif (opening := machine.windows.opening(now)).at <= now:
        assert verdict.verdict == "granted"
        assert verdict.slot is not None
        machine.take(verdict.slot, retry=retry, until=wall + LIFETIME)
    else:
        assert verdict.verdict == "wait"
        assert (nanoseconds(verdict.quota_at - START), verdict.certain) == (opening.at, opening.certain)


def test_members_that_ask_at_the_same_time_never_get_more_than_the_limit(fleet_url: str) -> None:
    with psycopg.connect(fleet_url, autocommit=True) as db:
        key = Key(db, (Limit(40, DAY),))
        granted: list[int | None] = []

        def ask() -> None:
            with psycopg.connect(fleet_url, autocommit=True) as mine:
                for _ in range(10):
                    symbols = [f"S{next(_numbers)}" for _ in range(3)]
                    granted.extend(one.slot for one in key.reserve(*symbols, db=mine) if one.verdict == "granted")

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(granted) == len(set(granted)) == 40


def test_a_window_ends_a_millisecond_late_as_the_api_may_count_both_its_ends(
    db: psycopg.Connection[Any], time: FleetTime
) -> None:
    key = Key(db, (Limit(1, timedelta(seconds=1)),))
    (first,) = key.take()
    key.close("answered", first.slot)  # rounded up by a millisecond
    time.advance(timedelta(seconds=1, milliseconds=1))
    assert words(key.take()) == ["wait"]
    time.advance(timedelta(milliseconds=1))
    assert words(key.take()) == ["granted"]


def test_time_does_not_go_back_whatever_the_servers_does(db: psycopg.Connection[Any], time: FleetTime) -> None:
    key = Key(db, (Limit(2, DAY),))
    (first,) = key.take()
    key.close("answered", first.slot)
    time.set_server(time.wall - DAY / 2)
    (second,) = key.take()
    key.close("answered", second.slot)
    time.set_server(time.wall + DAY - STEP)
    assert words(key.take(2)) == ["wait", "wait"]


def test_a_clock_that_was_far_ahead_stops_a_key_no_longer_than_a_window(
    db: psycopg.Connection[Any], time: FleetTime
) -> None:
    key, at = Key(db, (Limit(2, DAY),)), time.wall
    time.set_server(at + 400 * DAY)
    closed, out = key.take(2)
    key.close("answered", closed.slot)
    db.execute("SELECT fleet.distrust_clock(%s, '400 days')", [key.id])

    time.set_server(at)
    assert words(key.take()) == ["wait"]
    time.set_server(at + DAY)
    assert words(key.take()) == ["wait"]
    key.close("answered", out.slot)  # by its deadline, from when the clock was set right
    time.set_server(at + DAY + STEP)
    assert words(key.take(2)) == ["granted", "wait"]
    time.set_server(at + DAY + LIFETIME + STEP)
    assert words(key.take(2)) == ["granted", "wait"]


def test_one_request_is_out_for_a_symbol_whatever_the_key(db: psycopg.Connection[Any], time: FleetTime) -> None:
    key, other = Key(db, (Limit(9, DAY),)), Key(db, (Limit(9, DAY),))
    (mine,) = key.reserve("IBM")
    (theirs,) = other.reserve("IBM")
    assert (theirs.verdict, theirs.free_at) == ("out", time.wall + LIFETIME)
    assert words(other.reserve("AAPL", "AAPL")) == ["granted", "out"]
    key.close("unavailable", mine.slot)
    assert words(other.reserve("IBM")) == ["granted"]


def test_a_slot_of_a_member_that_died_frees_its_symbol_at_its_deadline(
    db: psycopg.Connection[Any], time: FleetTime
) -> None:
    key = Key(db, (Limit(2, DAY),))
    (dead,) = key.reserve("IBM")
    time.advance(LIFETIME)
    assert words(key.reserve("IBM")) == ["granted"]
    assert db.execute("SELECT outcome, finished_at FROM fleet.slots WHERE id = %s", [dead.slot]).fetchall() == [
        ("died", dead.at + LIFETIME)
    ]
    key.close("answered", dead.slot)  # it was only cut off
    (outcome,) = db.execute("SELECT outcome FROM fleet.slots WHERE id = %s", [dead.slot]).fetchall()
    assert outcome == ("answered",)
    time.advance(DAY + STEP)
    assert words(key.take(2)) == ["granted", "wait"]


def test_what_has_ended_in_the_run_or_was_observed_since_its_fire_time_gets_no_slot(
    db: psycopg.Connection[Any], time: FleetTime
) -> None:
    key = Key(db, (Limit(9, DAY),))
    db.execute(
        "INSERT INTO fleet.runs (id, trigger, status, member, observed_since) VALUES (7, 's', 'r', 'm', %s)", [START]
    )
    for symbol, outcome in (("ENDED", "failed"), ("DEFERRED", "deferred")):
        db.execute(
            "INSERT INTO fleet.outcomes (run_id, symbol, outcome, attempts, at, member) VALUES (7, %s, %s, 1, %s, 'm')",
            [symbol, outcome, START],
        )
    ahead = START + 400 * DAY  # by a clock that was
    for symbol, look in (("SEEN", START + STEP), ("OLD", START - STEP), ("AHEAD", ahead)):
        db.execute("INSERT INTO fleet.symbols (symbol, last_look) VALUES (%s, %s)", [symbol, look])

    asked = key.reserve("ENDED", "DEFERRED", "SEEN", "OLD", "AHEAD", run=7)

    assert words(asked) == ["done", "granted", "done", "granted", "granted"]
    assert words(key.reserve("ENDED", "SEEN", run=8)) == ["granted", "granted"]


def test_a_pause_brakes_all_members_and_one_alone_tests_the_api(db: psycopg.Connection[Any], time: FleetTime) -> None:
    key = Key(db, (Limit(75, PERIODS["minute"]),))
    first, second = key.take(2)
    key.pause(first.slot)
    key.pause(second.slot)  # refused together with the first
    (braked,) = key.take()
    assert (braked.verdict, braked.free_at, braked.pauses) == ("wait", time.wall + timedelta(seconds=2), 1)
    assert braked.covers >= (second.slot or 0)
    assert braked.quota_at == time.wall  # a pause is not the quota's end
    time.advance(timedelta(seconds=2))
    assert words(key.take(3)) == ["granted", "wait", "wait"]
    assert words(key.take()) == ["wait"]
    time.advance(LIFETIME)  # who tested died
    probe, *_ = key.take(2)
    key.close("unavailable", probe.slot)  # no answer
    probe, other = key.take(2)
    assert words([probe, other]) == ["granted", "wait"]
    key.pause(probe.slot, timedelta(seconds=90))
    (braked,) = key.take()
    assert (braked.free_at, braked.pauses) == (time.wall + timedelta(seconds=90), 2)
    time.advance(timedelta(seconds=90))
    (probe,) = key.take()
    key.close("answered", first.slot)  # sent before the pause: says nothing
    assert words(key.take()) == ["wait"]
    key.close("unknown", probe.slot)
    assert words(key.take(3)) == ["granted"] * 3


def test_the_end_of_the_quota_is_for_all_members_and_only_an_answer_lifts_it(
    db: psycopg.Connection[Any], time: FleetTime
) -> None:
    key = Key(db, (Limit(25, DAY),))
    first, second = key.take(2)
    key.end_quota(first.slot)
    key.end_quota(second.slot)
    key.close("answered", second.slot)  # sent before the block
    (blocked,) = key.take()
    assert (blocked.verdict, blocked.quota_at, blocked.blocked_by) == ("wait", time.wall + timedelta(hours=1), "")
    time.advance(timedelta(hours=1))
    probe, _ = key.take(2)
    key.close("unknown", probe.slot)  # an answer, but not one that shows that the quota is there
    assert words(key.take(2)) == ["granted"] * 2
    (probe,) = key.take()
    key.end_quota(probe.slot)
    (blocked,) = key.take()
    assert blocked.quota_at == time.wall + timedelta(hours=2)
    time.advance(timedelta(hours=2))
    (probe,) = key.take()
    key.close("answered", probe.slot)
    (probe,) = key.take()
    key.end_quota(probe.slot)
    (blocked,) = key.take()
    assert blocked.quota_at == time.wall + timedelta(hours=1)


def test_slots_are_pruned_only_when_no_window_can_hold_them(db: psycopg.Connection[Any], time: FleetTime) -> None:
    key = Key(db, (Limit(9, PERIODS["day"]),))
    old, unsent, open_ = key.take(3)
    key.close("answered", old.slot)
    key.close("unsent", unsent.slot)
    time.advance(2 * DAY - timedelta(seconds=1))
    assert db.execute("SELECT fleet.prune_slots(100)").fetchone() == (0,)
    time.advance(timedelta(seconds=2))
    assert db.execute("SELECT fleet.prune_slots(100)").fetchone() == (2,)
    assert db.execute("SELECT id FROM fleet.slots").fetchall() == [(open_.slot,)]


def test_a_server_of_another_timeline_gives_no_slot_within_the_longest_window(
    db: psycopg.Connection[Any], time: FleetTime
) -> None:
    key = Key(db, (Limit(25, DAY), Limit(5, PERIODS["minute"])))
    (before,) = key.take()
    db.execute(
        "CREATE OR REPLACE FUNCTION fleet.timeline() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 2'"
    )  # as on a standby that took over; tests/fleet/test_slots_failover.py has a real one

    (after,) = key.take()

    assert after.verdict == "wait"
    assert after.quota_at >= time.wall + DAY
    assert "another PostgreSQL server" in str(after.blocked_by)
    assert db.execute("SELECT timeline FROM fleet.timelines ORDER BY 1").fetchall() == [(1,), (2,)]
    time.advance(DAY + timedelta(seconds=1))
    (probe,) = key.take()
    assert (probe.slot or 0) > (before.slot or 0) + 1_000_000  # ids that the lost end gave away are not given again
    key.close("answered", probe.slot)
    assert words(key.take(2)) == ["granted"] * 2
