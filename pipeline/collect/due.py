"""Freshness: which symbols are due, and which of them come first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.model.symbols import Symbol, SymbolFreshness

NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Agenda:
    """What a run has to do: the symbols to ask, in order, and how many are left alone."""

    due: list[Symbol]
    fresh: int
    waiting: int
    """Not covered by the API, and not yet to be asked again."""


def agenda(
    symbols: Sequence[Symbol], known: Iterable[SymbolFreshness], *, looked_since: datetime, now: datetime
) -> Agenda:
    """Return the symbols not looked at since an instant, stalest first.

    Stalest first, so that a run cut short by the quota leaves the freshest behind. What failed is taken to be as stale
    as its last try: else a few that always fail would be first in line for ever, and end every run.
    """
    turns = dict.fromkeys(symbols, NEVER)
    fresh = waiting = 0
    for one in known:
        if one.symbol not in turns:
            continue
        if one.next_try_at is not None and one.next_try_at > now:
            waiting += 1
            del turns[one.symbol]
        elif one.last_observed_at is not None and looked_since < one.last_observed_at <= now:
            fresh += 1
            del turns[one.symbol]
        else:
            turns[one.symbol] = _turn(one)
    return Agenda(sorted(turns, key=turns.__getitem__), fresh, waiting)


def everything(symbols: Sequence[Symbol], known: Iterable[SymbolFreshness]) -> Agenda:
    """Return all the symbols, stalest first, whatever their age."""
    turns = dict.fromkeys(symbols, NEVER)
    turns.update((one.symbol, _turn(one)) for one in known if one.symbol in turns)
    return Agenda(sorted(turns, key=turns.__getitem__), 0, 0)


def _turn(one: SymbolFreshness) -> datetime:
    return max(one.last_observed_at or NEVER, one.last_tried_at or NEVER)
