"""Endings: the rules from an answer to its symbol's outcome, and from outcomes to a run's status and exit code.

what came back                                 | the symbol's outcome  | the run     | its status, exit code
---------------------------------------------- | --------------------- | ----------- | ---------------------
its overview                                   | stored, unchanged     | continues   | complete, 0
{}, for a symbol never covered                 | unknown               | continues   | complete, 0
{}, for a symbol that has snapshots            | unknown               | continues   | partial, 4
not an overview of the symbol                  | rejected              | continues   | partial, 4
server error, reset, timeout, after retries    | failed                | continues   | partial, 4
only failures and rejections: ten in a row ... | deferred for the rest | ends        | failed, 1
... or all there were                          |                       |             | failed, 1
only {} for symbols that have snapshots: ten in| deferred for the rest | ends        | failed, 1
a row with no overview between ...             |                       |             |
... or at least three, and no overview at all  |                       |             | failed, 1
throttle                                       | requested again       | pauses      | (`throttle`)
quota ended, or --max-requests reached         | deferred for the rest | ends        | quota_exhausted, 5
key refused, endpoint not in the plan          | deferred for the rest | ends        | failed, 3
refused by the proxy                           | deferred for the rest | ends        | failed, 3
the clock is not the server's                  | deferred for the rest | ends        | failed, 1
nothing can be stored                          | failed if it was sent | ends        | failed, 1
interrupted                                    | deferred for the rest | ends        | interrupted, 130

The lowest row that applies decides. The outcome of a symbol is that of its ApiError (`api.errors`).
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from pipeline.api.errors import KeyRefused, NotInPlan, ProxyRefused, QuotaEnded, RunEnding, WrongClock
from pipeline.collect.failures import TooManyFailures, TooManyUncovered
from pipeline.collect.halt import Interrupted
from pipeline.errors import ExitCode
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.store.database import RecordGone, StorageError


class Ending(NamedTuple):
    """How a run ended."""

    status: RunStatus
    exit_code: int


UNCOVERED_THAT_FAIL = 3
"""Symbols with snapshots that are answered `{}`: fewer may have been delisted on one day."""

COMPLETE = Ending(RunStatus.COMPLETE, ExitCode.DONE)
PARTIAL = Ending(RunStatus.PARTIAL, ExitCode.PARTIAL)
FAILED = Ending(RunStatus.FAILED, ExitCode.FAILED)

_CUT_SHORT: dict[type[Exception], Ending] = {
    TooManyFailures: FAILED,
    TooManyUncovered: FAILED,
    QuotaEnded: Ending(RunStatus.QUOTA_EXHAUSTED, ExitCode.QUOTA),
    KeyRefused: Ending(RunStatus.FAILED, ExitCode.REFUSED),
    NotInPlan: Ending(RunStatus.FAILED, ExitCode.REFUSED),
    ProxyRefused: Ending(RunStatus.FAILED, ExitCode.REFUSED),
    WrongClock: FAILED,
    StorageError: FAILED,
    RecordGone: FAILED,
    Interrupted: Ending(RunStatus.INTERRUPTED, ExitCode.INTERRUPTED),
}
"""What cuts a run short, in the order of the table."""


def decisive_reason(reasons: Iterable[Exception]) -> Exception | None:
    """Return the reason that decides how the run ended, the lowest of the table; None if it was not cut short."""
    order = list(_CUT_SHORT)
    return max(reasons, key=lambda reason: order.index(_kind(reason)), default=None)


def explanation(reason: Exception) -> str:
    """Return why a run was cut short, in one line: what the API's answer means, before its words."""
    return reason.explanation if isinstance(reason, RunEnding) else str(reason)


def ending(counts: Counter[Outcome], reason: Exception | None, *, uncovered: int = 0) -> Ending:
    """Return the ending of a run with these outcomes, cut short for this reason if any.

    `uncovered`: how many of the unknown symbols have snapshots.
    """
    if reason is not None:
        return _CUT_SHORT[_kind(reason)]
    failures = counts[Outcome.FAILED] + counts[Outcome.REJECTED]
    overviews = counts[Outcome.STORED] + counts[Outcome.UNCHANGED]
    if not failures and not uncovered:
        return COMPLETE
    if uncovered >= UNCOVERED_THAT_FAIL and not overviews:
        return FAILED
    if failures and not overviews and uncovered == counts[Outcome.UNKNOWN]:
        return FAILED
    return PARTIAL


def _kind(reason: Exception) -> type[Exception]:
    """Return the kind of a reason that the table has: its class, or the nearest of those that it is derived from."""
    return next(kind for kind in type(reason).__mro__ if kind in _CUT_SHORT)
