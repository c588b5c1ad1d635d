"""Slots: permission for one request each, and what past requests leave of the quota."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, NewType

from pipeline.instants import Nanoseconds, scheduled_days
from pipeline.model.outcomes import RunId
from pipeline.model.symbols import Symbol
from pipeline.uptime import Uptime

KeyId = NewType("KeyId", str)
"""The fingerprint of an API key (`quota.keys.fingerprint`)."""
EVERY_KEY = KeyId("")
"""In the table of blocks: the block is one of all keys."""

NO_SYMBOL = ""
"""In the ledger, the symbol of a request that a killed run may have sent: nothing says for which it was."""

LONGEST_BLOCK = scheduled_days(1)
"""Of one that the API's words cause: a daily schedule finds it over."""


class Permit(NamedTuple):
    """Permission to send, as far as throttling is concerned."""

    pauses: int
    """How many pauses of its key there had been when it was given: a later one revokes it."""
    alone: bool
    """Whether it is the one request that tests, after a pause, whether the API answers again."""


FIRST_PERMIT = Permit(0, alone=False)


@dataclass(frozen=True, slots=True)
class Slot:
    """Permission to send one request with a key, until `deadline` on the monotonic clock."""

    id: int
    key: KeyId
    run: RunId
    symbol: Symbol
    retry: bool
    reserved_at: datetime
    taken: Nanoseconds
    deadline: Nanoseconds
    permit: Permit = FIRST_PERMIT


@dataclass(frozen=True, slots=True)
class SpentSlot:
    """A slot in the ledger, by the instant from which its windows run: its answer's, or else its deadline."""

    at: datetime
    retry: bool


@dataclass(frozen=True, slots=True)
class Block:
    """No request before `until`, as the API said at `since` that the quota has ended, or for the `reason` given."""

    since: datetime
    until: datetime
    reason: str | None = None

    @property
    def longest(self) -> timedelta:
        """How long it lasts at most from now on, whatever the clock said when it was set.

        A lost ledger blocks for as long as its windows are, whatever the API would say.
        """
        return LONGEST_BLOCK if self.reason is None else self.until - self.since


@dataclass(frozen=True, slots=True)
class QuotaState:
    """What the database holds of the quota of one key, or of all: what a ledger or an estimate starts from."""

    spent: Sequence[SpentSlot] = ()
    """The slots that may still count in a window."""
    block: Block | None = None
    """Set by the API's last "quota ended", even if it is over; None after a good answer."""
    last_request_id: int = 0
    """The greatest id in the ledger, whatever the key, 0 if it is empty."""


@dataclass(frozen=True, slots=True)
class LedgerMark:
    """An instant that the ledger's time has reached, and the uptime at that moment, where it is known."""

    at: datetime
    uptime: Uptime | None = None
    confirmed_at: datetime | None = None
    """Up to when slots are dated by a clock that the API's server confirmed, None if it confirmed none."""
