"""Collect: does one run, from the symbols that are due to a summary. Knows no command line and no environment."""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypedDict, Unpack

import structlog

from pipeline.clock import REAL_CLOCK, Clock
from pipeline.collect.active_run import ActiveRun, OnOutcome
from pipeline.collect.due import Selection
from pipeline.collect.endings import COMPLETE, FAILED, PARTIAL, decisive_reason, ending, explanation
from pipeline.collect.fetch import Fetch, OnRequest
from pipeline.collect.halt import Halt, Interrupted
from pipeline.collect.order import Order, Source
from pipeline.collect.ports import Engine, Results
from pipeline.collect.retry import RetryPolicy
from pipeline.collect.sqlite_engine import open_engine
from pipeline.collect.summary import Summary
from pipeline.instants import Nanoseconds
from pipeline.model.outcomes import Outcome, RunId, RunResult, RunStatus, Trigger
from pipeline.store.database import StorageError


class Callbacks(TypedDict, total=False):
    """Called with the run once it is under way, after each request, and for each symbol that was requested."""

    on_start: Callable[[ActiveRun], None]
    on_request: OnRequest
    on_outcome: OnOutcome


async def collect(
    database: Path,
    source: Source,
    order: Order,
    *,
    halt: Halt,
    clock: Clock = REAL_CLOCK,
    **callbacks: Unpack[Callbacks],
) -> Summary:
    """Do one run into a file, and return how it ended. The file is migrated, and the caller holds its lock.

    Raise DatabaseError if the file cannot be opened or written at all; any other failure is in the summary.
    """
    async with open_engine(database, source, max_requests=order.max_requests, clock=clock) as engine:
        return await collect_with(engine, source, order, halt=halt, clock=clock, **callbacks)


async def collect_with(
    engine: Engine,
    source: Source,
    order: Order,
    *,
    halt: Halt,
    on_start: Callable[[ActiveRun], None] = lambda _run: None,
    on_request: OnRequest = lambda _outcome, _seconds: None,
    on_outcome: OnOutcome = lambda _symbol, _outcome, _detail: None,
    clock: Clock = REAL_CLOCK,
) -> Summary:
    """Do one run with a storage engine, and return how it ended, as `collect` does."""
    began = clock.monotonic()
    selection = await engine.select(order, now=clock.now())
    run = await _begin(order, selection, engine.results, now=clock.now())
    fetch = Fetch(
        engine.request,
        engine.slots,
        run=run,
        policy=RetryPolicy(source.attempts),
        timeout=source.timeout,
        halt=halt,
        clock=clock,
        on_request=on_request,
    )
    active = ActiveRun(
        run,
        selection.due,
        fetch=fetch,
        slots=engine.slots,
        results=engine.results,
        halt=halt,
        clock=clock,
        on_outcome=on_outcome,
    )
    on_start(active)
    structlog.get_logger().info("run began", run=run, symbols=len(order.symbols), due=len(selection.due))
    await active.work(source.concurrency)
    return await _finish(active, order, selection, engine.results, halt, began=began, clock=clock)


LEVELS = {RunStatus.FAILED: logging.ERROR, RunStatus.PARTIAL: logging.WARNING}
"""How a run's end is logged; else as information."""


def log_end(summary: Summary) -> None:
    """Log how a run ended, as an error if it failed and as a warning if it is partial, or failed on demand."""
    level = LEVELS.get(summary.status, logging.INFO)
    if summary.trigger is Trigger.ON_DEMAND:
        level = min(level, logging.WARNING)  # one symbol that a client has misspelled makes it fail
    facts: dict[str, object] = {str(outcome): summary.counts[outcome] for outcome in Outcome if summary.counts[outcome]}
    if summary.detail is not None:
        facts["detail"] = summary.detail
    structlog.get_logger().log(
        level,
        "run ended",
        run=summary.run,
        status=summary.status,
        **facts,
        requests=summary.requests,
        seconds=round(summary.seconds, 3),
    )


async def _begin(order: Order, selection: Selection, results: Results, *, now: datetime) -> RunId:
    """Write that a run begins, and what is configured."""
    if order.listed is not None:
        await results.record_list(order.listed, at=now)
    return await results.begin(
        order.trigger,
        at=now,
        symbols=len(order.symbols),
        due=len(selection.due),
        schedule=order.schedule,
        scheduled_for=order.scheduled_for,
    )


async def _finish(
    active: ActiveRun,
    order: Order,
    selection: Selection,
    results: Results,
    halt: Halt,
    *,
    began: Nanoseconds,
    clock: Clock,
) -> Summary:
    """Write which symbols were not requested, and how the run ended. Return its summary, written or not."""
    seconds = (clock.monotonic() - began) / 1e9
    rest, counts = tuple(active.rest()), active.counts
    counts[Outcome.DEFERRED] += len(rest)
    reason = decisive_reason(halt.reasons)
    uncovered = len(active.uncovered.symbols)
    end = ending(counts, reason, uncovered=uncovered)
    if active.slots.refusals and end is COMPLETE:
        end = PARTIAL
    detail = _what_went_wrong(active) if reason is None else explanation(reason)
    storage_error = next((one for one in halt.reasons if isinstance(one, StorageError)), None)
    try:
        if rest:
            await results.defer(active.id, rest, at=clock.now(), detail=detail or "")
        tally = RunResult(end.status, counts, active.slots.sent, seconds, detail, uncovered=uncovered)
        await results.finish(active.id, tally, at=clock.now())
    except StorageError as error:
        if not isinstance(reason, Interrupted):
            end = FAILED
        detail, storage_error = str(error), error
    return Summary(
        run=active.id,
        trigger=order.trigger,
        status=end.status,
        symbols=len(order.symbols),
        selection=selection,
        counts=counts,
        requests=active.slots.sent,
        seconds=seconds,
        busy_seconds=active.busy_seconds,
        uncovered=uncovered,
        possible_renames=tuple(active.possible_renames),
        detail=detail,
        exit_code=end.exit_code,
        storage_error=storage_error,
        key_refused=bool(active.slots.refusals),
    )


def _what_went_wrong(active: ActiveRun) -> str | None:
    """Return in one line what a run got in place of overviews, None if nothing went wrong."""
    refusals = [f"the API refused the key {name}: {detail}" for name, detail in active.slots.refusals.items()]
    return "; ".join(filter(None, [*refusals, active.failures.most_common(), active.uncovered.summary()])) or None
