"""Alerts: lasting problems and events are reported once, those that come and go ever more rarely."""

import json
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.monitoring.alerts import EVENTS_REMEMBERED, FORGOTTEN_AFTER, LASTING, Alerts
from pipeline.monitoring.checks import Kind, Problem
from pipeline.monitoring.messages import NOTIFIED, Message


def problem(kind: Kind, subject: str = "") -> Problem:
    return Problem(kind, subject, f"[{kind} {subject}]")


def stale(*symbols: str) -> list[Problem]:
    return [problem(Kind.STALE, symbol) for symbol in symbols]


def reports(message: Message | None, *problems: Problem) -> bool:
    return message is not None and all(problem.text in message.body for problem in problems)


def test_no_problem_is_no_message() -> None:
    alerts = Alerts()

    assert alerts.report([]) is None
    assert alerts.report_after_run([]) is None


@pytest.mark.parametrize("kind", sorted(LASTING))
def test_a_lasting_problem_is_reported_when_it_appears_and_once_when_it_is_over(kind: Kind) -> None:
    alerts = Alerts()
    wrong = problem(kind, "X")

    assert reports(alerts.report_after_run([wrong]), wrong)
    assert alerts.report_after_run([wrong]) is None
    assert alerts.report([wrong]) is None
    well = alerts.report_after_run([])
    assert well is not None
    assert (well.title, well.is_good) == ("Recovered", True)
    assert "X" in well.body
    assert alerts.report_after_run([]) is None


@pytest.mark.parametrize("kind", sorted(NOTIFIED - LASTING))
def test_an_event_is_reported_once_however_often_it_is_found(kind: Kind) -> None:
    alerts = Alerts()
    first, second = problem(kind, "1"), problem(kind, "2")

    assert reports(alerts.report([first, first]), first)
    assert alerts.report([first]) is None
    message = alerts.report_after_run([first, second])
    assert reports(message, second)
    assert not reports(message, first)


def test_recovery_is_not_reported_while_a_problem_remains_but_the_next_message_says_what_is_over() -> None:
    alerts = Alerts()
    alerts.report_after_run(stale("IBM", "AAPL"))

    assert alerts.report_after_run(stale("IBM")) is None
    message = alerts.report_after_run(stale("IBM", "PEP"))

    assert message is not None
    assert message.title == "A symbol is stale"
    assert "observed again: AAPL" in message.body
    well = alerts.report_after_run([])
    assert well is not None
    assert "IBM, PEP" in well.body
    assert "AAPL" not in well.body


def test_a_problem_that_returns_is_reported_while_another_lasts() -> None:
    alerts = Alerts()
    alerts.report_after_run(stale("DEAD", "IBM"))
    alerts.report_after_run(stale("DEAD"))

    assert reports(alerts.report_after_run(stale("DEAD", "IBM")), *stale("IBM"))


def test_only_the_end_of_a_run_shows_that_something_is_over() -> None:
    alerts = Alerts()
    alerts.report_after_run(stale("IBM"))

    assert alerts.report([]) is None
    assert alerts.report_after_run(stale("IBM")) is None


def test_a_failed_run_is_over_with_the_next_good_one() -> None:
    alerts = Alerts()
    alerts.report_after_run([problem(Kind.RUN_FAILED, "12")])

    well = alerts.report_after_run([problem(Kind.RUN_FAILED, "12")])

    assert well is not None
    assert (well.title, well.is_good) == ("Recovered", True)


def test_a_suspicious_value_is_reported_and_never_over() -> None:
    alerts = Alerts()
    assert alerts.report_after_run([problem(Kind.SUSPICION, "IBM")]) is not None
    assert alerts.report_after_run([]) is None


def test_new_fields_are_reported_without_those_reported_before() -> None:
    alerts = Alerts()
    first, second = problem(Kind.DRIFT, "Beta2"), problem(Kind.DRIFT, "Gamma")
    alerts.report_after_run([first])

    message = alerts.report_after_run([first, second])

    assert reports(message, second)
    assert not reports(message, first)


def test_a_problem_that_comes_and_goes_is_reported_twice_and_then_no_more() -> None:
    alerts = Alerts()
    messages = [alerts.report_after_run(stale("IBM") if run % 2 == 0 else []) for run in range(1_000)]

    assert [message.is_good for message in messages if message] == [False, True, False]


def test_runs_that_fail_now_and_then_are_all_reported_but_no_recovery_between_them() -> None:
    alerts = Alerts()
    messages = [
        alerts.report_after_run([problem(Kind.RUN_PARTIAL, str(run))] if run % 2 == 0 else []) for run in range(1_000)
    ]

    assert Counter(message.is_good for message in messages if message) == {False: 500, True: 1}


@pytest.mark.parametrize("gap", [1, 2, 3, 4, 7, 8, 31, 32, 63, 64, 65])
def test_the_rarer_a_problem_the_more_often_it_is_reported(gap: int) -> None:
    alerts = Alerts()
    messages = [alerts.report_after_run(stale("IBM") if run % (gap + 1) == 0 else []) for run in range(40 * (gap + 1))]

    bad = sum(not message.is_good for message in messages if message)
    assert bad == (40 if gap >= 32 else gap.bit_length() + 1)


def test_a_problem_that_is_absent_long_enough_counts_as_new() -> None:
    alerts = Alerts()
    for _ in range(20):
        alerts.report_after_run(stale("IBM"))
        alerts.report_after_run([])
    for _ in range(FORGOTTEN_AFTER):
        alerts.report_after_run([])

    assert alerts.to_json()["courses"] == []
    assert alerts.report_after_run(stale("IBM")) is not None
    assert alerts.report_after_run([]) is not None


