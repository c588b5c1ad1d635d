"""Keys: what is known of an API key without the key itself: a fingerprint, its name, and the limits of its plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from pipeline.model.slots import KeyId
from pipeline.quota.limits import Limit


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """What a key is called in the configuration, and its limits."""

    name: str
    limits: tuple[Limit, ...]


def fingerprint(key: str) -> KeyId:
    """Return 16 hexadecimal digits that tell keys apart, and from which none can be found out."""
    return KeyId(blake2b(key.encode(), digest_size=8, person=b"pipeline-key").hexdigest())


def all_limits(plans: Sequence[KeyPlan]) -> tuple[Limit, ...]:
    """Return the limits of all plans, each once."""
    return tuple(dict.fromkeys(limit for plan in plans for limit in plan.limits))
