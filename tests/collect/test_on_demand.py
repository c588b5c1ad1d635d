"""On demand: what a killed process leaves in the ledger keeps a symbol from being requested twice."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.collect.on_demand import FIRST_PAUSE, LONGEST_PAUSE, Examined, examine, pause_after
from pipeline.model.symbols import Symbol
from pipeline.quota.keys import ApiKey
from pipeline.quota.limits import PLANS, Limit
from tests.support.clocks import START
from tests.support.store import HOUR, IBM, PEP, at, collected, overview

MINUTE = timedelta(minutes=1)
KEYS = (ApiKey("", "S3CR3TK3Y", PLANS["free"]),)


def examined(database: Path, hours: float, *symbols: Symbol, keys: tuple[ApiKey, ...] = KEYS) -> Examined:
    """Return what there is to do some hours after the start."""
    now = START + hours * HOUR
    return examine(database, symbols, keys=keys, fresh_for=20 * HOUR, fruitless={}, now=now)


def requested(database: Path, symbol: str, hour: float, *, ended: float | None, outcome: str | None) -> None:
    """Write a slot as a process does; one that was killed left no end."""
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("INSERT OR IGNORE INTO runs (id, trigger, status) VALUES (1, 'on_demand', 'running')")
        db.execute(
            "INSERT INTO requests (run_id, symbol, retry, reserved_at, deadline_at, finished_at, outcome)"
            " VALUES (1, ?, 0, ?, ?, ?, ?)",
            (symbol, at(hour), at(hour + 0.01), None if ended is None else at(ended), outcome),
        )


@pytest.mark.parametrize(
    ("ended", "outcome", "is_due"),
    [
        (None, None, False),  # killed while the request was out
        (0.001, "answered", False),  # killed before the answer was stored
        (0.001, "unsent", True),  # it never left
    ],
)
def test_what_was_requested_before_a_kill_is_not_requested_at_once(
    database: Path, ended: float | None, outcome: str | None, is_due: bool
) -> None:
    requested(database, "IBM", 0, ended=ended, outcome=outcome)
    assert sorted(examined(database, 0.1, IBM, PEP).due) == ([IBM, PEP] if is_due else [PEP])
    assert set(examined(database, 0.1, IBM).refused) == (set() if is_due else {IBM})
    assert sorted(examined(database, 0.26, IBM, PEP).due) == [IBM, PEP]


async def test_an_overview_ends_the_pause_and_the_stalest_comes_first(database: Path) -> None:
    await collected(database, (overview(IBM), 0), (overview(PEP), 1))
    until = {IBM: START + 20 * HOUR, PEP: START + 21 * HOUR}
    assert examined(database, 19, IBM, PEP) == Examined([], {}, until, frozenset({IBM, PEP}))
    assert examined(database, 20.5, IBM, PEP).settled == {PEP: START + 21 * HOUR}
    assert examined(database, 21.5, PEP, IBM).due == [IBM, PEP]
    requested(database, "IBM", 20, ended=20.001, outcome="answered")
    await collected(database, (overview(IBM), 20))
    assert examined(database, 21.5, PEP, IBM).due == [PEP]


def test_when_the_plan_is_used_up_nothing_is_due(database: Path) -> None:
    for number in range(25):
        requested(database, f"X{number}", 0, ended=0.001, outcome="answered")
    found = examined(database, 1, IBM, PEP)
    assert not found.due
    assert all(why.is_quota for why in found.refused.values())
    assert len(found.refused) == 2
    assert list(examined(database, 24.1, IBM).due) == [IBM]


def test_as_long_as_one_of_several_keys_has_a_slot_a_symbol_is_due(database: Path) -> None:
    """What was requested before keys were told apart counts for each."""
    for number in range(25):
        requested(database, f"X{number}", 0, ended=0.001, outcome="answered")
    both = replace(KEYS[0], name="main"), ApiKey("second", "S3CR3TK3YS3C0ND", (Limit.parse("30/day"),))
    assert examined(database, 1, IBM, keys=both).due == [IBM]
    for number in range(5):
        requested(database, f"Y{number}", 0, ended=0.5, outcome="answered")
    (why,) = examined(database, 1, IBM, keys=both).refused.values()
    assert why.is_quota
    assert "key main" in why.reason


def test_the_pause_doubles_to_its_longest() -> None:
    assert [pause_after(number) / FIRST_PAUSE for number in range(6)] == [1, 1, 2, 4, 8, 16]
    assert pause_after(10_000) == LONGEST_PAUSE
