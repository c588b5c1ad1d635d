"""Conditions: the kinds of alerts, their words, and which observations start and end each. A new alert begins here.

kind          | subject      | wrong                             | over
------------- | ------------ | --------------------------------- | ---------------------------------------------------
crash         | -            | the daemon outlived a bug         | a run sent requests, and ended
storage       | -            | something could not be written    | a run could write everything
key_refused   | -            | a run ended because of the key    | a run got an overview
configuration | -            | a reload was rejected             | a reload was accepted, or the daemon has started
clock         | -            | nothing may be requested by it    | a run got an overview
run_failed    | the schedule | a run failed                      | a later one ended well, with answers
fleet         | what it is   | something is stuck in the fleet   | it is not any more
run_partial   | the schedule | a run ended partial               | a later one ended well, with answers and no failure
missed        | the schedule | nothing ran at a fire time        | a later run ended well, with answers
uncovered     | the symbol   | {}, although it has snapshots     | its overview came again
stale         | the symbol   | not observed for too long         | observed since
backup        | -            | the last backup is old            | a newer one was made
drift         | the field    | documents differ from catalogue   | they do not any more
suspicion     | the value    | a value jumped                    | never: this is an event
new_record    | the instant  | there was none, and one has begun | never: this is an event

A run ends well if it is complete, or if the quota ended first. A run that shows nothing (interrupted, nothing due, no
quota left for a single request) is no observation: it neither makes anything wrong nor ends it.

A new kind is a member of `Kind`, its words in `NOTIFIED`, its line above, and a function here that returns what was
observed.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from pipeline import instants
from pipeline.collect.summary import Summary
from pipeline.fleet.look import FleetLook
from pipeline.model.changes import Change, ChangeKind
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.monitoring.checks import Kind, Problem, not_observed, old_backup
from pipeline.monitoring.status import Status
from pipeline.store.drift import Drift
from pipeline.store.noted_backups import NO_BACKUPS
from pipeline.text import count


class Severity(StrEnum):
    """How bad a message is. The values are Apprise's."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"


class Words(NamedTuple):
    """How a kind is notified."""

    severity: Severity
    one: str
    many: str
    """Of several; {} is their number."""
    over: str | None
    """When it is over; None for an event, which is never over."""


NOTIFIED: Mapping[Kind, Words] = {
    Kind.CRASH: Words(Severity.FAILURE, "the daemon crashed", "the daemon crashed {} times", "no crash since"),
    Kind.STORAGE: Words(Severity.FAILURE, "nothing can be stored", "nothing can be stored", "data can be stored again"),
    Kind.KEY_REFUSED: Words(
        Severity.FAILURE, "the API key is refused", "the API key is refused", "the API key is accepted"
    ),
    Kind.CLOCK: Words(
        Severity.FAILURE,
        "the clock is wrong or not confirmed",
        "the clock is wrong or not confirmed",
        "the clock is trusted again",
    ),
    Kind.CONFIGURATION: Words(
        Severity.FAILURE,
        "the new configuration is rejected",
        "the new configuration is rejected",
        "the configuration is accepted",
    ),
    Kind.RUN_FAILED: Words(Severity.FAILURE, "a run failed", "runs of {} schedules failed", "runs succeed again"),
    Kind.FLEET: Words(
        Severity.WARNING, "something is stuck in the fleet", "{} things are stuck in the fleet", "no longer stuck"
    ),
    Kind.RUN_PARTIAL: Words(
        Severity.WARNING, "a run ended partial", "runs of {} schedules ended partial", "runs end without failures again"
    ),
    Kind.MISSED: Words(
        Severity.WARNING, "fire times were missed", "fire times of {} schedules were missed", "runs take place again"
    ),
    Kind.UNCOVERED: Words(
        Severity.WARNING, "the API denies a company", "the API denies {} companies", "covered by the API again"
    ),
    Kind.STALE: Words(Severity.WARNING, "a symbol is stale", "{} symbols are stale", "no longer stale"),
    Kind.BACKUP: Words(Severity.WARNING, "no recent backup", "no recent backup", "backed up again"),
    Kind.DRIFT: Words(Severity.WARNING, "a field has changed", "{} fields have changed", "as expected again"),
    Kind.SUSPICION: Words(Severity.WARNING, "a value is suspicious", "{} values are suspicious", None),
    Kind.NEW_RECORD: Words(Severity.WARNING, "a new record has begun", "{} new records have begun", None),
}

