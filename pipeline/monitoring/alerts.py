"""Alerts: which conditions are firing, and what to notify when one fires or is resolved.

An alert is one condition, its kind and subject (`conditions`). It fires with the first bad observation, is resolved by
the next good one, and nothing else changes it: not time, not a run that shows nothing, not a restart. Each of the two
is notified once. An event, such as a suspicious value, fires once and is never resolved.
"""

from collections.abc import Collection, Iterable
from typing import Any

from pipeline.monitoring.checks import Kind, Problem
from pipeline.monitoring.conditions import NOTIFIED, Name, Observation, Over
from pipeline.monitoring.messages import Message, compose

EVENTS_REMEMBERED = 1_000
"""How many past events are remembered, besides those of the last report, so that none is notified twice."""


class Alerts:
    """The alerts that are firing, and the events notified last."""

    def __init__(self) -> None:
        self._firing: dict[Name, None] = {}
        self._events: dict[Name, None] = {}

    def report(self, observations: Iterable[Observation]) -> Message | None:
        """Take observations, oldest first, and return what to notify; None if they change nothing.

        What fires and is resolved within them is notified as both, what is resolved and fires again as neither.
        """
        observations = tuple(observations)
        before = {**self._firing, **self._events}
        for one in observations:
            self._take(one)
        fired = {Name(one.kind, one.subject): one for one in observations if isinstance(one, Problem)}
        new = [problem for name, problem in fired.items() if name not in before]
        over = [name for name in {**before, **fired} if not _is_event(name.kind) and name not in self._firing]
        self._forget_old_events(fired)
        return compose(new, over, left=tuple(self._firing)) if new or over else None

    def firing(self, kind: Kind) -> set[str]:
        """Return the subjects of the alerts of a kind that are firing."""
        return {name.subject for name in self._firing if name.kind is kind}

    def forget_others(self, kind: Kind, subjects: Collection[str]) -> None:
        """Forget the alerts of a kind about other subjects: nothing observes them any more, so nothing is notified."""
        self._firing = {name: None for name in self._firing if name.kind is not kind or name.subject in subjects}

    def _take(self, observation: Observation) -> None:
        name = Name(observation.kind, observation.subject)
        if isinstance(observation, Over):
            self._firing.pop(name, None)
        elif _is_event(name.kind):
            self._events[name] = None
        else:
            self._firing[name] = None

    def _forget_old_events(self, fired: Collection[Name]) -> None:
        others = [name for name in self._events if name not in fired]
        kept = [*others[-EVENTS_REMEMBERED:], *(name for name in self._events if name in fired)]
        self._events = dict.fromkeys(kept)

    def to_json(self) -> dict[str, Any]:
        """Return all that is remembered, to survive a restart.

        The keys are those of earlier versions, in which an alert that is firing was a course: its kind and subject, for
        how many runs it had been over, after how many it was, and whether its recovery was still to be notified.
        """
        return {
            "courses": [[*name, 0, 1, True] for name in self._firing],
            "events": [list(name) for name in self._events],
        }

    @classmethod
    def from_json(cls, kept: object) -> "Alerts":
        """Return what `to_json` gave, in this version or another. What it does not understand is forgotten."""
        alerts = cls()
        if isinstance(kept, dict):
            for entry in _list(kept.get("courses")):
                match entry:
                    case [str(kind), str(subject), int(), int(), True] if kind in NOTIFIED:
                        alerts._take(Problem(Kind(kind), subject, ""))
            for entry in _list(kept.get("events")):
                match entry:
                    case [str(kind), str(subject)] if kind in NOTIFIED and _is_event(Kind(kind)):
                        alerts._take(Problem(Kind(kind), subject, ""))
        return alerts


def _is_event(kind: Kind) -> bool:
    return NOTIFIED[kind].over is None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
