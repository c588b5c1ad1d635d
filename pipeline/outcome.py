"""Outcomes: how a symbol ended in a run, how a run ended, and the errors of the API that lead there.

ApiError                    outcome of the symbol      what to do next
├── TransientError                                     ask again
│   ├── Throttled           (none: asked again)        all workers pause
│   └── Unavailable         failed                     this symbol is asked again, a few times
│       └── Unreachable     failed                     the same; the request never left, so it took no slot
├── RunEnding               deferred                   no further request leaves
│   ├── QuotaEnded
│   ├── KeyRefused
│   └── NotInPlan
├── UnknownSymbol           unknown                    asked again after 1, 2, 4, ... 30 days
└── Rejected                rejected                   the answer is no overview of the symbol asked
    └── OtherSymbol, NotJson, TooLarge, BadRequest, Unrecognised
"""

from datetime import timedelta
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
    """What began a run."""

    MANUAL = "manual"
    SCHEDULE = "schedule"
    CATCH_UP = "catch_up"
    CONTINUE = "continue"
    IMPORT = "import"


class ExitCode:
    """What a verb says to the shell. Stable."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    PARTIAL = 4
    QUOTA = 5
    BUSY = 6
    STALE = 7
    INTERRUPTED = 130


class Trouble(Exception):
    """What a person can mend. One line: what, where, and what to do; the exit code it ends a command with."""

    exit_code = ExitCode.FAILED


class ApiError(Exception):
    """An answer that is no overview. Its text never holds the key."""

    outcome = Outcome.REJECTED
    kind = "error"
    """What the ledger calls it."""


class TransientError(ApiError):
    """Asking again can cure it; not before `retry_after`, if the server said so."""

    outcome = Outcome.FAILED
    kind = "transient"

    def __init__(self, detail: str, retry_after: timedelta | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Throttled(TransientError):
    """Too many requests just now. `ambiguous`: the same words may mean that the day's quota has ended."""

    outcome = Outcome.DEFERRED
    kind = "throttled"

    def __init__(self, detail: str, retry_after: timedelta | None = None, *, ambiguous: bool = False) -> None:
        super().__init__(detail, retry_after)
        self.ambiguous = ambiguous


class Unavailable(TransientError):
    """A server error, a reset, a timeout."""

    kind = "unavailable"


class Unreachable(Unavailable):
    """No connection came about, so the server cannot have seen the request."""

    kind = "unreachable"


class RunEnding(ApiError):
    """No other symbol would fare better: the run ends."""

    outcome = Outcome.DEFERRED
    kind = "ending"


class QuotaEnded(RunEnding):
    """The plan's allowance is used up."""

    kind = "quota_ended"


class KeyRefused(RunEnding):
    """The API does not accept the key."""

    kind = "key_refused"


class NotInPlan(RunEnding):
    """The key's plan does not include the endpoint."""

    kind = "not_in_plan"


class UnknownSymbol(ApiError):
    """The API does not cover the symbol."""

    outcome = Outcome.UNKNOWN
    kind = "unknown"


class Rejected(ApiError):
    """An answer that cannot be taken, and that asking again will not mend."""

    kind = "rejected"


class OtherSymbol(Rejected):
    """The overview of another company than the one asked for."""


class NotJson(Rejected):
    """Not strict JSON in UTF-8, or not an object."""


class TooLarge(Rejected):
    """Larger than any overview."""


class BadRequest(Rejected):
    """The API did not understand the request."""


class Unrecognised(Rejected):
    """Wording never seen before."""

    kind = "unrecognised"