PER_SCHEDULE = (Kind.RUN_FAILED, Kind.RUN_PARTIAL, Kind.MISSED)
"""Kinds whose subject is a schedule."""
ANY_SCHEDULE = ""
"""The subject under which an earlier version remembered these kinds, for all schedules together."""


class Name(NamedTuple):
    """Which condition: its kind, and its subject if there can be several."""

    kind: Kind
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Over:
    """A good observation: a condition was seen not to hold. `Problem` is a bad one."""

    kind: Kind
    subject: str = ""


Observation = Problem | Over


def run_line(summary: Summary, fire_time: datetime) -> str:
    """Return in one line how a scheduled run ended."""
    return f"run {summary.run} for {instants.for_people(fire_time)} UTC, {summary.ending}"


def after_run(summary: Summary, schedule: str, fire_time: datetime) -> list[Observation]:
    """Return what a scheduled run shows by how it ended."""
    if summary.status is RunStatus.INTERRUPTED:
        return []
    return [*_wrong(summary, schedule, run_line(summary, fire_time)), *_over(summary, schedule)]


def after_run_on_demand(summary: Summary) -> list[Observation]:
    """Return what a run on demand shows: of the key and the database, but nothing of a schedule."""
    if summary.status is RunStatus.INTERRUPTED:
        return []
    line = f"run {summary.run} on demand, {summary.ending}"
    found: list[Observation] = [*_wrong(summary, "", line), *_over(summary, "")]
    return [one for one in found if one.kind not in PER_SCHEDULE]


def _wrong(summary: Summary, schedule: str, line: str) -> Iterable[Problem]:
    if summary.storage_error is not None:
        yield Problem(Kind.STORAGE, "", str(summary.storage_error))
    if summary.key_refused:
        yield Problem(Kind.KEY_REFUSED, "", line)
    elif summary.status is RunStatus.FAILED:
        yield Problem(Kind.RUN_FAILED, schedule, line)
    elif summary.status is RunStatus.PARTIAL:
        yield Problem(Kind.RUN_PARTIAL, schedule, line)


def _over(summary: Summary, schedule: str) -> Iterable[Over]:
    counts = summary.counts
    overviews = counts[Outcome.STORED] + counts[Outcome.UNCHANGED]
    ended_well = summary.status in (RunStatus.COMPLETE, RunStatus.QUOTA_EXHAUSTED)
    if summary.requests:
        yield Over(Kind.CRASH)
    if summary.storage_error is None:
        yield Over(Kind.STORAGE)
    if overviews:
        yield Over(Kind.CLOCK)
    if overviews and not summary.key_refused:
        yield Over(Kind.KEY_REFUSED)
    if ended_well and overviews + counts[Outcome.UNKNOWN] - summary.uncovered:
        failed = counts[Outcome.FAILED] + counts[Outcome.REJECTED] + summary.uncovered
        for kind in PER_SCHEDULE:
            if kind is not Kind.RUN_PARTIAL or not failed:
                yield Over(kind, schedule)
                yield Over(kind, ANY_SCHEDULE)


def missed_fire_times(schedule: str, missed: int, until: datetime, reason: str) -> Problem:
    """Return that nothing ran at `missed` fire times of a schedule, up to an instant."""
    line = f"{count(missed, 'fire time')} of {schedule}, up to {instants.for_people(until)} UTC: {reason}"
    return Problem(Kind.MISSED, schedule, line)


