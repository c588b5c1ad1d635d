"""Problems of a fleet: each kind of trouble is found, and what is well is not."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from pipeline.fleet.problems import problems, span_text
from pipeline.fleet.state import Server
from pipeline.model.slots import Block
from pipeline.quota.estimate import WindowUsage
from tests.support.clocks import START
from tests.support.monitoring import ACTIVE_RUN, AGREED, FLEET, HOUR, KEY_STATE, MEMBER

MINUTE = timedelta(minutes=1)


def found(**changed: Any) -> list[str]:
    """Return the problems of a fleet that is well but for what has changed; warnings in brackets."""
    return [f"({one})" if one.is_warning else str(one) for one in problems(replace(FLEET, **changed))]


def test_a_fleet_that_is_well_has_no_problem() -> None:
    assert found() == []
    left = replace(MEMBER, name="beta", left_at=START, beat_at=START - HOUR)
    long_gone = replace(MEMBER, name="gamma", beat_at=START - timedelta(days=8))
    assert found(members=(MEMBER, left, long_gone), runs=()) == []
    assert found(keys=(KEY_STATE, replace(KEY_STATE, id="k2", name="no longer configured"))) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"server": Server(START, "18.1", is_standby=True, is_read_only=True)}, ["standby", "target_session_attrs"]),
        ({"server": Server(START, "18.1", is_standby=False, is_read_only=True)}, ["read-only"]),
        ({"agreed": None}, ["pipeline fleet init"]),
        ({"members": ()}, ["no member runs", "pipeline run"]),
        ({"members": (MEMBER, replace(MEMBER, name="beta", beat_at=START - HOUR))}, ["beta has died", "17:30:00"]),
        ({"members": (replace(MEMBER, trouble="nothing can be stored"),)}, ["alpha: nothing can be stored"]),
        ({"runs": (replace(ACTIVE_RUN, last_ended_at=START - HOUR),)}, ["run 7", "no symbol has ended since", "alpha"]),
    ],
)  # fmt: skip
def test_what_stops_work_is_a_problem(changed: dict[str, Any], words: list[str]) -> None:
    (problem,) = found(**changed)

    assert all(word in problem for word in words)
    assert not problem.startswith("(")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"members": (MEMBER, replace(MEMBER, name="desk", role="follower", beat_at=START - HOUR))},
            ["pipeline follow"],
        ),
        ({"members": (replace(MEMBER, clock_ahead=-5 * MINUTE),)}, ["clock of alpha", "5 min behind"]),
        ({"agreed": AGREED.replace("k1", "k2")}, ["nobody holds the key one"]),
        ({"agreed": AGREED.replace('"id":"k1",', "")}, ["nobody holds the key one", "pipeline fleet init"]),
        ({"members": (MEMBER, replace(MEMBER, name="b", symbols_digest="x"))}, ["different symbols (alpha; b)"]),
        ({"runs": (replace(ACTIVE_RUN, stalled=1),)}, ["run 7", "1 job", "within a minute"]),
        ({"runs": (replace(ACTIVE_RUN, without_job=2),)}, ["run 7", "2 batches"]),
    ],
)
def test_what_the_others_make_good_is_a_warning(changed: dict[str, Any], words: list[str]) -> None:
    (problem,) = found(**changed)

    assert all(word in problem for word in words)
    assert problem.startswith("(")


def test_jobs_that_no_member_is_left_to_hand_out_again_are_a_problem() -> None:
    texts = found(members=(), runs=(replace(ACTIVE_RUN, stalled=1, without_job=1),))

    assert len(texts) == 3
    assert all("pipeline run" in text and not text.startswith("(") for text in texts)


def test_a_run_that_waits_for_its_keys_is_not_stuck() -> None:
    waiting = replace(ACTIVE_RUN, last_ended_at=START - HOUR)
    block = Block(START - HOUR, START + HOUR)
    used_up = (WindowUsage("25/day", 25, 0, START + HOUR),)

    assert found(runs=(waiting,), keys=(replace(KEY_STATE, block=block),)) == []
    assert found(runs=(waiting,), keys=(replace(KEY_STATE, windows=used_up),)) == []


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (90_000, "25 h"), (200_000, "2 d")]
)
def test_a_span_is_shown_in_its_largest_unit(seconds: int, text: str) -> None:
    assert span_text(timedelta(seconds=seconds)) == text


def test_instants_are_shown_in_utc_whatever_the_session_has() -> None:
    kolkata = datetime.fromisoformat("2026-03-14T23:00:00+05:30")

    (problem,) = found(members=(MEMBER, replace(MEMBER, name="beta", beat_at=kolkata)))

    assert "17:30:00 UTC" in problem
