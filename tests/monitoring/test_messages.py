"""Messages: short, grouped by kind, the worst first, and safe to show."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.monitoring.checks import Kind, Problem
from pipeline.monitoring.conditions import NOTIFIED, Name, Severity
from pipeline.monitoring.messages import LONGEST_BODY, LONGEST_LINE, SHOWN, Message, compose, joined, read_messages


def problem(kind: Kind, subject: str = "") -> Problem:
    return Problem(kind, subject, f"[{kind} {subject}]")


def stale(*symbols: str) -> list[Problem]:
    return [problem(Kind.STALE, symbol) for symbol in symbols]


def written(problems: Sequence[Problem]) -> Message:
    return compose(problems, [], left=[])


@pytest.mark.parametrize("kind", sorted(NOTIFIED))
def test_each_kind_has_words_for_one_for_several_and_for_its_end(kind: Kind) -> None:
    one, two = problem(kind, "A"), problem(kind, "B")

    assert one.text in written([one]).body
    assert two.text in written([one, two]).body
    if NOTIFIED[kind].over is not None:
        assert compose([], [Name(kind, "A")], left=[]).body.endswith(": A")
        assert compose([], [Name(kind, "A")], left=[Name(kind, "B"), Name(kind, "C")]).body.endswith(": B, C")


def test_the_severity_is_that_of_the_worst_problem() -> None:
    assert written(stale("IBM")).severity is Severity.WARNING
    assert written([*stale("IBM"), problem(Kind.RUN_FAILED), problem(Kind.DRIFT)]).severity is Severity.FAILURE
    assert compose([], [Name(Kind.RUN_FAILED)], left=[Name(Kind.STALE, "IBM")]).severity is Severity.SUCCESS


def test_of_many_that_are_over_or_not_a_few_are_named() -> None:
    names = [Name(Kind.STALE, f"S{number}") for number in range(SHOWN + 3)]

    assert compose([], names, left=names).body.count("S4 and 3 more") == 2


def test_new_problems_are_one_message_grouped_with_the_worst_first() -> None:
    failed = problem(Kind.RUN_FAILED, "12")
    message = written([*stale("IBM", "AAPL"), problem(Kind.SUSPICION, "PEP"), failed])

    assert message == Message(
        "A run failed; 2 symbols are stale; a value is suspicious",
        "A run failed:\n- [run_failed 12]\n\n"
        "2 symbols are stale:\n- [stale IBM]\n- [stale AAPL]\n\n"
        "A value is suspicious:\n- [suspicion PEP]",
        Severity.FAILURE,
    )


def test_of_many_problems_a_few_are_listed() -> None:
    message = written(stale(*(f"S{number:04}" for number in range(12_000))))

    assert message.title == "12,000 symbols are stale"
    assert message.body.count("[stale") == SHOWN
    assert message.body.endswith("- and 11,995 more")


def test_outside_text_is_shown_without_control_characters_and_short() -> None:
    message = written([Problem(Kind.DRIFT, "x", "a\nforged\x1b[2J\u202eline" + "x" * 10_000)])

    line = message.body.splitlines()[1]
    assert line.startswith("- a\\nforged\\x1b[2J\\u202eline")
    assert len(line) <= LONGEST_LINE + 2


def test_messages_that_were_delayed_are_sent_as_one_newest_first() -> None:
    first, second = Message("A run failed", "one", Severity.WARNING), Message("Recovered", "two", Severity.SUCCESS)

    assert joined([first]) == first
    both = joined([first, second])
    assert both.severity is Severity.SUCCESS
    assert both.title.startswith("Recovered (and 1 ")
    assert both.body.startswith("two")
    assert both.body.index("two") < both.body.index("A run failed") < both.body.index("one")


def test_a_message_that_is_too_long_loses_its_oldest_part() -> None:
    messages = [Message(f"title {number}", f"body {number} " + "x" * 1_000, Severity.WARNING) for number in range(20)]

    message = joined(messages)

    assert len(message.body) == LONGEST_BODY
    assert message.body.startswith("body 19")
    assert "body 0 " not in message.body


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_of_kept_messages_what_is_not_understood_is_left_out(other: object) -> None:
    message = Message("title", "body", Severity.FAILURE)
    kept = msgspec.json.decode(msgspec.json.encode([message]))

    assert read_messages([*kept, other, {**kept[0], "severity": "loud"}]) == [message]
    assert read_messages(other) == []
