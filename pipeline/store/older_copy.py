"""Older copies: notices a copy that was put in place by hand, as the marker says which run requested something last.

Such a copy lacks what was requested since it was made. Nothing in the file says so.
"""

import sqlite3
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from pipeline.errors import Trouble
from pipeline.files import is_present
from pipeline.model.outcomes import RunId, RunStatus
from pipeline.store.blocks import block_requests, ledger_block
from pipeline.store.database import DatabaseError, connect
from pipeline.store.marker import LastRun, read_marker, write_marker
from pipeline.store.schema import connect_checked

LEDGER_BEHIND = "an older copy of the database was put in place, and what was requested since is not known"


def is_behind(database: Path) -> bool:
    """Return whether the file lacks something that was requested, as far as the marker says; False if nothing does.

    Asked before the file is migrated: that a copy was made by SQLite shows until then.
    """
    marker = read_marker(database)
    if marker is None or marker.last_run is None or not is_present(database):
        return False
    # What needs the file will say what is wrong with it.
    with suppress(DatabaseError, sqlite3.Error), connect_checked(database) as (db, _):
        return _is_behind(db, marker.last_run)
    return False


def _is_behind(db: sqlite3.Connection, last: LastRun) -> bool:
    if _record(db) != last.record or newest_run(db) < last.id:
        return True
    if db.execute("SELECT status FROM runs WHERE id = ?", (last.id,)).fetchone() != (RunStatus.RUNNING,):
        return False  # it has ended, and all of its requests are in the file
    # Either its process was killed, or this is a copy that was made meanwhile. One that SQLite made has no WAL.
    (mode,) = db.execute("PRAGMA journal_mode").fetchone()
    return last.state == "ended" or (last.state == "begun" and mode != "wal")


def newest_run(db: sqlite3.Connection) -> int:
    """Return the greatest id that a run ever had, 0 if there was none."""
    (number,) = db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'runs'").fetchone()
    return int(number)


def _record(db: sqlite3.Connection) -> str:
    """Return when the record was begun: copies of one record have the same."""
    (record,) = db.execute("SELECT applied_at FROM migrations WHERE version = 1").fetchone()
    return str(record)


def block_if_behind(database: Path, *, longest_window: timedelta, now: datetime) -> None:
    """Block requests for the plan's longest window if the file, which is migrated, `is_behind`. The lock is held."""
    if is_behind(database):
        block_behind(database, longest_window=longest_window, now=now)


def block_behind(database: Path, *, longest_window: timedelta, now: datetime) -> None:
    """Block requests for the plan's longest window, and note that it is done."""
    with connect(database, "rw") as db:
        block_requests(db, ledger_block(LEDGER_BEHIND, longest_window, now=now))
    marker = read_marker(database)
    if marker is not None:
        with suppress(Trouble):  # a full disk must not stop us: then it is blocked again, the next time
            write_marker(database, msgspec.structs.replace(marker, last_run=None))


def note_begun(database: Path, run: RunId) -> None:
    """Write to the disk that a run requests something. It is in the file already. Raise Trouble if that fails.

    Do nothing where no record is marked: invented data may be thrown away.
    """
    marker = read_marker(database)
    if marker is not None:
        with connect(database, "ro") as db:
            last = LastRun(id=run, record=_record(db), state="begun")
        write_marker(database, msgspec.structs.replace(marker, last_run=last))


def note_ended(database: Path, run: RunId) -> None:
    """Write that all a run has requested is in the file."""
    marker = read_marker(database)
    if marker is not None and marker.last_run is not None and marker.last_run.id == run:
        last = msgspec.structs.replace(marker.last_run, state="ended")
        with suppress(Trouble):  # no harm: then a copy made during the run passes for the file after a kill
            write_marker(database, msgspec.structs.replace(marker, last_run=last))


def restored_run(db: sqlite3.Connection) -> LastRun:
    """Return the last run of a database that is being restored, with its ledger or a block."""
    return LastRun(id=newest_run(db), record=_record(db), state="restored")
