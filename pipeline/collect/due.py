"""Due symbols: which symbols a run requests, stalest first, and which are fresh or wait."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.model.symbols import Symbol, SymbolFreshness

NEVER = datetime.min.replace(tzinfo=UTC)
_FIRST = (False, NEVER)


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

    Last come those during whose last request the process was killed, as long as the ledger knows: if the answer of one
    of them was the reason, it would otherwise come first after each restart, and no other symbol would be requested.
    """
    turns = dict.fromkeys(symbols, _FIRST)
    fresh = waiting = 0
    for one in known:
        if one.symbol not in turns:
            continue
        if one.next_try_at is not None and one.next_try_at > now and not _is_retry(one, fire_time):
            waiting += 1
            del turns[one.symbol]
        elif one.last_observed_at is not None and observed_since < one.last_observed_at <= now:
            fresh += 1
            del turns[one.symbol]
        else:
            turns[one.symbol] = _turn(one)
    return Selection(sorted(turns, key=turns.__getitem__), fresh, waiting)


def select_all(symbols: Sequence[Symbol], known: Iterable[SymbolFreshness]) -> Selection:
    """Return all the symbols, stalest first, whatever their age."""
    turns = dict.fromkeys(symbols, _FIRST)
    turns.update((one.symbol, _turn(one)) for one in known if one.symbol in turns)
    return Selection(sorted(turns, key=turns.__getitem__), 0, 0)


def _is_retry(one: SymbolFreshness, fire_time: datetime | None) -> bool:
    return one.is_uncovered and fire_time is not None and _last_request(one) >= fire_time


def _turn(one: SymbolFreshness) -> tuple[bool, datetime]:
    """Return what orders the symbols: the least comes first."""
    return one.is_unanswered, _last_request(one)


def _last_request(one: SymbolFreshness) -> datetime:
    return max(one.last_observed_at or NEVER, one.last_tried_at or NEVER)
