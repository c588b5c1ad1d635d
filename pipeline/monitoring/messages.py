"""Messages: the title and body of a notification, from problems that are new and problems that are over."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from pipeline.monitoring.checks import Kind, Problem
from pipeline.text import cut, printable

SHOWN = 5
"""How many problems of one kind are listed; the rest is counted."""
LONGEST_LINE, LONGEST_BODY = 200, 4_000
RECOVERED = "recovered"


class _Words(NamedTuple):
    one: str
    many: str
    """Of several; {} is their number."""
    over: str
    """When it is over."""


_WORDS: Mapping[Kind, _Words] = {
    Kind.CRASH: _Words("the daemon crashed", "the daemon crashed {} times", "no crash since"),
    Kind.STORAGE: _Words("nothing can be stored", "nothing can be stored", "data can be stored again"),
    Kind.KEY_REFUSED: _Words("the API key is refused", "the API key is refused", "the API key is accepted"),
    Kind.CONFIGURATION: _Words(
        "the new configuration is rejected", "the new configuration is rejected", "the configuration is accepted"
    ),
    Kind.RUN_FAILED: _Words("a run failed", "{} runs failed", "no run failed since"),
    Kind.RUN_PARTIAL: _Words("a run ended partial", "{} runs ended partial", "no run ended partial since"),
    Kind.MISSED: _Words("fire times were missed", "fire times were missed", "no fire time was missed since"),
    Kind.STALE: _Words("a symbol is stale", "{} symbols are stale", "observed again"),
    Kind.DRIFT: _Words("a field has changed", "{} fields have changed", "as expected again"),
    Kind.SUSPICION: _Words("a value is suspicious", "{} values are suspicious", "no value was suspicious since"),
}
NOTIFIED = frozenset(_WORDS)
_SEVERITY = {kind: place for place, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True)
class Message:
    """One notification. `is_good`: it reports recoveries only."""

    title: str
    body: str
    is_good: bool


class Name(NamedTuple):
    """Which problem: its kind, and its subject if there can be several."""

    kind: Kind
    subject: str


def compose(new: Sequence[Problem], over: Sequence[Name], *, all_well: bool) -> Message:
    """Return a message about new problems, and those that are over."""
    groups = [(kind, list(group)) for kind, group in _by_kind(new)]
    parts = [_part(kind, group) for kind, group in groups]
    if over:
        heading = "all problems are over" if all_well else "problems that are over"
        parts.append("\n".join([f"{_capitalised(heading)}:", *_over_lines(over)]))
    title = "; ".join(_title(kind, len(group)) for kind, group in groups) or RECOVERED
    return Message(_capitalised(title), "\n\n".join(parts), is_good=not new)


def joined(messages: Sequence[Message]) -> Message:
    """Return several messages, oldest first, as one: those that could not be sent for a while are sent together.

    The newest stands first; if the body is too long, its end, the oldest, is cut off.
    """
    newest = messages[-1]
    if len(messages) == 1:
        return newest
    parts = [newest.body, *(f"Earlier: {message.title}\n{message.body}" for message in reversed(messages[:-1]))]
    title = f"{newest.title} (and {len(messages) - 1} delayed)"
    return Message(title, cut("\n\n".join(parts), LONGEST_BODY), newest.is_good)


def _by_kind(problems: Iterable[Problem]) -> Iterator[tuple[Kind, Iterator[Problem]]]:
    ordered = sorted(problems, key=lambda problem: _SEVERITY[problem.kind])
    return groupby(ordered, key=lambda problem: problem.kind)


def _title(kind: Kind, count: int) -> str:
    words = _WORDS[kind]
    return words.one if count == 1 else words.many.format(f"{count:,}")


def _part(kind: Kind, problems: Sequence[Problem]) -> str:
    lines = [f"- {_shown(str(problem))}" for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"- and {len(problems) - SHOWN:,} more")
    return "\n".join([f"{_capitalised(_title(kind, len(problems)))}:", *lines])


def _over_lines(names: Iterable[Name]) -> Iterator[str]:
    """Yield a line for each kind that is over, with a few subjects."""
    ordered = sorted(names, key=lambda name: _SEVERITY[name.kind])
    for kind, group in groupby(ordered, key=lambda name: name.kind):
        subjects = [_shown(name.subject) for name in group if name.subject]
        more = f" and {len(subjects) - SHOWN:,} more" if len(subjects) > SHOWN else ""
        yield f"- {_WORDS[kind].over}" + (f": {', '.join(subjects[:SHOWN])}{more}" if subjects else "")


def _shown(text: str) -> str:
    """Return outside text as one short line without control characters."""
    return cut(printable(text), LONGEST_LINE)


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
