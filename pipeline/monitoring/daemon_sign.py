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
    is_running = is_daemon_running(database)
    beat: Heartbeat | DamagedHeartbeat | None
    try:
        beat = heartbeat.read(database)
    except DamagedHeartbeat as damage:
        beat = damage
    problem = None if beat is None else daemon_problem(beat, is_running=is_running, now=now)
    return DaemonSign(is_running, None if isinstance(beat, DamagedHeartbeat) else beat, problem)
