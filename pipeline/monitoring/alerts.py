"""Alerts: what is wrong now, and what was told before, make what is to be told. One message a run, and no storms.

An event (a run that failed, a fire time missed, a suspicion) is told once. What lasts (a stale symbol, a refused key)
is told when it comes up, and not again while it lasts. When nothing of it is left, that is told once too.

What comes and goes is told ever more rarely. It counts as over when so many runs in a row have ended without it as its
patience says: one at first, and twice as many each time it comes back after it was over, up to LONGEST_PATIENCE. What
comes back before it was over is not told again; and while anything is not over, all is not well again. So a symbol
that is stale at every other run is told twice, and then no more. FORGOTTEN_AFTER so many runs without it, it is new.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any, NamedTuple

from pipeline.text import cut, few, printable

LONGEST_PATIENCE = 32
FORGOTTEN_AFTER = 64
SHOWN = 5
"""So many of one kind are named; the rest is counted."""
LONGEST_LINE, LONGEST_BODY = 200, 4_000
EVENTS_REMEMBERED = 1_000
"""So many events that nobody speaks of any more. Those that come up again and again are remembered besides."""


class Kind(StrEnum):
    """What is wrong, the worst first."""

    CRASH = "crash"
    STORAGE = "storage"
    KEY_REFUSED = "key_refused"
    CONFIGURATION = "configuration"
    RUN_FAILED = "run_failed"
    RUN_PARTIAL = "run_partial"
    MISSED = "missed"
    STALE = "stale"
    DRIFT = "drift"
    SUSPICION = "suspicion"

    @property
    def lasts(self) -> bool:
        """Whether it stays until it is mended; else it happened once."""
        return self in _LASTING


_LASTING = frozenset({Kind.STORAGE, Kind.KEY_REFUSED, Kind.CONFIGURATION, Kind.STALE, Kind.DRIFT})
_PLACE = {kind: place for place, kind in enumerate(Kind)}

_TITLES: Mapping[Kind, tuple[str, str]] = {
    Kind.CRASH: ("the daemon crashed", "the daemon crashed {} times"),
    Kind.STORAGE: ("nothing can be stored", "nothing can be stored"),
    Kind.KEY_REFUSED: ("the key is refused", "the key is refused"),
    Kind.CONFIGURATION: ("the new configuration is refused", "the new configuration is refused"),
    Kind.RUN_FAILED: ("a run failed", "{} runs failed"),
    Kind.RUN_PARTIAL: ("a run ended partial", "{} runs ended partial"),
    Kind.MISSED: ("a fire time was missed", "{} fire times were missed"),
    Kind.STALE: ("a symbol is stale", "{} symbols are stale"),
    Kind.DRIFT: ("the fields drift", "the fields drift"),
    Kind.SUSPICION: ("a suspicion", "{} suspicions"),
}
"""Of one, and of more."""
_OVER: Mapping[Kind, str] = {
    Kind.CRASH: "no crash since",
    Kind.STORAGE: "what comes can be stored",
    Kind.KEY_REFUSED: "the key is accepted",
    Kind.CONFIGURATION: "the configuration is taken over",
    Kind.RUN_FAILED: "no run failed since",
    Kind.RUN_PARTIAL: "no run ended partial since",
    Kind.MISSED: "no fire time was missed since",
    Kind.STALE: "looked at again",
    Kind.DRIFT: "as the catalogue has it",
    Kind.SUSPICION: "nothing suspicious since",
}
_WELL = "well again"


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing that is wrong: `what` tells it from others of its kind, `line` is for people.

    `what` is a symbol, a field, a fire time, a run; empty where there can be but one.
    """

    kind: Kind
    what: str
    line: str


@dataclass(frozen=True, slots=True)
class Message:
    """What is told at once."""

    title: str
    body: str
    is_good: bool


class _Name(NamedTuple):
    """What has a course. Events of one kind share one, without a name: each is new, but they come and go together."""

    kind: Kind
    what: str


@dataclass(slots=True)
class _Course:
    """How one thing went: how many runs in a row ended without it, and how many have to until it is over."""

    gone: int = 0
    patience: int = 1
    is_owed: bool = True
    """Nobody was told yet that it is over."""

    @property
    def is_over(self) -> bool:
        return self.gone >= self.patience

    @property
    def is_forgotten(self) -> bool:
        return self.gone >= FORGOTTEN_AFTER and not self.is_owed


