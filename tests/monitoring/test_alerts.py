"""Alerts: what lasts is told once, what happens is told once, what comes and goes is told ever more rarely."""

import json
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.monitoring.alerts import (
    EVENTS_REMEMBERED,
    FORGOTTEN_AFTER,
    LONGEST_BODY,
    LONGEST_LINE,
    SHOWN,
    Alerts,
    Concern,
    Kind,
    Message,
    joined,
)


def concern(kind: Kind, what: str = "") -> Concern:
    return Concern(kind, what, f"[{kind} {what}]")


def stale(*symbols: str) -> list[Concern]:
    return [concern(Kind.STALE, symbol) for symbol in symbols]


def told(message: Message | None, *concerns: Concern) -> bool:
    return message is not None and all(concern.line in message.body for concern in concerns)


def test_nothing_wrong_is_no_news() -> None:
    news = Alerts()

    assert news.tell([]) is None
    assert news.tell_after_run([]) is None


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind.lasts])
def test_what_lasts_is_told_when_it_comes_up_and_once_when_it_is_over(kind: Kind) -> None:
    news = Alerts()
    wrong = concern(kind, "X")

    assert told(news.tell_after_run([wrong]), wrong)
    assert news.tell_after_run([wrong]) is None
    assert news.tell([wrong]) is None
    well = news.tell_after_run([])
    assert well is not None
    assert (well.title, well.is_good) == ("Well again", True)
    assert "X" in well.body
    assert news.tell_after_run([]) is None


@pytest.mark.parametrize("kind", [kind for kind in Kind if not kind.lasts])
def test_an_event_is_told_once_however_often_it_is_reported(kind: Kind) -> None:
    news = Alerts()
    first, second = concern(kind, "1"), concern(kind, "2")

    assert told(news.tell([first, first]), first)
    assert news.tell([first]) is None
    message = news.tell_after_run([first, second])
    assert told(message, second)
    assert not told(message, first)


def test_all_that_is_new_is_one_message_grouped_with_the_worst_first() -> None:
    failed = concern(Kind.RUN_FAILED, "12")
    message = Alerts().tell_after_run([*stale("IBM", "AAPL"), concern(Kind.SUSPICION, "PEP"), failed])

    assert message is not None
    assert message == Message(
        "A run failed; 2 symbols are stale; a suspicion",
        "A run failed:\n- [run_failed 12]\n\n"
        "2 symbols are stale:\n- [stale IBM]\n- [stale AAPL]\n\n"
        "A suspicion:\n- [suspicion PEP]",
        is_good=False,
    )


def test_of_many_a_few_are_named() -> None:
    message = Alerts().tell_after_run(stale(*(f"S{number:04}" for number in range(12_000))))

    assert message is not None
    assert message.title == "12,000 symbols are stale"
    assert message.body.count("[stale") == SHOWN
    assert message.body.endswith("- and 11,995 more")


def test_all_is_not_well_while_something_is_left_but_the_next_message_says_what_is_over() -> None:
    news = Alerts()
    news.tell_after_run(stale("IBM", "AAPL"))

    assert news.tell_after_run(stale("IBM")) is None
    message = news.tell_after_run(stale("IBM", "PEP"))

    assert message is not None
    assert message.title == "A symbol is stale"
    assert "Mended:\n- looked at again: AAPL" in message.body
    well = news.tell_after_run([])
    assert well is not None
    assert "IBM, PEP" in well.body
    assert "AAPL" not in well.body


def test_what_comes_back_is_told_though_another_lasts_for_ever() -> None:
    news = Alerts()
    news.tell_after_run(stale("DEAD", "IBM"))
    news.tell_after_run(stale("DEAD"))

    assert told(news.tell_after_run(stale("DEAD", "IBM")), *stale("IBM"))


def test_only_the_end_of_a_run_shows_that_something_is_over() -> None:
    news = Alerts()
    news.tell_after_run(stale("IBM"))

    assert news.tell([]) is None
    assert news.tell_after_run(stale("IBM")) is None


def test_a_failed_run_is_over_with_the_next_good_one() -> None:
    news = Alerts()
    news.tell_after_run([concern(Kind.RUN_FAILED, "12")])

    well = news.tell_after_run([concern(Kind.RUN_FAILED, "12")])

    assert well == Message("Well again", "Well again:\n- no run failed since", is_good=True)


def test_a_suspicion_is_pointed_out_and_never_over() -> None:
    news = Alerts()
    assert news.tell_after_run([concern(Kind.SUSPICION, "IBM")]) is not None
    assert news.tell_after_run([]) is None


def test_new_fields_are_told_beyond_those_that_were() -> None:
    news = Alerts()
    first, second = concern(Kind.DRIFT, "Beta2"), concern(Kind.DRIFT, "Gamma")
    news.tell_after_run([first])

    message = news.tell_after_run([first, second])

    assert told(message, second)
    assert not told(message, first)


def test_what_flaps_is_told_twice_and_then_no_more() -> None:
    news = Alerts()
    messages = [news.tell_after_run(stale("IBM") if run % 2 == 0 else []) for run in range(1_000)]

    assert [message.is_good for message in messages if message] == [False, True, False]


def test_runs_that_fail_now_and_then_are_all_told_but_all_is_not_well_between_them() -> None:
    news = Alerts()
    messages = [
        news.tell_after_run([concern(Kind.RUN_PARTIAL, str(run))] if run % 2 == 0 else []) for run in range(1_000)
    ]

    assert Counter(message.is_good for message in messages if message) == {False: 500, True: 1}


