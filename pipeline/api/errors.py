"""api.errors."""

from datetime import timedelta

from pipeline.model.outcomes import Outcome


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
