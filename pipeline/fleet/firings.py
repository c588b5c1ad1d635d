"""Firings: what is due, as PostgreSQL has it, and how a run for it begins: once, by the first member to ask.

Every member asks the same questions and does the same. Instants are PostgreSQL's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from pipeline import instants
from pipeline.collect.due import select_due
from pipeline.collect.run import log_end
from pipeline.fleet.ended_runs import read_summary
from pipeline.fleet.pool import PATIENCE_FOR_ALL, Pool, fetch, now
from pipeline.model.firings import Firing
from pipeline.model.outcomes import RunId, RunStatus
from pipeline.model.symbols import Symbol, SymbolFreshness
from pipeline.schedule.next_run import ScheduledRun

BATCH = 50
"""Symbols in one job: at a request a second each member comes to its next one within a minute."""
_ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Firings:
    """The last fire time of each schedule in force, by the schedule's text, as of an instant."""

    at: datetime
    last: Mapping[str, Firing]
    """The status of a run that is under way is None: a member does it, so there is nothing to resume."""
    last_runs: Mapping[str, int | None]
    """The last run for each of them."""


async def read_firings(pool: Pool) -> Firings:
    """Return the last firings. Raise FleetError."""
    at = await now(pool)
    rows = await fetch(pool, "SELECT * FROM fleet.firings()")
    last, last_runs = {}, {}
    for schedule, since, scheduled_for, status, finished_at, empty_runs, last_run in rows:
        is_over = status is not None and status != RunStatus.RUNNING
        last[schedule] = Firing(
            since, scheduled_for, RunStatus(status) if is_over else None, finished_at, empty_runs if last_run else 0
        )
        last_runs[schedule] = last_run
    return Firings(at, last, last_runs)


async def activate(pool: Pool, firsts: Mapping[str, datetime], *, since: datetime) -> bool:
    """Put these schedules in force, and no others, as `store.schedules.activate` does. Raise FleetError.

    Return whether the fleet has agreed about them; if not, nothing has changed.
    """
    query = "SELECT fleet.activate(%b::text[], %b::timestamptz[], %s)"
    ((is_agreed,),) = await fetch(pool, query, [*firsts], [*firsts.values()], since)
    return bool(is_agreed)


async def record_missed(pool: Pool, schedule: str, fire_times: Iterable[tuple[datetime, str]], *, member: str) -> int:
    """Record fire times for which nothing ran, each with the reason; return how many were news. Raise FleetError."""
    rows, count = iter(fire_times), 0
    while chunk := list(islice(rows, _ROWS_AT_ONCE)):
        times, reasons = (list(column) for column in zip(*chunk, strict=True))
        found = await fetch(
            pool, "SELECT fleet.miss(%s, %b::timestamptz[], %b::text[], %s)", schedule, times, reasons, member
        )
        count += found[0][0]
    return count


async def fire(
    pool: Pool, run: ScheduledRun, firings: Firings, symbols: Sequence[Symbol], *, member: str
) -> RunId | None:
    """Begin the run that was decided upon; None if another member has, or PostgreSQL says it is not yet time.

    Its symbols are divided into batches, for which there are jobs. Raise FleetError; then it may have begun.
    """
    observed_since = run.fire_time - instants.MILLISECOND  # an observation at that very instant counts
    known = await freshness(pool, symbols)
    selection = select_due(symbols, known, observed_since=observed_since, now=firings.at, fire_time=run.fire_time)
    rows = await fetch(
        pool,
        "SELECT fleet.fire(%s, %s, %s, %s, %s, %s, %s, %b::text[], %s)",
        str(run.trigger),
        str(run.schedule),
        run.fire_time,
        firings.last_runs.get(str(run.schedule)),
        observed_since,
        member,
        len(symbols),
        selection.due,
        BATCH,
        patience=PATIENCE_FOR_ALL,
    )
    if rows[0][0] is None:
        return None
    begun = RunId(rows[0][0])
    old, last = firings.last_runs.get(str(run.schedule)), firings.last.get(str(run.schedule))
    if old is not None and last is not None and last.status is None:  # it was under way: this one supersedes it
        summary = await read_summary(pool, old)
        if summary.status is RunStatus.INTERRUPTED:
            log_end(summary)
    return begun


async def freshness(pool: Pool, symbols: Sequence[Symbol]) -> list[SymbolFreshness]:
    """Return how fresh these symbols are, as far as they were ever requested. Raise FleetError."""
    rows = await fetch(pool, _FRESHNESS, list(symbols), list(symbols), patience=PATIENCE_FOR_ALL)
    return [SymbolFreshness(Symbol(symbol), *rest) for symbol, *rest in rows]


_FRESHNESS = """
    SELECT symbol, coalesce(y.last_overview, y.last_look), y.last_try, y.next_try,
           coalesce(y.uncovered_since > y.last_overview, false), o.symbol IS NOT NULL
      FROM (SELECT * FROM fleet.symbols WHERE symbol = ANY (%b::text[])) AS y
      FULL JOIN (SELECT symbol FROM fleet.slots WHERE finished_at IS NULL AND symbol = ANY (%b::text[])) AS o
           USING (symbol)
"""
