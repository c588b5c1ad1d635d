"""Endings: gives runs of which all batches are done their status, by the rules of `collect.endings`."""

from collections import Counter

from pipeline.collect.endings import COMPLETE, PARTIAL, ending
from pipeline.collect.failures import Failures, Uncovered
from pipeline.collect.run import log_end
from pipeline.fleet.ended_runs import COUNTED, read_summary
from pipeline.fleet.pool import PATIENCE_FOR_ALL, Pool, fetch
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.model.symbols import Symbol

_MOST_FAILURES = 10_000
"""How many are read to find the most frequent reason."""
_OVER = """
    SELECT r.id, r.halted_as, r.halted_by, r.key_refused FROM fleet.runs r
     WHERE r.status = 'running' AND r.instance IS NULL AND r.id = coalesce(%s, r.id)
       AND NOT EXISTS (SELECT 1 FROM fleet.batches b WHERE b.run_id = r.id AND b.done_at IS NULL)
"""
"""Asked after each batch: so what became of a run's symbols is counted apart, when it is over."""
_TALLY = "SELECT stored, unchanged, unknown, failed, rejected, deferred, uncovered FROM fleet.tally(%s)"
_FAILED = """
    SELECT symbol, coalesce(detail, '') FROM fleet.outcomes
     WHERE run_id = %s AND outcome IN ('failed', 'rejected') LIMIT %s
"""
_DENIED = """
    SELECT symbol FROM fleet.outcomes o JOIN fleet.symbols y USING (symbol)
     WHERE o.run_id = %s AND o.outcome = 'unknown' AND y.last_overview IS NOT NULL ORDER BY symbol
"""


async def end_runs(pool: Pool, run: int | None = None) -> None:
    """End the runs, or this one, of which nothing is left to be done. Raise FleetError."""
    for id_, halted_as, halted_by, key_refused in await fetch(pool, _OVER, run):
        await fetch(pool, "SELECT fleet.settle(%s)", id_, patience=PATIENCE_FOR_ALL)
        ((*of_outcomes, uncovered),) = await fetch(pool, _TALLY, id_, patience=PATIENCE_FOR_ALL)
        counts = Counter(dict(zip(COUNTED, of_outcomes, strict=True)))
        if halted_as is not None and (halted_as != RunStatus.QUOTA_EXHAUSTED or counts[Outcome.DEFERRED]):
            status, detail = RunStatus(halted_as), halted_by
        else:
            end = ending(counts, None, uncovered=uncovered)
            status = PARTIAL.status if key_refused and end is COMPLETE else end.status
            detail = halted_by if key_refused else await _what_went_wrong(pool, id_, uncovered=uncovered)
        query = "SELECT fleet.end_run(%s, %s, %s)"
        ((has_ended,),) = await fetch(pool, query, id_, status.value, detail, patience=PATIENCE_FOR_ALL)
        if has_ended:
            log_end(await read_summary(pool, id_))


async def _what_went_wrong(pool: Pool, run: int, *, uncovered: int) -> str | None:
    """Return in one line what a run got in place of overviews, None if nothing went wrong."""
    failures, denied = Failures(), Uncovered()
    for symbol, detail in await fetch(pool, _FAILED, run, _MOST_FAILURES):
        failures.add(Symbol(symbol), detail)
    if uncovered:
        denied.symbols.extend(Symbol(symbol) for (symbol,) in await fetch(pool, _DENIED, run))
    return "; ".join(filter(None, [failures.most_common(), denied.summary()])) or None
