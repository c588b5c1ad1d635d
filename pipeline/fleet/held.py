"""Held slots: those that this process has and PostgreSQL counts as open, and those of them that it has to close."""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.instants import Nanoseconds


class Closing(NamedTuple):
    """A slot whose request has ended, how, and when by the monotonic clock."""

    slot: int
    outcome: str
    at: Nanoseconds


class Held:
    """The slots that were handed out, until PostgreSQL knows that they are closed. It has no clock."""

    def __init__(self) -> None:
        self._slots = set[int]()
        self._closing: list[Closing] = []

    @property
    def slots(self) -> list[int]:
        """All of them."""
        return sorted(self._slots)

    @property
    def closing(self) -> tuple[Closing, ...]:
        """Those to be closed, in the order in which they were."""
        return tuple(self._closing)

    def add(self, slot: int) -> None:
        """Hold a slot that was handed out."""
        self._slots.add(slot)

    def close(self, closing: Closing) -> None:
        """Have a slot closed with the next statement."""
        self._closing.append(closing)

    def closed(self, first: Sequence[Closing]) -> None:
        """Forget slots that PostgreSQL has closed, or that nothing will close: the first of those to be closed."""
        del self._closing[: len(first)]
        self._slots.difference_update(one.slot for one in first)


def columns(closing: Sequence[Closing], *, now: Nanoseconds) -> tuple[list[int], list[str], list[float]]:
    """Return the slots, how their requests ended, and how many seconds ago, as `fleet.close_slots` takes them."""
    return [one.slot for one in closing], [one.outcome for one in closing], [(now - one.at) / 1e9 for one in closing]
