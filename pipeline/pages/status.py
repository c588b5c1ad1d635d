"""The page of the status: how each configured symbol stands, what the plan still allows, and what is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import web

from pipeline.instants import from_text
from pipeline.model.outcomes import RunStatus
from pipeline.model.symbols import Symbol
from pipeline.monitoring.conditions import ABSENT_FIELD, NEW_FIELD, UNREADABLE_FIELD
from pipeline.monitoring.staleness import Standing
from pipeline.pages.rendering import show
from pipeline.pages.runs import RunLine, run_lines
from pipeline.pages.standing import Share, shares, standings_of
from pipeline.query.history import History
from pipeline.query.last_seen import LastSeen
from pipeline.store.drift import Drift
from pipeline.web import readings
from pipeline.web.ask import Ask
from pipeline.web.live import Live, live_of

_RUNS = 50
_MISSED = 10
_MOST = 200
"""Symbols that are listed."""
_ATTENTION = (Standing.STALE, Standing.PENDING, Standing.UNKNOWN)
"""How symbols stand that are not fresh, those first that need attention most."""


@dataclass(frozen=True, slots=True)
class Lagging:
    """A symbol that is not fresh, with when it was last seen."""

    symbol: Symbol
    standing: str
    seen_at: datetime | None
    uncovered_at: datetime | None
    """When the API last answered that it does not cover it."""
    has_page: bool


@dataclass(frozen=True, slots=True)
class StatusView:
    """What the page shows."""

    at: datetime
    live: Live | None
    shares: Sequence[Share]
    uncovered: Sequence[Symbol]
    lagging: Sequence[Lagging]
    """The symbols that are not fresh, those that need attention most first."""
    left_out: int
    """How many more there are."""
    stale_after: timedelta
    companies: int
    first_seen_at: datetime | None
    last_seen_at: datetime | None
    last_complete: RunLine | None
    missed: Sequence[RunLine]
    drift: Drift

    @property
    def configured(self) -> int:
        """How many symbols are configured."""
        return sum(len(share.symbols) for share in self.shares)

    @property
    def drifts(self) -> Sequence[tuple[str, Sequence[str], str]]:
        """In which ways documents and catalogue disagree: name, fields, and what it means."""
        found = (
            ("New fields", self.drift.unknown_fields, NEW_FIELD),
            ("Absent fields", self.drift.absent_fields, ABSENT_FIELD),
            ("Unreadable fields", self.drift.unreadable_fields, UNREADABLE_FIELD),
        )
        return [one for one in found if one[1]]


async def status(ask: Ask) -> web.Response:
    """Answer with the status: now, or as it was known at an instant."""
    live = await live_of(ask)
    return await show(ask, "status.html", lambda history: _status(ask, history, live))


def _status(ask: Ask, history: History, live: Live | None) -> StatusView:
    seen = readings.last_seen(ask, history)
    standing = standings_of(ask, history, seen)
    found = shares(standing)
    by_symbol = {one.symbol: one for one in seen}
    by_standing = {share.standing: share for share in found}
    pairs = [(symbol, by_standing[one]) for one in _ATTENTION for symbol in by_standing[one].symbols]
    lagging = [_lagging(symbol, share, by_symbol.get(symbol)) for symbol, share in pairs]
    complete = history.last_complete_run()
    runs = run_lines(history.runs(limit=_RUNS))
    overviews = [one.last_overview for one in seen if one.last_overview is not None]
    return StatusView(
        at=ask.at,
        live=live,
        shares=found,
        uncovered=standing.uncovered,
        lagging=lagging[:_MOST],
        left_out=max(len(lagging) - _MOST, 0),
        stale_after=ask.site.stale_after(),
        companies=len(readings.symbols(ask, history)),
        first_seen_at=readings.first_observed_at(ask, history),
        last_seen_at=from_text(max(overviews)) if overviews else None,
        last_complete=None if complete is None else run_lines([complete])[0],
        missed=[one for one in runs if one.status == RunStatus.MISSED][:_MISSED],
        drift=readings.drift(ask, history),
    )


def _lagging(symbol: Symbol, share: Share, seen: LastSeen | None) -> Lagging:
    overview, uncovered = (None, None) if seen is None else (seen.last_overview, seen.last_uncovered)
    return Lagging(
        symbol,
        share.standing.value,
        None if overview is None else from_text(overview),
        None if uncovered is None else from_text(uncovered),
        has_page=overview is not None,
    )
