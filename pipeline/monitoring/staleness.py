"""Staleness: how each configured symbol stands. The one place that says what fresh, pending and stale mean."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from pipeline import instants
from pipeline.api.server_time import MOST_OFF
from pipeline.model.symbols import Symbol
from pipeline.query.last_seen import LastSeen
from pipeline.store.reader import Listed


class Standing(StrEnum):
    """How a configured symbol stands. The values are printed and exported: they stay."""

    FRESH = "fresh"
    PENDING = "pending"
    STALE = "stale"
    UNKNOWN = "unknown"


class Observed(Protocol):
    """What is known of a symbol: a `SymbolState`, or as much of it as `LastSeen` has."""

    @property
    def state(self) -> str | None:
        """`covered` or `unknown`, by the last answer; None before the first."""

    @property
    def last_overview(self) -> str | None:
        """When its overview was last observed, as text."""

    @property
    def is_uncovered(self) -> bool:
        """Whether it has snapshots, and the API has answered since that it does not cover the symbol."""


@dataclass(frozen=True, slots=True)
class Standings:
    """How all configured symbols stand, in the order configured."""

    fresh: Sequence[Symbol]
    pending: Sequence[Symbol]
    stale: Sequence[Symbol]
    unknown: Sequence[Symbol]
    """The API's last answer was `{}`; some of them may be stale or pending, too."""
    uncovered: Sequence[Symbol]
    """Those of them that have snapshots."""
    unseen: Sequence[Symbol]
    """No run, and no daemon, has seen them configured yet."""
    ahead: Sequence[Symbol]
    """Last seen in the future: a wrong clock dated the observation."""


def standings(
    symbols: Sequence[Symbol],
    states: Mapping[str, Observed],
    universe: Mapping[str, Sequence[Listed]],
    *,
    now: datetime,
    stale_after: timedelta,
) -> Standings:
    """Return how these symbols stand, given what is stored of them and when they were configured."""
    by_standing: dict[Standing, list[Symbol]] = {one: [] for one in Standing}
    for symbol in symbols:
        listed = universe.get(symbol, ())
        by_standing[standing(states.get(symbol), listed, now=now, stale_after=stale_after)].append(symbol)
    return Standings(
        fresh=by_standing[Standing.FRESH],
        pending=by_standing[Standing.PENDING],
        stale=by_standing[Standing.STALE],
        unknown=[one for one in symbols if one in states and states[one].state == "unknown"],
        uncovered=[one for one in symbols if one in states and states[one].is_uncovered],
        unseen=[one for one in symbols if one not in universe],
        ahead=[one for one in symbols if one in states and _is_seen_ahead(states[one], now)],
    )


def standings_as_seen(
    seen: Iterable[LastSeen], listed: Mapping[str, Sequence[Listed]], *, at: datetime, stale_after: timedelta
) -> Standings:
    """Return how the listed symbols stood at an instant, given when each symbol was last seen by then."""
    states = {one.symbol: one for one in seen}
    return standings(tuple(map(Symbol, listed)), states, listed, now=at, stale_after=stale_after)


def standing(state: Observed | None, listed: Sequence[Listed], *, now: datetime, stale_after: timedelta) -> Standing:
    """Return how a configured symbol stands.

    It is fresh while its overview was observed within `stale_after`. If it was not, it is pending for as long after it
    was configured, and then stale. It is unknown if the API has never covered it, and also before it becomes stale if
    the API does not cover it any more. If it was last observed later than now, by more than clocks may differ, it
    is stale: that says nothing about the present.
    """
    if state is not None and _is_seen_ahead(state, now):
        return Standing.STALE
    is_unknown = state is not None and state.state == "unknown"
    last_overview = None if state is None else state.last_overview
    if last_overview is not None and last_overview >= instants.to_text(now - stale_after):
        return Standing.UNKNOWN if is_unknown else Standing.FRESH
    if is_unknown and not (state is not None and state.is_uncovered):
        return Standing.UNKNOWN
    since = configured_since(listed, now=now, longest_gap=stale_after)
    return Standing.PENDING if since is None or since >= now - stale_after else Standing.STALE


def _is_seen_ahead(state: Observed, now: datetime) -> bool:
    """Return whether the last observation is dated later than now by more than the clocks of a fleet may differ."""
    last = state.last_overview
    return last is not None and last > instants.to_text(now) and instants.from_text(last) - now > MOST_OFF


def configured_since(listed: Iterable[Listed], *, now: datetime, longest_gap: timedelta) -> datetime | None:
    """Return since when a symbol has been configured, without gaps but short ones; None: no run has seen it listed.

    So a symbol that was removed and added again long after is as good as new, and one that is missing from the list
    now and then (two configurations take turns) is not new each time.
    """
    since: datetime | None = None
    until: datetime | None = None
    for one in listed:
        ends = one.until or now
        if until is None or one.since - until > longest_gap:
            since, until = one.since, ends
        else:
            until = max(until, ends)
    return since if until is not None and now - until <= longest_gap else None
