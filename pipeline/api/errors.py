"""The API's failures, as a tree of exceptions that say what to do next.

ApiError
    TransientError: retry
        Throttled, Unavailable (Unreachable)
    RunEnding: end the run
        QuotaEnded, KeyRefused, NotInPlan, ProxyRefused, WrongClock
    UnknownSymbol: store that the API does not cover it
    Rejected: give the symbol up for this run
        OtherSymbol, NotJson, TooLarge, BadRequest, Unrecognised
"""

from datetime import timedelta

from pipeline.model.outcomes import Outcome
from pipeline.model.symbols import Symbol


class ApiError(Exception):
    """No overview came back. The text never contains the API key."""

    outcome = Outcome.REJECTED
    kind = "error"
    """How the ledger and the metrics name it."""


class TransientError(ApiError):
    """A retry may help; not before `retry_after`, if the server named one."""

    outcome = Outcome.FAILED
    kind = "transient"

    def __init__(self, detail: str, retry_after: timedelta | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Throttled(TransientError):
    """Too many requests in a short time. `ambiguous`: the same wording can mean that the day's quota has ended."""

    outcome = Outcome.DEFERRED
    kind = "throttled"

    def __init__(self, detail: str, retry_after: timedelta | None = None, *, ambiguous: bool = False) -> None:
        super().__init__(detail, retry_after)
        self.ambiguous = ambiguous


class Unavailable(TransientError):
    """A server error, a reset or a timeout."""

    kind = "unavailable"


class Unreachable(Unavailable):
    """No connection was made, so the server cannot have counted the request."""

    kind = "unreachable"


class RunEnding(ApiError):
    """Every other symbol would fail the same way: the run ends."""

    outcome = Outcome.DEFERRED
    kind = "ending"
    meaning = "no further request would succeed"

    def __init__(self, detail: str, *, is_answer: bool = False) -> None:
        """Take why; `is_answer`: in the API's own words."""
        super().__init__(detail)
        self._is_answer = is_answer

    @property
    def explanation(self) -> str:
        """What it means for the run, with the API's own words."""
        return f"{self.meaning}. The API answered: {self}" if self._is_answer else str(self)


class QuotaEnded(RunEnding):
    """The plan's allowance is used up."""

    kind = "quota_ended"
    meaning = "the quota has ended; the next run continues with the rest"


class KeyRefused(RunEnding):
    """The API does not accept the key."""

    kind = "key_refused"
    meaning = (
        "the API refused the key; check ALPHAVANTAGE_API_KEY (or the variable of its name) in .env or the environment"
    )


class NotInPlan(RunEnding):
    """The key's plan does not include the endpoint."""

    kind = "not_in_plan"
    meaning = "the key's plan does not include the endpoint"


class ProxyRefused(RunEnding):
    """The proxy makes no connection to the server, which thus cannot have counted the request."""

    kind = "proxy_refused"


class WrongClock(RunEnding):
    """The clock that would date the answer is not that of the server: it cannot be stored."""

    kind = "wrong_clock"


class UnknownSymbol(ApiError):
    """The API does not cover the symbol."""

    outcome = Outcome.UNKNOWN
    kind = "unknown"


class Rejected(ApiError):
    """An unusable answer that a retry would not change."""

    kind = "rejected"


CONTAINS_KEY = "the overview contains the API key"
"""Why an overview is rejected that must neither be altered nor stored."""


class OtherSymbol(Rejected):
    """The overview of another symbol than the requested one. `answered`: that symbol, if it is valid."""

    def __init__(self, detail: str, answered: Symbol | None = None) -> None:
        super().__init__(detail)
        self.answered = answered


class NotJson(Rejected):
    """Not strict JSON in UTF-8, or not an object."""


class TooLarge(Rejected):
    """Larger than any overview."""


class BadRequest(Rejected):
    """The API did not understand the request."""


class Unrecognised(Rejected):
    """An unknown wording: see `responses.REFUSALS`."""

    kind = "unrecognised"
