"""The heartbeat: what the daemon says of itself every half minute, in a file beside the database."""

from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import msgspec

from pipeline import instants
from pipeline.files import replace_content

PERIOD = timedelta(seconds=30)
FRESH_FOR = 3 * PERIOD
"""A heartbeat older than this is none: the daemon is gone, or hangs."""

ANSWERS_WITHIN = timedelta(seconds=90)
"""A store that does not answer for longer is dead, or as good as."""


class DaemonState(StrEnum):
    """What the daemon is at."""

    IDLE = "idle"
    WAITING = "waiting"
    """Something is due and cannot run yet: `hindrance` says why."""
    COLLECTING = "collecting"
    STOPPING = "stopping"


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """One heartbeat. Instants are aware, UTC."""

    pid: int
    started_at: datetime
    at: datetime
    state: DaemonState
    run: int | None = None
    """The run under way."""
    hindrance: str | None = None
    """Why what is due cannot run."""
    next_fire: datetime | None = None
    continues_at: datetime | None = None
    """When it goes on with what the quota's end, or an outage, left unasked."""
    last_run: int | None = None
    last_status: str | None = None
    silent_seconds: float
    """How long the store had not answered."""
    refused: str | None = None
    """Why the configuration was not taken over when last asked to: the one before is still in force."""
    timer_restarts: int = 0

    def texts(self) -> dict[str, object]:
        """Return it for JSON, with instants as everywhere in it."""
        return {
            name: instants.to_text(value) if isinstance(value, datetime) else value
            for name, value in msgspec.structs.asdict(self).items()
        }

    def is_fresh(self, now: datetime) -> bool:
        """Whether the daemon lives, as far as can be told. One from the future does not count: the clock was set."""
        return abs(now - self.at) <= FRESH_FOR


def heartbeat_path(database: Path) -> Path:
    """Return the file of the daemon of this database."""
    real = database.resolve()
    return real.with_name(f"{real.name}.heartbeat.json")


def write(database: Path, beat: Heartbeat) -> None:
    """Write the heartbeat. Raise OSError if it cannot be written."""
    replace_content(heartbeat_path(database), msgspec.json.encode(beat.texts()))


def read(database: Path) -> Heartbeat | None:
    """Return the last heartbeat, None where there is none that can be read."""
    try:
        return msgspec.json.decode(heartbeat_path(database).read_bytes(), type=Heartbeat)
    except (OSError, msgspec.DecodeError):
        return None


def remove(database: Path) -> None:
    """Take the file away: the daemon has ended in order."""
    with suppress(OSError):
        heartbeat_path(database).unlink()
