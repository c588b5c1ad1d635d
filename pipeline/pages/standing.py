"""Standing: how the configured symbols stood at an instant, and as shares of all of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from pipeline.instants import to_text
from pipeline.model.symbols import Symbol
from pipeline.monitoring.staleness import Standing, Standings, standings_as_seen
from pipeline.query.history import History
from pipeline.query.last_seen import LastSeen
from pipeline.web import readings
from pipeline.web.ask import Ask

MEANING = {
    Standing.FRESH: "observed recently",
    Standing.PENDING: "configured recently, and not observed yet",
    Standing.STALE: "not observed for too long",
    Standing.UNKNOWN: "not covered by the API",
}
_ACROSS = 1000


class Share(NamedTuple):
    """The symbols that stand alike, and their part of a bar that is a thousand units long."""

    standing: Standing
    meaning: str
    symbols: Sequence[Symbol]
    start: float
    width: float


def standings_of(ask: Ask, history: History, seen: Sequence[LastSeen]) -> Standings:
    """Return how the configured symbols stood, given when each symbol was last seen."""
    return standings_as_seen(seen, history.configured(), at=ask.at, stale_after=ask.site.stale_after())


def stale_among(ask: Ask, history: History, seen: Mapping[str, datetime]) -> frozenset[str]:
    """Return those of some companies that are stale, given when each was last seen. Raise as `standings_of` does.

    What the API does not cover any more is none of them, as on the first page.
    """
    oldest = to_text(ask.at - ask.site.stale_after())
    late = {symbol for symbol, at in seen.items() if to_text(at) < oldest}
    if not late or late.isdisjoint(history.configured()):
        return frozenset()  # without a look at when each symbol was last seen
    found = standings_of(ask, history, readings.last_seen(ask, history))
    return frozenset(late & (set(found.stale) - set(found.unknown)))


def shares(found: Standings) -> list[Share]:
    """Return the shares. Each symbol is in one: those that are not covered any more and stale, too, are not covered."""
    unknown = frozenset(found.unknown)
    groups = {
        Standing.FRESH: found.fresh,
        Standing.PENDING: [one for one in found.pending if one not in unknown],
        Standing.STALE: [one for one in found.stale if one not in unknown],
        Standing.UNKNOWN: found.unknown,
    }
    all_of_them = sum(map(len, groups.values()))
    made: list[Share] = []
    start = 0.0
    for standing, symbols in groups.items():
        width = round(_ACROSS * len(symbols) / all_of_them, 1) if all_of_them else 0.0
        made.append(Share(standing, MEANING[standing], symbols, round(start, 1), width))
        start += width
    return made
