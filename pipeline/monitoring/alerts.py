"""Alerts: deduplicate problems, and report recoveries. At most one message per run, and no floods.

An event (a failed run, a missed fire time, a suspicious value) is reported once. A lasting problem (a stale symbol, a
refused key) is reported when it appears, and not again while it lasts. When all problems are over, that is reported.

A problem that comes and goes is reported ever more rarely. It is over once `runs_to_recover` runs in a row have ended
without it: one at first, doubled each time it returns after it was over, up to `MOST_RUNS_TO_RECOVER`. If it returns
earlier, it is not reported again; and until it is over, recovery is not reported either. So a symbol that is stale at
every other run is reported twice, then no more. After `FORGOTTEN_AFTER` runs without it, a problem counts as new.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.monitoring.checks import Kind, Problem
from pipeline.monitoring.messages import NOTIFIED, Message, Name, compose

MOST_RUNS_TO_RECOVER = 32
FORGOTTEN_AFTER = 64
EVENTS_REMEMBERED = 1_000
"""How many past events are remembered, besides those that are reported again and again."""

LASTING = frozenset({Kind.STORAGE, Kind.KEY_REFUSED, Kind.CONFIGURATION, Kind.STALE, Kind.DRIFT})
"""Kinds that last until they are fixed. The others are events, which happen once."""


@dataclass(slots=True)
class _Course:
    """What became of one problem since it was first reported."""

    runs_without: int = 0
    """How many runs in a row have ended without it."""
    runs_to_recover: int = 1
    """How many have to, for it to be over."""
    is_recovery_due: bool = True
    """Whether its recovery is still to be reported."""

    @property
    def is_over(self) -> bool:
        return self.runs_without >= self.runs_to_recover

    @property
    def is_forgotten(self) -> bool:
        return self.runs_without >= FORGOTTEN_AFTER and not self.is_recovery_due


class Alerts:
    """Decides which problems to report, and remembers those reported."""

    def __init__(self) -> None:
        self._courses: dict[Name, _Course] = {}
        self._events: dict[Name, None] = {}

    def report(self, problems: Iterable[Problem]) -> Message | None:
        """Return what to report of these, None if nothing. Problems not among them may still exist."""
        return self._message(self._select_new(problems), all_well=False)

    def report_after_run(self, problems: Iterable[Problem]) -> Message | None:
        """Return what to report after a run, None if nothing. Problems not among these are gone."""
        problems = tuple(problems)
        new = self._select_new(problems)
        present = {Name(problem.kind, problem.subject) for problem in problems if problem.kind in LASTING}
        present |= {_course_name(problem) for problem in new}
        for name, course in self._courses.items():
            if name not in present:
                course.runs_without += 1
        message = self._message(new, all_well=all(course.is_over for course in self._courses.values()))
        self._courses = {name: course for name, course in self._courses.items() if not course.is_forgotten}
        return message

    def _select_new(self, problems: Iterable[Problem]) -> list[Problem]:
        """Remember all, and return those that are new."""
        events: dict[Name, None] = {}
        new = []
        for problem in problems:
            name = Name(problem.kind, problem.subject)
            if problem.kind in LASTING:
                is_new = self._appears(name)
            else:
                is_new = name not in self._events and name not in events
                events[name] = None
                if is_new and problem.kind is not Kind.SUSPICION:  # which is never "over"
                    self._appears(_course_name(problem))
            if is_new:
                new.append(problem)
        self._remember(events)
        return new

    def _appears(self, name: Name) -> bool:
        """Begin or continue a course. Return whether the problem is new, or was over."""
        course = self._courses.get(name)
        if course is None:
            self._courses[name] = _Course()
            return True
        returns = course.is_over
        if returns:
            course.runs_to_recover = min(2 * course.runs_to_recover, MOST_RUNS_TO_RECOVER)
            course.is_recovery_due = True
        course.runs_without = 0
        return returns

    def _remember(self, events: Mapping[Name, None]) -> None:
        others = [name for name in self._events if name not in events]
        self._events = dict.fromkeys([*others[-EVENTS_REMEMBERED:], *events])

    def _message(self, new: Sequence[Problem], *, all_well: bool) -> Message | None:
        """Return the message about what is new, with all recoveries; about recoveries alone only if all is well."""
        over = [name for name, course in self._courses.items() if course.is_recovery_due and course.is_over]
        if not new and not (all_well and over):
            return None
        for name in over:
            self._courses[name].is_recovery_due = False
        return compose(new, over, all_well=all_well)

    def to_json(self) -> dict[str, Any]:
        """Return all that is remembered, to survive a restart."""
        return {
            "courses": [
                [*name, course.runs_without, course.runs_to_recover, course.is_recovery_due]
                for name, course in self._courses.items()
            ],
            "events": [list(name) for name in self._events],
        }

    @classmethod
    def from_json(cls, kept: object) -> "Alerts":
        """Return what `to_json` gave. Anything else is forgotten: a repeated report is better than none."""
        alerts = cls()
        try:
            courses, events = kept["courses"], kept["events"]  # type: ignore[index] # anything may be in the file
            for kind, subject, runs_without, runs_to_recover, is_due in courses:
                course = _Course(int(runs_without), max(1, int(runs_to_recover)), bool(is_due))
                alerts._courses[_name_from_json(kind, subject)] = course
            for kind, subject in events:
                alerts._events[_name_from_json(kind, subject)] = None
        except (TypeError, ValueError, KeyError, OverflowError):
            return cls()
        return alerts


def _name_from_json(kind: str, subject: object) -> Name:
    """Return a name that was stored. Raise ValueError for a kind that is not notified."""
    name = Name(Kind(kind), str(subject))
    if name.kind not in NOTIFIED:
        raise ValueError(name.kind)
    return name


def _course_name(problem: Problem) -> Name:
    """Return what has a course. All events of a kind share one: each is new, but they come and go together."""
    return Name(problem.kind, problem.subject if problem.kind in LASTING else "")
