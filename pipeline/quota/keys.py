"""Keys: API keys, and what is known of one without the key itself: a fingerprint, its name, and its plan's limits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from pipeline.model.slots import KeyId
from pipeline.quota.limits import MAX_WORKERS, Limit, max_workers


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """What a key is called in the configuration, and its limits. The name is empty where there is but one key."""

    name: str
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key, and what it is called in the configuration."""

    name: str
    secret: str = field(repr=False)
    limits: tuple[Limit, ...]

    @property
    def id(self) -> KeyId:
        """Its fingerprint: what databases hold."""
        return fingerprint(self.secret)

    @property
    def plan(self) -> KeyPlan:
        """What may be known to all."""
        return KeyPlan(self.name, self.limits)


def fingerprint(key: str) -> KeyId:
    """Return 16 hexadecimal digits that tell keys apart, and from which none can be found out."""
    return KeyId(blake2b(key.encode(), digest_size=8, person=b"pipeline-key").hexdigest())


def all_limits(plans: Sequence[KeyPlan]) -> tuple[Limit, ...]:
    """Return the limits of all plans, each once."""
    return tuple(dict.fromkeys(limit for plan in plans for limit in plan.limits))


def most_workers(keys: Iterable[ApiKey]) -> int:
    """Return how many requests the limits of all keys together allow at once, which is how many workers are of use."""
    return min(MAX_WORKERS, sum(max_workers(key.limits) for key in keys))


def plans_text(plans: Sequence[KeyPlan]) -> str:
    """Return the limits in one line: `25/day, 1/second`, or with several keys `main 25/day; second 75/minute`."""
    if len(plans) == 1:
        return ", ".join(map(str, plans[0].limits)) or "no limits"
    return "; ".join(f"{plan.name} {', '.join(map(str, plan.limits)) or 'without limits'}" for plan in plans)
