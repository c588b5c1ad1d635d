"""Checks: the one list of what can be wrong with a running program and its data, and what health makes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pipeline import instants
from pipeline.errors import Trouble
from pipeline.model.outcomes import RunStatus
from pipeline.model.symbols import Symbol
from pipeline.monitoring.fleet_view import FleetView
from pipeline.monitoring.heartbeat import ANSWERS_WITHIN, DamagedHeartbeat, Heartbeat
from pipeline.monitoring.status import Status
from pipeline.store.database import DatabaseError
from pipeline.store.noted_backups import NotedBackups
from pipeline.store.reader import Run
from pipeline.text import count, few


class Kind(StrEnum):
    """The kinds of problems. The values are printed and stored: they stay."""

    # Notified, the most severe first: `conditions` says when each is wrong, and when it is over.
    CRASH = "crash"
    STORAGE = "storage"
    KEY_REFUSED = "key_refused"
    CONFIGURATION = "configuration"
    """Notified after a reload; also checked by `doctor`."""
    RUN_FAILED = "run_failed"
    """Also checked by `health`."""
    FLEET = "fleet"
    """Also checked by `health` and `doctor`."""
    RUN_PARTIAL = "run_partial"
    MISSED = "missed"
    UNCOVERED = "uncovered"
    STALE = "stale"
    """Also checked by `health`."""
    BACKUP = "backup"
    """Also checked by `doctor`."""
    DRIFT = "drift"
    SUSPICION = "suspicion"

    NEW_RECORD = "new_record"

    # Checked by `health`.
    DAEMON = "daemon"

    # Checked by `doctor`.
    PYTHON = "python"
    SQLITE = "sqlite"
    ENV_FILE = ".env"
    ENVIRONMENT = "environment"
    SYMBOLS = "symbols"
    RENAMES = "renames"
    SCHEDULE = "schedule"
    THRESHOLD = "threshold"
    KEY = "key"
    NOTIFICATIONS = "notifications"
    PROXY = "proxy"
    WEB = "web"
    NETWORK = "network"
    DISK = "disk"
    CLOCK = "clock"
    FILE_SYSTEM = "file system"
    ACCESS = "access"
    MODES = "modes"
    LEFTOVERS = "leftovers"
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
    beat: Heartbeat | DamagedHeartbeat | None,
    status: Status | None,
    *,
    is_running: bool,
    stale_after: timedelta,
    now: datetime,
) -> list[Problem]:
    """Return what is wrong with the daemon, its last run, or how fresh the data is; empty if all is well.

    `is_running`: whether the daemon's process lives. A database with nothing in it yet (`status` is None) is fine.
    """
    found = [daemon_problem(beat, is_running=is_running, now=now)]
    if status is not None:
        found += fleet_problems(status.fleet)
        found += [failed_run(status.last_run), stale_data(status.stale, stale_after)]
    return [problem for problem in found if problem is not None]


def daemon_problem(beat: Heartbeat | DamagedHeartbeat | None, *, is_running: bool, now: datetime) -> Problem | None:
    """Return why the daemon, by its last heartbeat, is not well; None if it is."""
    if isinstance(beat, DamagedHeartbeat):
        return Problem(Kind.DAEMON, "", beat.problem, beat.remedy)
    if beat is None:
        return Problem(Kind.DAEMON, "", "no daemon runs on this database", "pipeline run")
    at = f"{instants.for_people(beat.at)} UTC"
    if not is_running:
        return Problem(Kind.DAEMON, "", f"the daemon has died: process {beat.pid} sent its last heartbeat at {at}")
    if not beat.is_fresh(now):
        return Problem(Kind.DAEMON, "", f"no heartbeat from the daemon since {at}")
    return silent_store(timedelta(seconds=beat.silent_seconds))


def fleet_problems(fleet: FleetView | None) -> list[Problem]:
    """Return what keeps this machine from its part in a fleet; nothing of what is wrong with others."""
    if fleet is None or fleet.look is None:
        return []
    if fleet.look.trouble is not None:
        return [Problem(Kind.FLEET, "", fleet.look.trouble)]
    return [
        Problem(Kind.FLEET, one.subject, one.text, one.remedy)
        for one in fleet.look.problems
        if not one.is_warning and (one.kind in ("server", "agreement") or one.subject == fleet.look.name)
    ]


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


def stale_data(symbols: Sequence[Symbol], stale_after: timedelta) -> Problem | None:
    """Return one problem for all stale symbols, None if there are none."""
    return Problem(Kind.STALE, "", f"{not_observed(stale_after)}: {few(symbols)}") if symbols else None


def old_backup(noted: NotedBackups, backup_after: timedelta, *, now: datetime) -> Problem | None:
    """Return that the last backup is too old, or from the future, and so of unknown age; None if not."""
    last, ahead, _ = noted
    if last is None:
        return None if ahead is None else Problem(Kind.BACKUP, "", f"there is only {backup_ahead(ahead)}", _COUNTS)
    if now - last <= backup_after:
        return None
    text = f"the last backup was made {count((now - last).days, 'day')} ago, at {instants.for_people(last)} UTC"
    if ahead is not None:
        text += f", besides {backup_ahead(ahead)}"
    return Problem(Kind.BACKUP, "", text, "pipeline backup FILE, or see why the backups stopped")


def backup_ahead(at: datetime) -> str:
    """Return what is said of a backup from the future."""
    return f"a backup dated in the future, {instants.for_people(at)} UTC"


_COUNTS = "pipeline backup FILE makes one that counts"


def not_observed(stale_after: timedelta) -> str:
    """Return what is wrong with a stale symbol."""
    return f"not observed for {stale_after.total_seconds() / 3600:g} h"
