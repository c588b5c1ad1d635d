"""Heartbeat: a file beside the database that the daemon rewrites every `PERIOD`, so that others see that it lives."""

from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from pipeline import instants
from pipeline.decoding import decoder
from pipeline.errors import Trouble, Undecodable, file_reason
from pipeline.files import read_content, replace_content
from pipeline.store.database import beside
from pipeline.text import encodable

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
    FOLLOWING = "following"
    """It only keeps the file current with a fleet's log."""
    STOPPING = "stopping"


Instant = Annotated[datetime, Meta(tz=True)]
Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]


class DamagedHeartbeat(Trouble):
    """A heartbeat file that cannot be read."""


class Heartbeat(
    msgspec.Struct, frozen=True, kw_only=True, rename={"blocked_by": "hindrance", "resumes_at": "continues_at"}
):
    """One heartbeat. Instants are aware, UTC. The keys of its JSON are stable."""

    pid: Number
    started_at: Instant
    at: Instant
    state: DaemonState
    run: Number | None = None
    """The run in progress."""
    blocked_by: str | None = None
    """Why what is due cannot run."""
    next_fire: Instant | None = None
    resumes_at: Instant | None = None
    """When the last run, cut short by the quota or an outage, is resumed."""
    last_run: Number | None = None
    last_status: str | None = None
    silent_seconds: Seconds
    """How long the store had not answered."""
    refused: str | None = None
    """Why the last reload of the configuration failed: the previous one is still in force."""
    timer_restarts: Number = 0

    def __post_init__(self) -> None:
        """Raise OverflowError for an instant that UTC cannot hold: a file may name one."""
        self.texts()

    def texts(self) -> dict[str, object]:
        """Return it by its JSON keys, with instants as text, and what UTF-8 has not in names of files escaped."""
        values = msgspec.structs.astuple(self)
        return {key: _plain(value) for key, value in zip(self.__struct_encode_fields__, values, strict=True)}

    def is_fresh(self, now: datetime) -> bool:
        """Whether the daemon seems to live. A heartbeat from the future does not count: the clock was set."""
        return abs(now - self.at) <= FRESH_FOR


def _plain(value: object) -> object:
    match value:
        case datetime():
            return instants.to_text(value)
        case str():
            return encodable(value)
    return value


_decode = decoder(Heartbeat)


def heartbeat_path(database: Path) -> Path:
    """Return the heartbeat file of the daemon of this database."""
    return beside(database, ".heartbeat.json")


def write(database: Path, beat: Heartbeat) -> None:
    """Write the heartbeat. Raise OSError if it cannot be written."""
    replace_content(heartbeat_path(database), msgspec.json.encode(beat.texts()))


def read(database: Path) -> Heartbeat | None:
    """Return the last heartbeat, None if there is none. Raise DamagedHeartbeat if it cannot be read."""
    path = heartbeat_path(database)
    try:
        return _decode(read_content(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamagedHeartbeat(f"{path} cannot be read: {file_reason(error)}") from None
    except Undecodable as error:
        remedy = f"a running daemon replaces it within {PERIOD.total_seconds():g} s, a new one at once"
        raise DamagedHeartbeat(f"{path} is damaged ({error})", remedy=remedy) from None


def remove(database: Path) -> None:
    """Remove the file: the daemon has ended in order."""
    with suppress(OSError):
        heartbeat_path(database).unlink()
