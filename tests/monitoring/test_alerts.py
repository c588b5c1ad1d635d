"""Alerts: fired by a bad observation, resolved by a good one, each notified once, whatever the order."""

import json
from collections.abc import Iterable

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pipeline.monitoring.alerts import EVENTS_REMEMBERED, Alerts
from pipeline.monitoring.checks import Kind, Problem
from pipeline.monitoring.conditions import NOTIFIED, Name, Observation, Over, Severity
from pipeline.monitoring.messages import Message

EVENTS = [kind for kind, words in NOTIFIED.items() if words.over is None]
STATES = [kind for kind in NOTIFIED if kind not in EVENTS]


def wrong(kind: Kind, subject: str = "") -> Problem:
    return Problem(kind, subject, f"[{kind} {subject}]")


def stale(*symbols: str) -> list[Observation]:
    return [wrong(Kind.STALE, symbol) for symbol in symbols]


def observed(*symbols: str) -> list[Observation]:
    return [Over(Kind.STALE, symbol) for symbol in symbols]


def restarted(alerts: Alerts) -> Alerts:
    return Alerts.from_json(json.loads(json.dumps(alerts.to_json())))


@pytest.mark.parametrize("kind", STATES)
def test_each_kind_fires_once_and_is_resolved_by_the_next_good_observation(kind: Kind) -> None:
    alerts = Alerts()
    bad = wrong(kind, "X")

    fired = alerts.report([bad])
    assert fired is not None
    assert bad.text in fired.body
    assert fired.severity is NOTIFIED[kind].severity
    assert alerts.report([bad]) is None
    resolved = alerts.report([Over(kind, "X")])
    assert resolved is not None
    assert (resolved.title, resolved.severity) == ("Recovered", Severity.SUCCESS)
    assert "X" in resolved.body
    assert alerts.report([Over(kind, "X")]) is None
    assert alerts.report([bad]) is not None


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_is_notified_once_and_never_over(kind: Kind) -> None:
    alerts = Alerts()

    assert alerts.report([wrong(kind, "X")]) is not None
    assert alerts.report([]) is None
    assert restarted(alerts).report([wrong(kind, "X")]) is None


def test_nothing_but_a_good_observation_of_that_very_condition_resolves_it() -> None:
    alerts = Alerts()
    alerts.report([wrong(Kind.RUN_FAILED, "daily")])

    assert alerts.report([]) is None
    assert alerts.report([Over(Kind.RUN_FAILED, "hourly"), Over(Kind.RUN_PARTIAL, "daily")]) is None
    assert alerts.firing(Kind.RUN_FAILED) == {"daily"}


def test_a_recovery_says_what_is_not_over_yet() -> None:
    alerts = Alerts()
    alerts.report([*stale("IBM", "AAPL"), wrong(Kind.KEY_REFUSED)])

    message = alerts.report(observed("AAPL"))

    assert message == Message(
        "Partly recovered",
        "Problems that are over:\n- no longer stale: AAPL\n\n"
        "Not over:\n- the API key is refused\n- a symbol is stale: IBM",
        Severity.SUCCESS,
    )


def test_what_fires_and_is_resolved_before_it_could_be_notified_is_notified_as_both() -> None:
    alerts = Alerts()

    message = alerts.report([wrong(Kind.MISSED, "daily"), Over(Kind.MISSED, "daily")])

    assert message is not None
    assert message.title == "Fire times were missed"
    assert message.severity is Severity.WARNING
    assert "[missed daily]" in message.body
    assert "runs take place again: daily" in message.body
    assert alerts.firing(Kind.MISSED) == set()


def test_what_is_resolved_and_fires_again_before_it_could_be_notified_is_not_news() -> None:
    alerts = Alerts()
    alerts.report([wrong(Kind.STORAGE)])

    assert alerts.report([Over(Kind.STORAGE), wrong(Kind.STORAGE)]) is None


def test_alerts_about_what_is_not_observed_any_more_are_forgotten_silently() -> None:
    alerts = Alerts()
    alerts.report([*stale("IBM", "AAPL"), wrong(Kind.MISSED, "IBM")])

    alerts.forget_others(Kind.STALE, ["AAPL", "PEP"])

    assert alerts.report(observed("IBM")) is None
    assert (alerts.firing(Kind.STALE), alerts.firing(Kind.MISSED)) == ({"AAPL"}, {"IBM"})
    assert alerts.report(stale("IBM")) is not None


def test_a_bounded_number_of_events_is_remembered_the_last_ones() -> None:
    alerts = Alerts()
    batch = [wrong(Kind.SUSPICION, str(number)) for number in range(EVENTS_REMEMBERED + 500)]
    alerts.report(batch)
    assert alerts.report(batch) is None

    for number in range(3):
        alerts.report([wrong(Kind.SUSPICION, f"{number} {other}") for other in range(400)])

    assert len(alerts.to_json()["events"]) <= EVENTS_REMEMBERED + 400
    assert alerts.report([wrong(Kind.SUSPICION, "1 7"), wrong(Kind.SUSPICION, "2 399")]) is None


SUBJECTS = ("A", "B")
OBSERVATIONS = st.lists(
    st.one_of(
        st.builds(wrong, st.sampled_from([*NOTIFIED]), st.sampled_from(SUBJECTS)),
        st.builds(Over, st.sampled_from(STATES), st.sampled_from(SUBJECTS)),
    ),
    max_size=6,
)