def coverage(status: Status, symbols: Collection[str], *, firing: Collection[str]) -> list[Observation]:
    """Return which configured symbols the API denies although they have snapshots, and which it covers again."""
    wrong = [
        Problem(Kind.UNCOVERED, symbol, f"{symbol} has snapshots, but the API answers {{}}", _UNCOVERED_REMEDY)
        for symbol in status.uncovered
    ]
    covered = set(symbols) - set(status.uncovered)
    return [*wrong, *(Over(Kind.UNCOVERED, symbol) for symbol in firing if symbol in covered)]


_UNCOVERED_REMEDY = (
    "it is asked again; remove it from the list if the company is gone, or name its new symbol under [symbols.renamed]"
)


def stuck_in_fleet(look: FleetLook, *, firing: Collection[str]) -> list[Observation]:
    """Return what is stuck in the fleet, and what was (`firing`) and is not any more; nothing if it was not seen."""
    if look.state is None:
        return []
    wrong = {f"{one.kind} {one.subject}".strip(): one for one in look.problems if not one.is_warning}
    found = [Problem(Kind.FLEET, subject, one.text, one.remedy) for subject, one in wrong.items()]
    return [*found, *(Over(Kind.FLEET, subject) for subject in firing if subject not in wrong)]


def new_record(database: Path, at: datetime) -> Problem:
    """Return that there was no record in the database, so that one has begun."""
    line = f"{database} did not exist, and a new record has begun in it"
    return Problem(Kind.NEW_RECORD, instants.to_text(at), line, "if there was one, stop and mount its volume")


def can_be_stale(status: Status, symbols: Collection[str]) -> set[str]:
    """Return the configured symbols without those that the API turned out not to cover: nobody waits for these."""
    return set(symbols) - (set(status.unknown) - set(status.stale))


def staleness(
    status: Status, symbols: Collection[str], stale_after: timedelta, *, firing: Collection[str]
) -> list[Observation]:
    """Return which of the configured symbols are stale, and which that were (`firing`) are not any more."""
    wrong = [Problem(Kind.STALE, symbol, f"{symbol} {not_observed(stale_after)}") for symbol in status.stale]
    observed = set(symbols) - {*status.stale, *status.unknown, *status.pending}
    return [*wrong, *(Over(Kind.STALE, symbol) for symbol in firing if symbol in observed)]


def backups(status: Status, backup_after: timedelta, *, now: datetime) -> list[Observation]:
    """Return whether the last backup is too old; nothing where none was ever made."""
    if status.backups == NO_BACKUPS:
        return []
    problem = old_backup(status.backups, backup_after, now=now)
    return [problem or Over(Kind.BACKUP)]


NEW_FIELD = "new, stored in extra"
ABSENT_FIELD = "not sent for any symbol"
UNREADABLE_FIELD = "not of its column's type; stored in extra"


def field_drift(drift: Drift, *, firing: Collection[str]) -> list[Observation]:
    """Return in which fields the API's answers differ from the catalogue, and in which they do not any more."""
    meanings = (
        (drift.unknown_fields, NEW_FIELD),
        (drift.absent_fields, ABSENT_FIELD),
        (drift.unreadable_fields, UNREADABLE_FIELD),
    )
    wrong = [Problem(Kind.DRIFT, field, f"{field}: {meaning}") for fields, meaning in meanings for field in fields]
    drifting = {problem.subject for problem in wrong}
    return [*wrong, *(Over(Kind.DRIFT, field) for field in firing if field not in drifting)]


def anomaly(change: Change) -> Problem:
    """Return that a value changed in a way that the market cannot explain."""
    where = f"{change.symbol} {change.field}"
    values = f"{change.after}" if change.kind is ChangeKind.FIRST else f"from {change.before} to {change.after}"
    line = f"{where}: {change.suspicion}, {values}"
    return Problem(Kind.SUSPICION, f"{where} {instants.to_text(change.observed_at)}", line)
