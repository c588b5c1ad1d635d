"""The daemon's sign of life: whether one runs on a database, and what it says that it is doing."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline.monitoring import heartbeat
from pipeline.monitoring.checks import Problem, daemon_problem
from pipeline.monitoring.heartbeat import DamagedHeartbeat, Heartbeat
from pipeline.store.lock import is_daemon_running


@dataclass(frozen=True, slots=True)
class DaemonSign:
    """What is known of the daemon of a database."""

    is_running: bool
    beat: Heartbeat | None
    """Its last heartbeat, or that of one that has ended; None if there is none, or it is damaged."""
    problem: Problem | None
    """What is wrong with it; None, too, where none was ever started."""


def read_daemon(database: Path, *, now: datetime) -> DaemonSign:
    """Return the sign of the daemon of a database."""
    beat, is_running = look_at_daemon(database)
    problem = None if beat is None else daemon_problem(beat, is_running=is_running, now=now)
    return DaemonSign(is_running, None if isinstance(beat, DamagedHeartbeat) else beat, problem)


def look_at_daemon(database: Path) -> tuple[Heartbeat | DamagedHeartbeat | None, bool]:
    """Return the heartbeat of a database's daemon, None if there is none, and whether its process lives.

    The file and the lock cannot be looked at together, and a daemon may begin or end between: so a daemon is dead whose
    heartbeat was there before the lock was found free, and is there still.
    """
    before, is_running = _beat(database), is_daemon_running(database)
    if is_running:
        return before, True
    after = _beat(database)
    has_begun = isinstance(after, Heartbeat) and _process(after) != _process(before)
    return after, has_begun


def _beat(database: Path) -> Heartbeat | DamagedHeartbeat | None:
    try:
        return heartbeat.read(database)
    except DamagedHeartbeat as damage:
        return damage


def _process(beat: Heartbeat | DamagedHeartbeat | None) -> tuple[int, datetime] | None:
    return (beat.pid, beat.started_at) if isinstance(beat, Heartbeat) else None
