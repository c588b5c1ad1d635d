"""The record: begun once, and a second time only on request, so that no empty file replaces a vanished one.

A file vanishes when it is removed, or when its volume is not mounted. Then the marker beside it says that there was
one. Where the marker vanished too, a daemon that had the file open still knows; after a restart nobody can, which is
why each record that begins is reported.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum, auto
from pathlib import Path

from pipeline.errors import ExitCode, Trouble
from pipeline.files import is_present
from pipeline.store.blocks import block_requests, ledger_block
from pipeline.store.database import connect, schema_version
from pipeline.store.marker import Marker, read_marker, write_marker
from pipeline.store.migrate import OnProgress, migrate, no_progress
from pipeline.store.move_aside import free_name, move_aside
from pipeline.store.older_copy import block_behind, is_behind

LEDGER_LOST = "the requests of the lost record are not known, and may have used up the plan"


class Begin(Enum):
    """When a record may be begun."""

    FIRST = auto()
    """Where there never was one."""
    REPLACE_LOST = auto()
    """Also in place of one that is gone: `--new-record`."""
    UNMARKED = auto()
    """Where no marker says that there was one, and without making a marker: invented data may be thrown away."""
    NEVER = auto()
    """By a daemon that has opened it before."""


class RecordExists(Trouble):
    """A new record was asked for, but there is one already."""

    exit_code = ExitCode.REFUSED


def prepare(
    database: Path, begin: Begin, *, longest_window: timedelta, now: datetime, on_progress: OnProgress = no_progress
) -> bool:
    """Bring the database up to date, beginning the record if that is allowed. Return whether it has just begun.

    A record in place of a lost one is blocked for the plan's longest window, as nobody knows what was requested before;
    and so is one whose file was replaced by an older copy, where the marker shows that.
    `on_progress` is called as `migrate` calls it. The caller holds the lock. Raise RecordGone if the record vanished,
    RecordExists if it is there but was to be replaced, and what `migrate` raises.
    """
    if begin is Begin.REPLACE_LOST:
        _make_way(database, now)
    marker = read_marker(database)
    may_begin = begin is not Begin.NEVER and (marker is None or marker.lost_at is not None)
    is_older = is_behind(database)
    migrate(database, now=now, may_begin=may_begin, on_progress=on_progress)
    if is_older:
        block_behind(database, longest_window=longest_window, now=now)
    if begin is Begin.UNMARKED or (marker is not None and marker.lost_at is None and marker.set_aside is None):
        return False
    with connect(database, "rw") as db:
        (has_begun,) = db.execute("SELECT NOT EXISTS (SELECT 1 FROM runs)").fetchone()
        if marker is not None and marker.lost_at is not None:
            block_requests(db, ledger_block(LEDGER_LOST, longest_window, now=marker.lost_at))
    with suppress(Trouble):  # a full disk must not stop us; the next time it may be possible
        write_marker(database, Marker(began_at=(marker and marker.began_at) or now))
    return bool(has_begun)


def _make_way(database: Path, now: datetime) -> None:
    """Note that the record there was is lost. What is left of it beside the database is moved aside."""
    if is_present(database):
        with connect(database, "ro") as db:
            if schema_version(db, database):
                raise RecordExists(f"{database} holds a record", remedy="omit --new-record, or move that file away")
    if read_marker(database) is not None:
        write_marker(database, Marker(lost_at=now))
    move_aside(database, free_name(database, now))
