"""Ended runs: how the fleet's runs ended, and which of them are to be reported, by the member that does for all."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

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
    for schedule, fire_time, started_at, *run in rows:
        if schedule is None or fire_time is None:
            continue  # nobody waits for it
        _, _, status, detail, *_ = run
        if status == RunStatus.MISSED:
            before = missed.get(schedule)
            count = 1 if before is None else before.count + 1
            missed[schedule] = MissedTimes(schedule, count, fire_time, detail or "")
            continue
        ended.append(EndedRun(schedule, fire_time, started_at, _summary(run)))
    return Unreported(tuple(row[3] for row in rows), tuple(ended), tuple(missed.values()))


async def read_summary(pool: Pool, run: int) -> Summary:
    """Return how a run ended, as its row has it. Raise FleetError."""
    (row,) = await fetch(pool, _ENDED, run)
    return _summary(row)


def _summary(row: Sequence[Any]) -> Summary:
    id_, trigger, status, detail, symbols, due, requests, seconds, uncovered, key_refused, *of_outcomes = row
    return Summary(
        run=RunId(id_),
        trigger=Trigger(trigger),
        status=RunStatus(status),
        symbols=symbols,
        selection=Selection([], symbols - due, 0),
        counts=Counter(dict(zip(COUNTED, of_outcomes, strict=True))),
        requests=requests,
        seconds=seconds or 0.0,
        busy_seconds=0.0,
        detail=detail,
        exit_code=_EXIT_CODES.get(RunStatus(status), ExitCode.FAILED),
        key_refused=key_refused,
        uncovered=uncovered,
    )


_EXIT_CODES = {
    RunStatus.COMPLETE: ExitCode.DONE,
    RunStatus.PARTIAL: ExitCode.PARTIAL,
    RunStatus.QUOTA_EXHAUSTED: ExitCode.QUOTA,
    RunStatus.INTERRUPTED: ExitCode.INTERRUPTED,
}
COUNTED = (
    Outcome.STORED,
    Outcome.UNCHANGED,
    Outcome.UNKNOWN,
    Outcome.FAILED,
    Outcome.REJECTED,
    Outcome.DEFERRED,
)
"""The outcomes in the order of the columns that count them."""
_COLUMNS: LiteralString = """
    id, trigger, status, detail, symbols, due, requests, seconds, uncovered, key_refused,
    stored, unchanged, unknown, failed, rejected, deferred
"""
_ENDED: LiteralString = f"SELECT {_COLUMNS} FROM fleet.runs WHERE id = %s"
_UNREPORTED: LiteralString = f"""
    SELECT schedule, scheduled_for, started_at, {_COLUMNS}
      FROM fleet.runs WHERE NOT reported AND status <> 'running' ORDER BY id LIMIT %s
"""
