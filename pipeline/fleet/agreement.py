"""The agreement: what all members of a fleet have in common, the limits of each key and the schedules.

It is in PostgreSQL as JSON, always written in the same way. Members may hold different keys: of a key that both know,
the limits have to be the same.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec

from pipeline.decoding import decoder
from pipeline.errors import ExitCode, Trouble
from pipeline.model.slots import KeyId
from pipeline.quota.keys import KeyPlan
from pipeline.schedule.cron import Schedule

_HOUR = timedelta(hours=1)


class Disagreement(Trouble):
    """A member is configured otherwise than those that live."""

    exit_code = ExitCode.REFUSED


@dataclass(frozen=True, slots=True)
class Agreement:
    """What members agree about. Values are as the configuration writes them."""

    limits: Mapping[KeyId, tuple[str, ...]]
    """Of each key, by its fingerprint, the shortest window first."""
    schedules: Mapping[str, float]
    """How many hours late each may be caught up."""
    names: Mapping[KeyId, str] = field(default_factory=dict, compare=False)
    """What the configuration here calls its keys, as far as it does: nothing that is agreed about."""

    @classmethod
    def of(cls, keys: Mapping[KeyId, KeyPlan], schedules: Iterable[Schedule]) -> "Agreement":
        """Return what a configuration wants to be agreed about."""
        limits = {
            key: tuple(str(limit) for limit in sorted(plan.limits, key=lambda limit: (limit.period, limit.count)))
            for key, plan in keys.items()
        }
        catch_up = {str(schedule): round(schedule.catch_up / _HOUR, 6) for schedule in schedules}
        return cls(limits, catch_up, {key: plan.name for key, plan in keys.items() if plan.name})

    @classmethod
    def from_text(cls, text: str) -> "Agreement":
        """Return the one that `to_text` wrote. Raise Undecodable for other text."""
        read = _decode(text)
        return cls(read.limits, read.schedules)

    def to_text(self) -> str:
        """Return it as JSON: the same text for the same agreement."""
        return json.dumps({"limits": self.limits, "schedules": self.schedules}, sort_keys=True, separators=(",", ":"))

    def difference(self, agreed: "Agreement") -> str | None:
        """Return in one line in what the others agree otherwise; None if this one goes with it."""
        for key, limits in self.limits.items():
            theirs = agreed.limits.get(key, limits)
            if theirs != limits:
                name = self.names.get(key) or f"with the fingerprint {key}"
                return f"the limits of the key {name} are {_listed(limits)} here, and {_listed(theirs)} there"
        for schedule, hours in self.schedules.items():
            if schedule not in agreed.schedules:
                return f"the schedule {schedule} is here, and not there"
            if agreed.schedules[schedule] != hours:
                theirs_are = agreed.schedules[schedule]
                return f"the schedule {schedule} has catch_up_hours {hours:g} here, and {theirs_are:g} there"
        missing = next((schedule for schedule in agreed.schedules if schedule not in self.schedules), None)
        return None if missing is None else f"the schedule {missing} is there, and not here"

    def with_keys_of(self, other: "Agreement") -> "Agreement":
        """Return this one, with the limits of the keys that only the other has."""
        return Agreement({**other.limits, **self.limits}, self.schedules, self.names)


class _Text(msgspec.Struct):
    limits: dict[KeyId, tuple[str, ...]]
    schedules: dict[str, float]


_decode = decoder(_Text)


def _listed(limits: Iterable[str]) -> str:
    return ", ".join(limits) or "none"
