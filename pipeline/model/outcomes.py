"""Outcomes: how a symbol ended in a run, and how a run ended."""

from enum import StrEnum
from typing import NewType

RunId = NewType("RunId", int)


class Outcome(StrEnum):
    """How one symbol ended in one run."""

    STORED = "stored"
    UNCHANGED = "unchanged"
    UNKNOWN = "unknown"
    FAILED = "failed"
    REJECTED = "rejected"
    DEFERRED = "deferred"


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