class AnySequence(RuleBasedStateMachine):
    """Whatever is observed, in whatever order, with or without restarts: what the reader of all messages believes."""

    def __init__(self) -> None:
        super().__init__()
        self.alerts = Alerts()
        self.never_restarted = Alerts()
        self.last: dict[Name, bool] = {}
        """Whether the last observation of each condition was good."""
        self.believed: dict[Name, bool] = {}
        """Whether the last message about each condition was that it is over."""

    @rule(observations=OBSERVATIONS)
    def observe(self, observations: list[Observation]) -> None:
        message = self.alerts.report(observations)
        assert message == self.never_restarted.report(observations)
        self.read(message)
        self.last |= {Name(one.kind, one.subject): isinstance(one, Over) for one in observations}
        assert_every_bad_one_was_told(observations, self.believed)

    @rule()
    def restart(self) -> None:
        self.alerts = restarted(self.alerts)

    @rule(kind=st.sampled_from(STATES), kept=st.sets(st.sampled_from(SUBJECTS)))
    def reconfigure(self, kind: Kind, kept: set[str]) -> None:
        for alerts in (self.alerts, self.never_restarted):
            alerts.forget_others(kind, kept)
        for told in (self.last, self.believed):
            for name in [name for name in told if name.kind is kind and name.subject not in kept]:
                del told[name]

    @invariant()
    def the_reader_believes_that_it_is_over_if_and_only_if_the_last_observation_was_good(self) -> None:
        for name, was_good in self.last.items():
            if name.kind not in EVENTS:
                assert self.believed.get(name, True) == was_good
                assert (name.subject in self.alerts.firing(name.kind)) != was_good

    def read(self, message: Message | None) -> None:
        """Believe a message: that what it lists is wrong, or over. It may not repeat what was known."""
        if message is None:
            return
        news = list(listed(message))
        assert news, "a message without news"
        assert len(news) == len(set(news))
        for name, is_over in news:
            assert self.believed.get(name, True) != is_over, f"told twice: {name}"
            if name.kind not in EVENTS or not is_over:
                self.believed[name] = is_over


def listed(message: Message) -> Iterable[tuple[Name, bool]]:
    """Yield what a message says: which conditions fire, and then which are over."""
    news = message.body.partition("Not over:")[0]
    for kind in NOTIFIED:
        for subject in SUBJECTS:
            if wrong(kind, subject).text in news:
                yield Name(kind, subject), False
        over = NOTIFIED[kind].over
        for line in news.splitlines():
            if over is not None and line.startswith(f"- {over}: "):
                yield from ((Name(kind, subject), True) for subject in line.partition(": ")[2].split(", "))


def assert_every_bad_one_was_told(observations: Iterable[Observation], believed: dict[Name, bool]) -> None:
    assert {Name(one.kind, one.subject) for one in observations if isinstance(one, Problem)} <= believed.keys()


TestAnySequence = AnySequence.TestCase


EARLIER = {
    "courses": [
        ["stale", "IBM", 1, 2, True],
        ["stale", "TSLA", 3, 2, False],
        ["key_refused", "", 0, 1, True],
        ["run_partial", "", 0, 1, True],
    ],
    "events": [["run_partial", "12"], ["missed", "2026-03-14T18:30:00.000Z"], ["suspicion", "PEP"]],
}
"""A memory of an earlier version: the staleness of TSLA was over and told, that of IBM was to be told."""


def test_a_memory_that_an_earlier_version_wrote_is_read() -> None:
    alerts = Alerts.from_json(EARLIER)

    assert alerts.report([*stale("IBM"), wrong(Kind.KEY_REFUSED), wrong(Kind.SUSPICION, "PEP")]) is None
    assert alerts.report(observed("TSLA")) is None
    over = alerts.report([*observed("IBM"), Over(Kind.KEY_REFUSED), Over(Kind.RUN_PARTIAL, "")])
    assert over is not None
    assert over.title == "Recovered"


def test_what_is_written_has_the_keys_and_shapes_that_an_earlier_version_reads() -> None:
    alerts = Alerts()
    alerts.report([*stale("IBM"), wrong(Kind.SUSPICION, "PEP")])

    assert alerts.to_json() == {"courses": [["stale", "IBM", 0, 1, True]], "events": [["suspicion", "PEP"]]}


@pytest.mark.parametrize(
    "kept",
    [
        None,
        7,
        "x",
        [],
        {},
        {"courses": 3, "events": None},
        {"courses": [["a kind of tomorrow", "x", 0, 1, True], [], None, "stale"]},
        {
            "courses": [
                ["stale", "x", "many", 1, True],
                ["stale"],
                ["stale", [], 0, 0, True],
                [["stale"], "x", 0, 0, True],
            ]
        },
        {"courses": [["daemon", "x", 0, 1, True], ["stale", "x", 0, 1, None]]},
        {"events": [["suspicion", "x", 1], ["crash", "x"], ["suspicion", None], {"suspicion": "x"}]},
    ],
)
def test_what_is_not_understood_in_a_memory_is_forgotten(kept: object) -> None:
    assert Alerts.from_json(kept).to_json() == {"courses": [], "events": []}


def test_what_is_understood_in_a_memory_is_kept_beside_what_is_not() -> None:
    kept = {"courses": [["a kind of tomorrow", "x", 0, 1, True], ["stale", "IBM", 0, 1, True]], "added": 1}

    assert Alerts.from_json(kept).firing(Kind.STALE) == {"IBM"}
