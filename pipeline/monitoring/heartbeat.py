"""Heartbeat: a file beside the database that the daemon rewrites every `PERIOD`, so that others see that it lives."""

from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import msgspec

from pipeline import instants
from pipeline.files import replace_content
from pipeline.store.database import beside

PERIOD = timedelta(seconds=30)
"""How often the daemon beats (at least twice as often as systemd's watchdog, if there is one)."""
FRESH_FOR = 3 * PERIOD
"""A heartbeat older than this means that the daemon is gone, or hangs."""

ANSWERS_WITHIN = timedelta(seconds=90)
"""A store that does not answer for longer is considered dead."""


class DaemonState(StrEnum):
    """What the daemon is doing."""

    IDLE = "idle"
    WAITING = "waiting"
    """Something is due and cannot run: `blocked_by` says why."""
    COLLECTING = "collecting"
    STOPPING = "stopping"


class Heartbeat(
    msgspec.Struct, frozen=True, kw_only=True, rename={"blocked_by": "hindrance", "resumes_at": "continues_at"}
):
    """One heartbeat. Instants are aware, UTC. The keys of its JSON are stable."""

    pid: int
    started_at: datetime
    at: datetime
    state: DaemonState
    run: int | None = None
    """The run in progress."""
    blocked_by: str | None = None
    """Why what is due cannot run."""
    next_fire: datetime | None = None
    resumes_at: datetime | None = None
    """When the last run, cut short by the quota or an outage, is resumed."""
    last_run: int | None = None
    last_status: str | None = None
    silent_seconds: float
    """How long the store had not answered."""
    refused: str | None = None
    """Why the last reload of the configuration failed: the previous one is still in force."""
    timer_restarts: int = 0

    def texts(self) -> dict[str, object]:
        """Return it by its JSON keys, with instants as text."""
        values = msgspec.structs.astuple(self)
        return {
            key: instants.to_text(value) if isinstance(value, datetime) else value
            for key, value in zip(self.__struct_encode_fields__, values, strict=True)
        }

    def is_fresh(self, now: datetime) -> bool:
        """Whether the daemon seems to live. A heartbeat from the future does not count: the clock was set."""
        return abs(now - self.at) <= FRESH_FOR


def heartbeat_path(database: Path) -> Path:
    """Return the heartbeat file of the daemon of this database."""
    return beside(database, ".heartbeat.json")


def write(database: Path, beat: Heartbeat) -> None:
    """Write the heartbeat. Raise OSError if it cannot be written."""
    replace_content(heartbeat_path(database), msgspec.json.encode(beat.texts()))


def read(database: Path) -> Heartbeat | None:
    """Return the last heartbeat, None if there is none or it is unreadable."""
    try:
        return msgspec.json.decode(heartbeat_path(database).read_bytes(), type=Heartbeat)
    except (OSError, msgspec.DecodeError):
        return None


def remove(database: Path) -> None:
    """Remove the file: the daemon has ended in order."""
    with suppress(OSError):
        heartbeat_path(database).unlink()
