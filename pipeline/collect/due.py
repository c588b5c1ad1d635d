"""Due symbols: which symbols a run requests, stalest first, and which are fresh or wait."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.model.symbols import Symbol, SymbolFreshness

NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Selection:
    """The symbols that a run requests, in order, and how many it leaves out."""

    due: list[Symbol]
    fresh: int
    waiting: int
    """Not covered by the API, and not to be requested again yet."""

    def without(self, observed: Container[str]) -> "Selection":
        """Return the selection in which these symbols are fresh too."""
        due = [symbol for symbol in self.due if symbol not in observed]
        return Selection(due, self.fresh + len(self.due) - len(due), self.waiting)


def select_due(
    symbols: Sequence[Symbol],
    known: Iterable[SymbolFreshness],
    *,
    observed_since: datetime,
    now: datetime,
    fire_time: datetime | None = None,
) -> Selection:
    """Return the symbols without an observation since an instant, stalest first.

    A later run for the same fire time requests again what has snapshots and was answered `{}`: if it waited, the run
    would find nothing to do, and end as if all were well.

    Stalest first, so that a run cut short by the quota leaves the freshest behind. A failure counts like an
    observation in this order: otherwise a few symbols that always fail would come first forever, and end every run.
    """
    last_requests = dict.fromkeys(symbols, NEVER)
    fresh = waiting = 0
    for one in known:
        if one.symbol not in last_requests:
            continue
        if one.next_try_at is not None and one.next_try_at > now and not _is_retry(one, fire_time):
            waiting += 1
            del last_requests[one.symbol]
        elif one.last_observed_at is not None and observed_since < one.last_observed_at <= now:
            fresh += 1
            del last_requests[one.symbol]
        else:
            last_requests[one.symbol] = _last_request(one)
    return Selection(sorted(last_requests, key=last_requests.__getitem__), fresh, waiting)


def select_all(symbols: Sequence[Symbol], known: Iterable[SymbolFreshness]) -> Selection:
    """Return all the symbols, stalest first, whatever their age."""
    last_requests = dict.fromkeys(symbols, NEVER)
    last_requests.update((one.symbol, _last_request(one)) for one in known if one.symbol in last_requests)
    return Selection(sorted(last_requests, key=last_requests.__getitem__), 0, 0)


def _is_retry(one: SymbolFreshness, fire_time: datetime | None) -> bool:
    return one.is_uncovered and fire_time is not None and _last_request(one) >= fire_time


def _last_request(one: SymbolFreshness) -> datetime:
    return max(one.last_observed_at or NEVER, one.last_tried_at or NEVER)
