"""Ended runs: what is to be reported of the fleet's runs, once, by the member that reports for all."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from pipeline.collect.due import Selection
from pipeline.collect.summary import Summary
from pipeline.errors import ExitCode
from pipeline.fleet.pool import Pool, fetch
from pipeline.model.outcomes import Outcome, RunId, RunStatus, Trigger

_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run of a schedule that has ended."""

    schedule: str
    fire_time: datetime
    began: datetime
    summary: Summary


@dataclass(frozen=True, slots=True)
class MissedTimes:
    """Fire times of a schedule for which nothing ran."""

    schedule: str
    count: int
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Unreported:
    """What ended, or was missed, and has not been reported."""

    runs: tuple[int, ...]
    """All of them, also those that nobody waits for."""
    ended: tuple[EndedRun, ...]
    missed: tuple[MissedTimes, ...]


async def note_reported(pool: Pool, unreported: Unreported) -> None:
    """Note that this has been reported. Who is stopped in between leaves it to be reported twice. Raise FleetError."""
    if unreported.runs:
        query = "UPDATE fleet.runs SET reported = true WHERE id = ANY (%b::bigint[])"
        await fetch(pool, query, list(unreported.runs))


async def read_unreported(pool: Pool) -> Unreported:
    """Return what no member has reported yet. Raise FleetError."""
    rows = await fetch(pool, _UNREPORTED, _AT_ONCE)
    ended, missed = list[EndedRun](), dict[str, MissedTimes]()
    for id_, trigger, status, schedule, fire_time, started_at, detail, *numbers in rows:
        if schedule is None or fire_time is None:
            continue  # nobody waits for it
        if status == RunStatus.MISSED:
            before = missed.get(schedule)
            count = 1 if before is None else before.count + 1
            missed[schedule] = MissedTimes(schedule, count, fire_time, detail or "")
            continue
        symbols, due, requests, seconds, uncovered, key_refused, *of_outcomes = numbers
        summary = Summary(
            run=RunId(id_),
            trigger=Trigger(trigger),
            status=RunStatus(status),
            symbols=symbols,
            selection=Selection([], symbols - due, 0),
            counts=Counter(dict(zip(_COUNTED, of_outcomes, strict=True))),
            requests=requests,
            seconds=seconds or 0.0,
            busy_seconds=0.0,
            detail=detail,
            exit_code=_EXIT_CODES.get(RunStatus(status), ExitCode.FAILED),
            key_refused=key_refused,
            uncovered=uncovered,
        )
        ended.append(EndedRun(schedule, fire_time, started_at, summary))
    return Unreported(tuple(row[0] for row in rows), tuple(ended), tuple(missed.values()))


_EXIT_CODES = {
    RunStatus.COMPLETE: ExitCode.DONE,
    RunStatus.PARTIAL: ExitCode.PARTIAL,
    RunStatus.QUOTA_EXHAUSTED: ExitCode.QUOTA,
    RunStatus.INTERRUPTED: ExitCode.INTERRUPTED,
}
_COUNTED = (
    Outcome.STORED,
    Outcome.UNCHANGED,
    Outcome.UNKNOWN,
    Outcome.FAILED,
    Outcome.REJECTED,
    Outcome.DEFERRED,
)
_UNREPORTED = """
    SELECT id, trigger, status, schedule, scheduled_for, started_at, detail, symbols, due, requests, seconds, uncovered,
           key_refused, stored, unchanged, unknown, failed, rejected, deferred
      FROM fleet.runs WHERE NOT reported AND status <> 'running' ORDER BY id LIMIT %s
"""
