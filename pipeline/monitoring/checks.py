"""Checks: the one list of what can be wrong with a running program and its data. Health and alerts pick from it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pipeline import instants
from pipeline.collect.summary import Summary
from pipeline.errors import ExitCode, Trouble
from pipeline.model.changes import Change
from pipeline.model.outcomes import Outcome, RunStatus
from pipeline.model.symbols import Symbol
from pipeline.monitoring.heartbeat import ANSWERS_WITHIN, Heartbeat
from pipeline.monitoring.status import Status
from pipeline.store.database import DatabaseError
from pipeline.store.drift import Drift
from pipeline.store.reader import Run
from pipeline.text import count, few


class Kind(StrEnum):
    """The kinds of problems. The values are printed and stored: they stay."""

    # Notified, the most severe first.
    CRASH = "crash"
    STORAGE = "storage"
    KEY_REFUSED = "key_refused"
    CONFIGURATION = "configuration"
    """Notified after a reload; also checked by `doctor`."""
    RUN_FAILED = "run_failed"
    """Also checked by `health`."""
    RUN_PARTIAL = "run_partial"
    MISSED = "missed"
    STALE = "stale"
    """Also checked by `health`."""
    DRIFT = "drift"
    SUSPICION = "suspicion"

    # Checked by `health`.
    DAEMON = "daemon"

    # Checked by `doctor`.
    PYTHON = "python"
    SQLITE = "sqlite"
    ENV_FILE = ".env"
    ENVIRONMENT = "environment"
    SYMBOLS = "symbols"
    KEY = "key"
    NOTIFICATIONS = "notifications"
    DISK = "disk"
    CLOCK = "clock"
    MODES = "modes"
    DATABASE = "database"
    """Also checked by `health`."""
    INTEGRITY = "integrity"
    OBSERVATIONS = "looks"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. As text it is one line, with its remedy."""

    kind: Kind
    subject: str
    """Which one of its kind: a symbol, field, fire time or file; empty if there can be only one."""
    text: str
    remedy: str | None = None

    def __str__(self) -> str:
        return str(Trouble(self.text, remedy=self.remedy))


def health_problems(
    beat: Heartbeat | None, status: Status | None, *, is_running: bool, stale_after: timedelta, now: datetime
) -> list[Problem]:
    """Return what is wrong with the daemon, its last run, or how fresh the data is; empty if all is well.

    `is_running`: whether the daemon's process lives. A database with nothing in it yet (`status` is None) is fine.
    """
    found = [daemon_problem(beat, is_running=is_running, now=now)]
    if status is not None:
        found += [failed_run(status.last_run), stale_data(status.stale, stale_after)]
    return [problem for problem in found if problem is not None]


def daemon_problem(beat: Heartbeat | None, *, is_running: bool, now: datetime) -> Problem | None:
    """Return why the daemon, by its last heartbeat, is not well; None if it is."""
    if beat is None:
        return Problem(Kind.DAEMON, "", "no daemon runs on this database", "pipeline run")
    at = f"{instants.for_people(beat.at)} UTC"
    if not is_running:
        return Problem(Kind.DAEMON, "", f"the daemon has died: process {beat.pid} sent its last heartbeat at {at}")
    if not beat.is_fresh(now):
        return Problem(Kind.DAEMON, "", f"no heartbeat from the daemon since {at}")
    return silent_store(timedelta(seconds=beat.silent_seconds))


def silent_store(silence: timedelta) -> Problem | None:
    """Return that the store has not answered the daemon for too long, None if it has."""
    if silence <= ANSWERS_WITHIN:
        return None
    return Problem(Kind.DAEMON, "", f"the store has not answered for {silence.total_seconds():.0f} s")


def unusable_database(error: DatabaseError) -> Problem:
    """Return why the database cannot be used."""
    return Problem(Kind.DATABASE, "", error.problem, error.remedy)


def failed_run(run: Run | None) -> Problem | None:
    """Return that the last run failed, None if it did not."""
    if run is None or run.status != RunStatus.FAILED:
        return None
    return Problem(Kind.RUN_FAILED, str(run.id), f"run {run.id} failed" + (f": {run.detail}" if run.detail else ""))


def run_problem(summary: Summary, fire_time: datetime) -> Problem | None:
    """Return that a scheduled run failed or ended partial, or that its key was refused; None if neither.

    Its subject is the fire time: runs that resume it, and fail too, are the same problem.
    """
    if summary.exit_code == ExitCode.REFUSED:
        return Problem(Kind.KEY_REFUSED, "", run_line(summary, fire_time))
    kind = {RunStatus.FAILED: Kind.RUN_FAILED, RunStatus.PARTIAL: Kind.RUN_PARTIAL}.get(summary.status)
    if kind is None:
        return None
    return Problem(kind, instants.to_text(fire_time), run_line(summary, fire_time))


def run_line(summary: Summary, fire_time: datetime) -> str:
    """Return in one line how a scheduled run ended."""
    counts = ", ".join(f"{summary.counts[outcome]:,} {outcome}" for outcome in Outcome if summary.counts[outcome])
    because = f": {summary.detail}" if summary.detail else ""
    when = instants.for_people(fire_time)
    return f"run {summary.run} for {when} UTC, {summary.status}: {counts or 'nothing was due'}{because}"


def missed_fire_times(schedule: str, missed: int, until: datetime, reason: str) -> Problem:
    """Return that nothing ran at `missed` fire times of a schedule, up to an instant."""
    line = f"{count(missed, 'fire time')} of {schedule}, up to {instants.for_people(until)} UTC: {reason}"
    return Problem(Kind.MISSED, f"{schedule} {instants.to_text(until)}", line)


def stale_symbols(symbols: Iterable[Symbol], stale_after: timedelta) -> list[Problem]:
    """Return a problem for each stale symbol."""
    return [Problem(Kind.STALE, symbol, f"{symbol} {_not_observed(stale_after)}") for symbol in symbols]


def stale_data(symbols: Sequence[Symbol], stale_after: timedelta) -> Problem | None:
    """Return one problem for all stale symbols, None if there are none."""
    return Problem(Kind.STALE, "", f"{_not_observed(stale_after)}: {few(symbols)}") if symbols else None


def _not_observed(stale_after: timedelta) -> str:
    return f"not observed for {stale_after.total_seconds() / 3600:g} h"


NEW_FIELD = "new, stored in extra"
ABSENT_FIELD = "no longer sent for any symbol"
UNREADABLE_FIELD = "not of its column's type; stored in extra"


def field_drift(drift: Drift) -> list[Problem]:
    """Return a problem for each field in which the API's answers differ from the catalogue."""
    meanings = (
        (drift.unknown_fields, NEW_FIELD),
        (drift.absent_fields, ABSENT_FIELD),
        (drift.unreadable_fields, UNREADABLE_FIELD),
    )
    return [Problem(Kind.DRIFT, field, f"{field}: {meaning}") for fields, meaning in meanings for field in fields]


def anomaly(change: Change) -> Problem:
    """Return that a value changed in a way that the market cannot explain."""
    where = f"{change.symbol} {change.field}"
    line = f"{where}: {change.suspicion}, from {change.before} to {change.after}"
    return Problem(Kind.SUSPICION, f"{where} {instants.to_text(change.observed_at)}", line)
