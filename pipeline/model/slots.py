"""Slots: permission for one request, and what of past ones still counts against the quota."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.instants import Nanoseconds
from pipeline.model.outcomes import RunId
from pipeline.model.symbols import Symbol

LONGEST_BLOCK = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SpentSlot:
    """A slot of the ledger, by the instant from which its windows run: its answer, or else its deadline."""

    at: datetime
    retry: bool


@dataclass(frozen=True, slots=True)
class Block:
    """The API's word that the quota has ended: no request before `until`."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Slot:
    """Permission to send one request, until `deadline` on the process's own clock."""

    id: int
    run: RunId
    symbol: Symbol
    retry: bool
    reserved_at: datetime
    taken: Nanoseconds
    deadline: Nanoseconds