class Alerts:
    """Says what is to be told, and remembers what was."""

    def __init__(self) -> None:
        self._courses: dict[_Name, _Course] = {}
        self._events: dict[_Name, None] = {}

    def tell(self, concerns: Iterable[Concern]) -> Message | None:
        """Return what is to be told of these, None if nothing is. What is not among them may be there all the same."""
        return self._message(self._news(concerns), is_well=False)

    def tell_after_run(self, concerns: Iterable[Concern]) -> Message | None:
        """Return what is to be told now that a run has ended, None if nothing is. What is not among them is gone."""
        concerns = tuple(concerns)
        news = self._news(concerns)
        there = {_Name(concern.kind, concern.what) for concern in concerns if concern.kind.lasts}
        there |= {_course_name(concern) for concern in news}
        for name, course in self._courses.items():
            if name not in there:
                course.gone += 1
        message = self._message(news, is_well=all(course.is_over for course in self._courses.values()))
        self._courses = {name: course for name, course in self._courses.items() if not course.is_forgotten}
        return message

    def _news(self, concerns: Iterable[Concern]) -> list[Concern]:
        """Return those that are to be told, and take note of all."""
        heard: dict[_Name, None] = {}
        news = []
        for concern in concerns:
            name = _Name(concern.kind, concern.what)
            if concern.kind.lasts:
                is_new = self._comes_up(name)
            else:
                is_new = name not in self._events and name not in heard
                heard[name] = None
                if is_new and concern.kind is not Kind.SUSPICION:  # which is pointed out, and then never "over"
                    self._comes_up(_course_name(concern))
            if is_new:
                news.append(concern)
        self._remember(heard)
        return news

    def _comes_up(self, name: _Name) -> bool:
        """Return whether it was not there before, or was over."""
        course = self._courses.get(name)
        if course is None:
            self._courses[name] = _Course()
            return True
        returns = course.is_over
        if returns:
            course.patience = min(2 * course.patience, LONGEST_PATIENCE)
            course.is_owed = True
        course.gone = 0
        return returns

    def _remember(self, heard: Mapping[_Name, None]) -> None:
        others = [name for name in self._events if name not in heard]
        self._events = dict.fromkeys([*others[-EVENTS_REMEMBERED:], *heard])

    def _message(self, news: Sequence[Concern], *, is_well: bool) -> Message | None:
        """Return the message, and what is over in it if there is news, or if all is well."""
        over = [name for name, course in self._courses.items() if course.is_owed and course.is_over]
        if not news and not (is_well and over):
            return None
        for name in over:
            self._courses[name].is_owed = False
        titles = [_title(kind, len(group)) for kind, group in _by_kind(news)]
        parts = [_part(kind, [_shown(concern.line) for concern in group]) for kind, group in _by_kind(news)]
        if over:
            parts.append("\n".join([_capitalised(_WELL if is_well else "mended") + ":", *_over(over)]))
        return Message(_capitalised("; ".join(titles) or _WELL), "\n\n".join(parts), is_good=not news)

    # Kept over a restart

    def to_json(self) -> dict[str, Any]:
        """Return all that is remembered, as JSON can hold it."""
        return {
            "courses": [
                [*name, course.gone, course.patience, course.is_owed] for name, course in self._courses.items()
            ],
            "events": [list(name) for name in self._events],
        }

    @classmethod
    def from_json(cls, kept: object) -> "Alerts":
        """Return what `to_json` gave. What is none of that is forgotten: better told twice than not at all."""
        news = cls()
        try:
            courses, events = kept["courses"], kept["events"]  # type: ignore[index] # whatever it is, it is tried
            for kind, what, gone, patience, is_owed in courses:
                news._courses[_Name(Kind(kind), str(what))] = _Course(int(gone), max(1, int(patience)), bool(is_owed))
            for kind, what in events:
                news._events[_Name(Kind(kind), str(what))] = None
        except (TypeError, ValueError, KeyError, OverflowError):
            return cls()
        return news


def joined(messages: Sequence[Message]) -> Message:
    """Return several messages, oldest first, as one: what could not be told for a while is told at once.

    The newest stands first. What is too long loses its oldest.
    """
    newest = messages[-1]
    if len(messages) == 1:
        return newest
    parts = [newest.body, *(f"Before that: {message.title}\n{message.body}" for message in reversed(messages[:-1]))]
    return Message(
        f"{newest.title} (and {len(messages) - 1} told late)", cut("\n\n".join(parts), LONGEST_BODY), newest.is_good
    )


def _course_name(concern: Concern) -> _Name:
    return _Name(concern.kind, concern.what if concern.kind.lasts else "")


def _by_kind(concerns: Iterable[Concern]) -> Iterator[tuple[Kind, list[Concern]]]:
    ordered = sorted(concerns, key=lambda concern: _PLACE[concern.kind])
    return ((kind, list(group)) for kind, group in groupby(ordered, key=lambda concern: concern.kind))


def _title(kind: Kind, count: int) -> str:
    one, more = _TITLES[kind]
    return one if count == 1 else more.format(f"{count:,}")


def _part(kind: Kind, lines: Sequence[str]) -> str:
    named = [f"- {line}" for line in lines[:SHOWN]]
    if len(lines) > SHOWN:
        named.append(f"- and {len(lines) - SHOWN:,} more")
    return "\n".join([_capitalised(_title(kind, len(lines))) + ":", *named])


def _over(names: Iterable[_Name]) -> Iterator[str]:
    """Yield a line for each kind that is over, with a few names."""
    for kind, group in groupby(sorted(names, key=lambda name: _PLACE[name.kind]), key=lambda name: name.kind):
        whats = [_shown(name.what) for name in group if name.what]
        yield f"- {_OVER[kind]}" + (f": {few(whats, SHOWN)}" if whats else "")


def _shown(text: str) -> str:
    """Return what came from elsewhere as one short line that acts on nothing."""
    return cut(printable(text), LONGEST_LINE)


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