def test_events_are_remembered_as_long_as_they_are_found_and_a_bounded_number_after() -> None:
    alerts = Alerts()
    reported = [problem(Kind.MISSED, str(number)) for number in range(EVENTS_REMEMBERED + 500)]
    assert alerts.report(reported) is not None
    for number in range(10):
        passing = [problem(Kind.SUSPICION, f"{number} {other}") for other in range(EVENTS_REMEMBERED // 2)]
        message = alerts.report([*passing, *reported])
        assert message is not None
        assert message.title == "500 values are suspicious"

    assert len(alerts.to_json()["events"]) <= EVENTS_REMEMBERED + len(reported) + len(passing)


# Any sequence

SUBJECTS = ("A", "B", "C")
PROBLEMS = st.builds(problem, st.sampled_from(sorted(NOTIFIED)), st.sampled_from(SUBJECTS))
REPORTS = st.lists(st.tuples(st.booleans(), st.lists(PROBLEMS, max_size=8)), max_size=30)


def send(alerts: Alerts, after_run: bool, problems: Iterable[Problem]) -> Message | None:
    return alerts.report_after_run(problems) if after_run else alerts.report(problems)


@given(reports=REPORTS)
def test_every_event_is_reported_exactly_once_when_first_found(reports: list[tuple[bool, list[Problem]]]) -> None:
    alerts = Alerts()
    reported: set[Problem] = set()
    for after_run, problems in reports:
        message = send(alerts, after_run, problems)
        for event in (Problem(k, w, f"[{k} {w}]") for k in NOTIFIED - LASTING for w in SUBJECTS):
            times = message.body.count(event.text) if message else 0
            assert times == (event in problems and event not in reported)
        reported |= set(problems)


@given(reports=REPORTS)
def test_a_lasting_problem_is_reported_at_once_and_again_only_after_a_run_without_it(
    reports: list[tuple[bool, list[Problem]]],
) -> None:
    alerts = Alerts()
    unreported = {problem(kind, subject) for kind in LASTING for subject in SUBJECTS}
    maybe = set[Problem]()
    for after_run, problems in reports:
        message = send(alerts, after_run, problems)
        for state in (problem(kind, subject) for kind in LASTING for subject in SUBJECTS):
            times = message.body.count(state.text) if message else 0
            assert times <= 1
            if state in problems and state in unreported:
                assert times == 1
            elif state not in problems or state not in maybe:
                assert times == 0
            if state in problems:
                unreported.discard(state)
                maybe.discard(state)
            elif after_run:
                maybe.add(state)


@given(reports=REPORTS)
def test_recovery_is_reported_only_when_nothing_is_wrong_and_never_twice_in_a_row(
    reports: list[tuple[bool, list[Problem]]],
) -> None:
    alerts = Alerts()
    was_bad = False
    for after_run, problems in reports:
        message = send(alerts, after_run, problems)
        if message and message.is_good:
            assert after_run
            assert was_bad
            assert not any(problem.kind in LASTING for problem in problems)
        if message:
            was_bad = not message.is_good


@given(reports=REPORTS)
def test_a_restart_at_any_moment_changes_nothing(reports: list[tuple[bool, list[Problem]]]) -> None:
    whole, restarted = Alerts(), Alerts()
    for after_run, problems in reports:
        restarted = Alerts.from_json(json.loads(json.dumps(restarted.to_json())))
        assert send(restarted, after_run, problems) == send(whole, after_run, problems)


EARLIER = (
    b'{"courses":[["stale","IBM",1,2,true],["key_refused","",0,1,true],["run_partial","",0,1,true],'
    b'["missed","",0,1,true]],"events":[["run_partial","12"],["missed","2026-03-14T18:30:00.000Z"],'
    b'["suspicion","PEP"]]}'
)
"""A memory from before the rooms: IBM was stale twice, and is over after one more run without it."""


def test_a_memory_that_an_earlier_version_wrote_is_read_and_kept() -> None:
    alerts = Alerts.from_json(json.loads(EARLIER))

    assert json.dumps(alerts.to_json(), separators=(",", ":")).encode() == EARLIER
    remembered = [
        *stale("IBM"),
        problem(Kind.KEY_REFUSED),
        problem(Kind.RUN_PARTIAL, "12"),
        problem(Kind.MISSED, "2026-03-14T18:30:00.000Z"),
        problem(Kind.SUSPICION, "PEP"),
    ]
    assert alerts.report(remembered) is None
    assert reports(alerts.report([*remembered, *stale("AAPL")]), *stale("AAPL"))


@pytest.mark.parametrize(
    "kept",
    [
        None,
        7,
        "x",
        [],
        {},
        {"courses": 3, "events": []},
        {"courses": [["no such kind", "x", 0, 1, True]], "events": []},
        {"courses": [["stale", "x", "many", 1, True]], "events": []},
        {"courses": [["stale", "x", float("inf"), 1, True]], "events": []},
        {"courses": [["stale"]], "events": []},
        {"courses": [], "events": [["crash", "x", 1]]},
        {"courses": [["stale", [], 0, 0, None]], "events": None},
    ],
)
def test_an_unreadable_memory_is_forgotten(kept: object) -> None:
    assert Alerts.from_json(kept).to_json() == Alerts().to_json()