@pytest.mark.parametrize("gap", [1, 2, 3, 4, 7, 8, 31, 32, 63, 64, 65])
def test_the_rarer_it_comes_the_more_often_it_is_told(gap: int) -> None:
    news = Alerts()
    messages = [news.tell_after_run(stale("IBM") if run % (gap + 1) == 0 else []) for run in range(40 * (gap + 1))]

    bad = sum(not message.is_good for message in messages if message)
    assert bad == (40 if gap >= 32 else gap.bit_length() + 1)


def test_long_enough_without_it_and_it_is_as_new() -> None:
    news = Alerts()
    for _ in range(20):
        news.tell_after_run(stale("IBM"))
        news.tell_after_run([])
    for _ in range(FORGOTTEN_AFTER):
        news.tell_after_run([])

    assert news.to_json()["courses"] == []
    assert news.tell_after_run(stale("IBM")) is not None
    assert news.tell_after_run([]) is not None


def test_events_are_not_remembered_for_ever_but_as_long_as_they_are_reported() -> None:
    news = Alerts()
    reported = [concern(Kind.MISSED, str(number)) for number in range(EVENTS_REMEMBERED + 500)]
    assert news.tell(reported) is not None
    for number in range(10):
        passing = [concern(Kind.SUSPICION, f"{number} {other}") for other in range(EVENTS_REMEMBERED // 2)]
        message = news.tell([*passing, *reported])
        assert message is not None
        assert message.title == "500 suspicions"

    assert len(news.to_json()["events"]) <= EVENTS_REMEMBERED + len(reported) + len(passing)


def test_what_comes_from_outside_acts_on_nothing_and_is_short() -> None:
    message = Alerts().tell_after_run([Concern(Kind.DRIFT, "x", "a\nforged\x1b[2J\u202eline" + "x" * 10_000)])

    assert message is not None
    line = message.body.splitlines()[1]
    assert line.startswith("- a\\nforged\\x1b[2J\\u202eline")
    assert len(line) <= LONGEST_LINE + 2


# Any sequence

WHATS = ("A", "B", "C")
CONCERNS = st.builds(concern, st.sampled_from(Kind), st.sampled_from(WHATS))
LOOKS = st.lists(st.tuples(st.booleans(), st.lists(CONCERNS, max_size=8)), max_size=30)


def look(news: Alerts, after_run: bool, concerns: Iterable[Concern]) -> Message | None:
    return news.tell_after_run(concerns) if after_run else news.tell(concerns)


@given(looks=LOOKS)
def test_every_event_is_told_exactly_once_at_its_first_report(looks: list[tuple[bool, list[Concern]]]) -> None:
    news = Alerts()
    reported: set[Concern] = set()
    for after_run, concerns in looks:
        message = look(news, after_run, concerns)
        for event in (Concern(k, w, f"[{k} {w}]") for k in Kind if not k.lasts for w in WHATS):
            times = message.body.count(event.line) if message else 0
            assert times == (event in concerns and event not in reported)
        reported |= set(concerns)


@given(looks=LOOKS)
def test_what_lasts_is_told_at_once_and_again_only_after_a_run_without_it(
    looks: list[tuple[bool, list[Concern]]],
) -> None:
    news = Alerts()
    untold = {concern(kind, what) for kind in Kind if kind.lasts for what in WHATS}
    maybe = set[Concern]()
    for after_run, concerns in looks:
        message = look(news, after_run, concerns)
        for state in (concern(kind, what) for kind in Kind if kind.lasts for what in WHATS):
            times = message.body.count(state.line) if message else 0
            assert times <= 1
            if state in concerns and state in untold:
                assert times == 1
            elif state not in concerns or state not in maybe:
                assert times == 0
            if state in concerns:
                untold.discard(state)
                maybe.discard(state)
            elif after_run:
                maybe.add(state)


@given(looks=LOOKS)
def test_well_again_is_told_only_when_nothing_is_wrong_and_never_twice_running(
    looks: list[tuple[bool, list[Concern]]],
) -> None:
    news = Alerts()
    was_told = False
    for after_run, concerns in looks:
        message = look(news, after_run, concerns)
        if message and message.is_good:
            assert after_run
            assert was_told
            assert not any(concern.kind.lasts for concern in concerns)
        if message:
            was_told = not message.is_good


@given(looks=LOOKS)
def test_a_restart_at_any_moment_changes_nothing(looks: list[tuple[bool, list[Concern]]]) -> None:
    whole, restarted = Alerts(), Alerts()
    for after_run, concerns in looks:
        restarted = Alerts.from_json(json.loads(json.dumps(restarted.to_json())))
        assert look(restarted, after_run, concerns) == look(whole, after_run, concerns)


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
def test_what_cannot_be_read_is_forgotten(kept: object) -> None:
    assert Alerts.from_json(kept).to_json() == Alerts().to_json()


# Told late


def test_what_could_not_be_told_for_a_while_is_told_as_one() -> None:
    first, second = Message("A run failed", "one", is_good=False), Message("Well again", "two", is_good=True)

    assert joined([first]) == first
    assert joined([first, second]) == Message(
        "Well again (and 1 told late)", "two\n\nBefore that: A run failed\none", is_good=True
    )


def test_what_is_too_long_loses_its_oldest() -> None:
    messages = [Message(f"title {number}", f"body {number} " + "x" * 1_000, is_good=False) for number in range(20)]

    message = joined(messages)

    assert len(message.body) == LONGEST_BODY
    assert message.body.startswith("body 19")
    assert "body 0 " not in message.body
