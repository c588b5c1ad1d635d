"""Outcomes: the names of how a symbol ended in a run, how a run ended, and what triggered it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

from pipeline.model.symbols import Symbol

if TYPE_CHECKING:
    from pipeline.model.slots import Slot

RunId = NewType("RunId", int)


class Outcome(StrEnum):
    """How one symbol ended in one run."""

    STORED = "stored"
    UNCHANGED = "unchanged"
    UNKNOWN = "unknown"
    FAILED = "failed"
    REJECTED = "rejected"
    DEFERRED = "deferred"


MEANING: Mapping[Outcome, str] = {
    Outcome.STORED: "new snapshot stored",
    Outcome.UNCHANGED: "same as last time: snapshot confirmed",
    Outcome.UNKNOWN: "not covered by the API",
    Outcome.FAILED: "no response after all attempts",
    Outcome.REJECTED: "the response was not the symbol's overview",
    Outcome.DEFERRED: "not requested, or refused by a limit",
}
"""Each outcome in words, for people; the same words wherever outcomes are explained."""


def outcomes_text(counts: Mapping[Outcome, int]) -> str:
    """Return how many symbols ended how, in one line: `3 stored, 1 failed`; empty if none did."""
    return ", ".join(f"{counts[outcome]:,} {outcome}" for outcome in Outcome if counts.get(outcome))


class RunStatus(StrEnum):
    """How a run ended."""

    RUNNING = "running"
    COMPLETE = "complete"
    PARTIAL = "partial"
    QUOTA_EXHAUSTED = "quota_exhausted"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    MISSED = "missed"


class Trigger(StrEnum):
    """What started a run."""

    MANUAL = "manual"
    SCHEDULE = "schedule"
    CATCH_UP = "catch_up"
    CONTINUE = "continue"
    IMPORT = "import"
    ON_DEMAND = "on_demand"
    """A client of the daemon asked for symbols that were not fresh."""


@dataclass(frozen=True, slots=True)
class SymbolResult:
    """How one symbol ended in a run, when, and after how many requests."""

    run: RunId
    symbol: Symbol
    outcome: Outcome
    attempts: int
    at: datetime
    detail: str | None = None
    slot: "Slot | None" = None
    """The slot of the last request for it, if there was one."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended, in numbers."""

    status: RunStatus
    counts: Mapping[Outcome, int]
    requests: int
    seconds: float
    detail: str | None
    symbols: int | None = None
    """How many symbols it was for, if that was not known when it began."""
    uncovered: int = 0
    """How many of the unknown symbols had snapshots."""
