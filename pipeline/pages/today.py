"""The first page: when was collected last, what is missing, and what has changed since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import web

from pipeline.instants import MILLISECOND, from_text
from pipeline.model.outcomes import RunStatus
from pipeline.model.symbols import Symbol
from pipeline.pages.moves import FIELDS, Moves, moves, symbols_of
from pipeline.pages.rendering import show
from pipeline.pages.runs import RunLine, run_lines
from pipeline.pages.standing import Share, shares, standings_of
from pipeline.query.history import History
from pipeline.query.last_seen import LastSeen
from pipeline.store.drift import Drift
from pipeline.web import readings
from pipeline.web.ask import Ask
from pipeline.web.live import Live, live_of

_RECENT = timedelta(days=7)
"""Missed fire times are shown for this long."""
_RUNS = 20
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Today:
    """What the page shows."""

    at: datetime
    live: Live | None
    last_seen_at: datetime | None
    """When any company was last observed."""
    shares: Sequence[Share]
    uncovered: Sequence[Symbol]
    """Those not covered that have snapshots."""
    last_run: RunLine | None
    """The last run that has ended; not an import, or a run on demand."""
    under_way: RunLine | None
    missed: Sequence[RunLine]
    """The fire times of the last days at which nothing ran."""
    since: datetime
    """What moved, moved since then."""
    is_since_run: bool
    """Whether that is when the last run began."""
    moves: Moves
    names: Mapping[str, str]
    """Of the companies in `moves`."""
    drift: Drift

    @property
    def drifting(self) -> int:
        """In how many fields the newest documents and the catalogue disagree."""
        return sum(map(len, (self.drift.unknown_fields, self.drift.absent_fields, self.drift.unreadable_fields)))

    @property
    def configured(self) -> int:
        """How many symbols are configured."""
        return sum(len(share.symbols) for share in self.shares)


async def today(ask: Ask) -> web.Response:
    """Answer with the status: now, or as of an instant."""
    live = await live_of(ask)
    return await show(ask, "today.html", lambda history: _today(ask, history, live))


def _today(ask: Ask, history: History, live: Live | None) -> Today:
    seen = readings.last_seen(ask, history)
    runs, last = run_lines(history.runs(limit=_RUNS)), history.last_run()
    last_seen_at = _last(seen)
    run_at = history.last_run_started_at()
    since = run_at or (last_seen_at or ask.at) - _DAY
    found = ask.remembered(("moves", since), lambda: _moves(history, since, ask.at))
    standing = standings_of(ask, history, seen)
    return Today(
        at=ask.at,
        live=live,
        last_seen_at=last_seen_at,
        shares=shares(standing),
        uncovered=standing.uncovered,
        last_run=None if last is None else run_lines([last])[0],
        under_way=next((one for one in runs if one.status == RunStatus.RUNNING), None),
        missed=[run for run in runs if _is_missed(run, since=ask.at - _RECENT)],
        since=since,
        is_since_run=run_at is not None,
        moves=found,
        names=readings.company_names(ask, history, symbols_of(found)),
        drift=readings.drift(ask, history),
    )


def _is_missed(run: RunLine, since: datetime) -> bool:
    return run.status == RunStatus.MISSED and run.fire_time is not None and run.fire_time >= since


def _last(seen: Sequence[LastSeen]) -> datetime | None:
    texts = (text for one in seen for text in (one.last_overview, one.last_uncovered) if text is not None)
    last = max(texts, default=None)
    return None if last is None else from_text(last)


def _moves(history: History, since: datetime, at: datetime) -> Moves:
    earlier, later = (history.as_of(one, fields=FIELDS).rows() for one in (min(since - MILLISECOND, at), at))
    return moves(earlier, later)
