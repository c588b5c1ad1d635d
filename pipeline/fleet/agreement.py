"""The agreement: what all members of a fleet have in common, the keys with their limits, and the schedules.

It is in PostgreSQL as JSON, always written in the same way. A key goes by its name in the configuration: so limits can
be agreed about where the key itself is not. Of a key that somebody has held, the agreement has the fingerprint, too.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import NamedTuple

import msgspec

from pipeline.decoding import decoder
from pipeline.errors import ExitCode, Trouble
from pipeline.model.slots import KeyId
from pipeline.quota.keys import ApiKey, KeyPlan
from pipeline.schedule.cron import Schedule
from pipeline.text import few

_HOUR = timedelta(hours=1)


class Disagreement(Trouble):
    """A member is configured otherwise than the fleet has agreed."""

    exit_code = ExitCode.REFUSED


class Difference(NamedTuple):
    """In what two agreements differ, in one line, and what to do about it."""

    text: str
    remedy: str


class AgreedKey(msgspec.Struct, frozen=True):
    """A key."""

    limits: tuple[str, ...]
    """As the configuration writes them, the shortest window first."""
    id: KeyId | None = None
    """Its fingerprint; None: nobody has held it yet."""


class Agreement(msgspec.Struct, frozen=True):
    """What members agree about."""

    keys: Mapping[str, AgreedKey]
    """By their names; that of the only key of a configuration may be empty."""
    schedules: Mapping[str, float]
    """How many hours late each may be caught up."""

    @classmethod
    def of(cls, keys: Iterable[ApiKey], schedules: Iterable[Schedule], *, plans: Iterable[KeyPlan] = ()) -> "Agreement":
        """Return what a configuration wants to be agreed about. `plans`: all of its keys, also those not held here."""
        agreed = {plan.name: AgreedKey(_texts(plan)) for plan in plans}
        agreed |= {key.name: AgreedKey(_texts(key.plan), key.id) for key in keys}
        return cls(agreed, {str(schedule): round(schedule.catch_up / _HOUR, 6) for schedule in schedules})

    @classmethod
    def from_text(cls, text: str) -> "Agreement":
        """Return the one that `to_text` wrote. Raise Undecodable for other text."""
        return _decode(text)

    def to_text(self) -> str:
        """Return it as JSON: the same text for the same agreement."""
        return json.dumps(msgspec.to_builtins(self), sort_keys=True, separators=(",", ":"))

    @property
    def ids(self) -> dict[KeyId, str]:
        """The fingerprints that are known, with the names of their keys."""
        return {key.id: name for name, key in self.keys.items() if key.id is not None}

    def difference(self, agreed: "Agreement") -> Difference | None:
        """Return in what the fleet agrees otherwise; None if this one goes with it: keys may be missing in either."""
        for name, key in self.keys.items():
            if (found := _of_key(name, key, agreed)) is not None:
                return found
        for schedule, hours in self.schedules.items():
            theirs = agreed.schedules.get(schedule, hours)
            if theirs != hours:
                text = f"the schedule {schedule} has catch_up_hours {hours:g} here, the fleet has {theirs:g}"
                return Difference(text, _ALIKE)
        mine, others = (sorted(a.schedules.keys() - b.schedules.keys()) for a, b in ((self, agreed), (agreed, self)))
        if not mine and not others:
            return None
        here, there = mine or sorted(self.schedules), others or sorted(agreed.schedules)
        noun = "schedule" if len(here) < 2 else "schedules"
        verb = "is" if len(here) < 2 else "are"
        what = f"the {noun} {few(here)} {verb}" if here else "no schedule is"
        return Difference(f"{what} here, the fleet has {few(there) if there else 'none'}", _ALIKE)

    def addition_to(self, agreed: "Agreement") -> Difference | None:
        """Return which key the fleet does not have, if there is one."""
        added = [name for name in self.keys if name not in agreed.keys]
        return Difference(f"{_label(added[0])} is here, the fleet has no such key", _ALIKE) if added else None

    def in_place_of(self, agreed: "Agreement") -> "Agreement":
        """Return this one, with the fingerprints that only the other knows."""
        known = {name: key.id for name, key in agreed.keys.items()}
        keys = {name: AgreedKey(key.limits, key.id or known.get(name)) for name, key in self.keys.items()}
        return Agreement(keys, self.schedules)

    def beside(self, agreed: "Agreement") -> "Agreement":
        """Return this one, with the keys and fingerprints that only the other has."""
        return Agreement({**agreed.keys, **self.in_place_of(agreed).keys}, self.schedules)


_decode = decoder(Agreement)
_ALIKE = "configure all members alike; pipeline fleet init makes what is configured here what all have to agree about"
_ROTATE = "give all members the same key; to replace it, run pipeline fleet init on one that has the new one"
_RENAME = "give each key one name on all members; pipeline fleet init makes those here what all have to agree about"


def _of_key(name: str, key: AgreedKey, agreed: Agreement) -> Difference | None:
    """Return in what the fleet agrees otherwise about a key."""
    theirs = agreed.keys.get(name)
    if theirs is not None and None not in (key.id, theirs.id) and key.id != theirs.id:
        text = f"{_label(name)} has the fingerprint {key.id} here, the fleet's has {theirs.id}"
        return Difference(text, _ROTATE)
    if key.id is not None and (other := agreed.ids.get(key.id, name)) != name:
        text = f"the key with the fingerprint {key.id} is {_label(name)} here, the fleet has it as {_label(other)}"
        return Difference(text, _RENAME)
    if theirs is not None and theirs.limits != key.limits:
        text = f"the limits of {_label(name)} are {_listed(key.limits)} here, the fleet has {_listed(theirs.limits)}"
        return Difference(text, _ALIKE)
    return None


def _texts(plan: KeyPlan) -> tuple[str, ...]:
    return tuple(str(limit) for limit in sorted(plan.limits, key=lambda limit: (limit.period, limit.count)))


def _label(name: str) -> str:
    return f"the key {name}" if name else "the key without a name"


def _listed(limits: Iterable[str]) -> str:
    return ", ".join(limits) or "none"
