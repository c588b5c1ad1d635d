"""Messages: short, grouped by kind, the worst first, and safe to show."""

from collections.abc import Sequence

import pytest

from pipeline.monitoring.checks import Kind, Problem
from pipeline.monitoring.messages import LONGEST_BODY, LONGEST_LINE, NOTIFIED, SHOWN, Message, Name, compose, joined


def problem(kind: Kind, subject: str = "") -> Problem:
    return Problem(kind, subject, f"[{kind} {subject}]")


def stale(*symbols: str) -> list[Problem]:
    return [problem(Kind.STALE, symbol) for symbol in symbols]


def written(problems: Sequence[Problem]) -> Message:
    return compose(problems, [], all_well=False)


@pytest.mark.parametrize("kind", sorted(NOTIFIED))
def test_each_kind_has_words_for_one_for_several_and_for_its_end(kind: Kind) -> None:
    one, two = problem(kind, "A"), problem(kind, "B")

    assert one.text in written([one]).body
    assert two.text in written([one, two]).body
    assert compose([], [Name(kind, "A")], all_well=True).body.endswith(": A")


def test_new_problems_are_one_message_grouped_with_the_worst_first() -> None:
    failed = problem(Kind.RUN_FAILED, "12")
    message = written([*stale("IBM", "AAPL"), problem(Kind.SUSPICION, "PEP"), failed])

    assert message == Message(
        "A run failed; 2 symbols are stale; a value is suspicious",
        "A run failed:\n- [run_failed 12]\n\n"
        "2 symbols are stale:\n- [stale IBM]\n- [stale AAPL]\n\n"
        "A value is suspicious:\n- [suspicion PEP]",
        is_good=False,
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
    first, second = Message("A run failed", "one", is_good=False), Message("Recovered", "two", is_good=True)

    assert joined([first]) == first
    both = joined([first, second])
    assert both.is_good
    assert both.title.startswith("Recovered (and 1 ")
    assert both.body.startswith("two")
    assert both.body.index("two") < both.body.index("A run failed") < both.body.index("one")


def test_a_message_that_is_too_long_loses_its_oldest_part() -> None:
    messages = [Message(f"title {number}", f"body {number} " + "x" * 1_000, is_good=False) for number in range(20)]

    message = joined(messages)

    assert len(message.body) == LONGEST_BODY
    assert message.body.startswith("body 19")
    assert "body 0 " not in message.body
