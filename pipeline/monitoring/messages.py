"""Messages: arranges what is new and what is over as a notification; the words of a kind are in `conditions`."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from pipeline.monitoring.checks import Kind, Problem
from pipeline.monitoring.conditions import NOTIFIED, Name, Severity
from pipeline.text import cut, few, printable

SHOWN = 5
"""How many problems of one kind are listed; the rest is counted."""
LONGEST_LINE, LONGEST_BODY = 200, 4_000
RECOVERED, PARTLY_RECOVERED = "recovered", "partly recovered"
_ORDER = {kind: place for place, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True)
class Message:
    """One notification. It is a `SUCCESS` if it reports recoveries only."""

    title: str
    body: str
    severity: Severity


def compose(new: Sequence[Problem], over: Sequence[Name], *, left: Collection[Name]) -> Message:
    """Return a message about new problems, and those that are over. `left` are all that are not, new or old."""
    groups = [(kind, list(group)) for kind, group in _by_kind(new)]
    parts = [_part(kind, group) for kind, group in groups]
    if over:
        heading = "Problems that are over" if left or new else "All problems are over"
        parts.append("\n".join([f"{heading}:", *_over_lines(over)]))
    if left and not new:
        parts.append("\n".join(["Not over:", *_left_lines(left)]))
    recovery = PARTLY_RECOVERED if left else RECOVERED
    title = "; ".join(_title(kind, len(group)) for kind, group in groups) or recovery
    severities = {NOTIFIED[kind].severity for kind, _ in groups} or {Severity.SUCCESS}
    worst = max(severities, key=list(Severity).index)
    return Message(_capitalised(title), "\n\n".join(parts), worst)


def read_messages(kept: object) -> list[Message]:
    """Return the messages of a JSON list of them. What it does not understand is left out."""
    messages = []
    for entry in kept if isinstance(kept, list) else []:
        match entry:
            case {"title": str(title), "body": str(body), "severity": str(severity)} if severity in {*Severity}:
                messages.append(Message(title, body, Severity(severity)))
    return messages


def joined(messages: Sequence[Message]) -> Message:
    """Return several messages, oldest first, as one: those that could not be sent for a while are sent together.

    The newest stands first; if the body is too long, its end, the oldest, is cut off.
    """
    newest = messages[-1]
    if len(messages) == 1:
        return newest
    parts = [newest.body, *(f"Earlier: {message.title}\n{message.body}" for message in reversed(messages[:-1]))]
    title = f"{newest.title} (and {len(messages) - 1} delayed)"
    return Message(title, cut("\n\n".join(parts), LONGEST_BODY), newest.severity)


def _by_kind(problems: Iterable[Problem]) -> Iterator[tuple[Kind, Iterator[Problem]]]:
    ordered = sorted(problems, key=lambda problem: _ORDER[problem.kind])
    return groupby(ordered, key=lambda problem: problem.kind)


def _title(kind: Kind, count: int) -> str:
    words = NOTIFIED[kind]
    return words.one if count == 1 else words.many.format(f"{count:,}")


def _part(kind: Kind, problems: Sequence[Problem]) -> str:
    lines = [f"- {_shown(str(problem))}" for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"- and {len(problems) - SHOWN:,} more")
    return "\n".join([f"{_capitalised(_title(kind, len(problems)))}:", *lines])


def _over_lines(names: Iterable[Name]) -> Iterator[str]:
    """Yield a line for each kind that is over, with a few subjects."""
    for kind, subjects in _subjects(names):
        yield f"- {NOTIFIED[kind].over}{_listed(subjects)}"


def _left_lines(names: Iterable[Name]) -> Iterator[str]:
    """Yield a line for each kind that is not over, with a few subjects."""
    for kind, subjects in _subjects(names):
        yield f"- {_title(kind, len(subjects))}{_listed(subjects)}"


def _subjects(names: Iterable[Name]) -> Iterator[tuple[Kind, list[str]]]:
    """Yield the kinds, the most severe first, each with its subjects."""
    ordered = sorted(names, key=lambda name: _ORDER[name.kind])
    for kind, group in groupby(ordered, key=lambda name: name.kind):
        yield kind, [name.subject for name in group]


def _listed(subjects: Sequence[str]) -> str:
    """Return the end of a line that names a few subjects; nothing if there are none."""
    named = [_shown(subject) for subject in subjects if subject]
    return f": {few(named, SHOWN)}" if named else ""


def _shown(text: str) -> str:
    """Return outside text as one short line without control characters."""
    return cut(printable(text), LONGEST_LINE)


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
