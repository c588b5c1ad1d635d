"""Restore: puts a backup in the database's place, moves what was there aside, and carries its ledger over.

Killed at any instant, it leaves the old database, or the restored one, or neither: then the marker says that a restore
was interrupted, and the next one completes it.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from pipeline.errors import file_reason
from pipeline.files import is_present, new_file, sync_file, sync_folder
from pipeline.store.backup import checked, copy_database
from pipeline.store.blocks import LONGEST_WINDOW, block_requests, ledger_block
from pipeline.store.database import (
    DatabaseError,
    ForeignDatabase,
    access_remedy,
    beside,
    connect,
    database_files,
    is_folder,
    leave_wal,
)
from pipeline.store.foreign_log import foreign_log
from pipeline.store.ledger_transfer import KeptLedger, add_ledger, read_ledger
from pipeline.store.marker import LastRun, Marker, read_marker, write_marker
from pipeline.store.migrate import OnProgress, migrate, no_progress
from pipeline.store.migration_files import shipped_migrations
from pipeline.store.move_aside import SUFFIXES, free_name, is_name_aside, move_aside
from pipeline.store.older_copy import is_behind, restored_run
from pipeline.store.schema import Schema, check_schema, read_schema

LEDGER_UNKNOWN = "what was requested since the backup is not known, and may have used up the plan"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restored database holds."""

    replaced: Path | None
    """Where the database that was there is now, or its log, if its file was missing. None if there was neither."""
    snapshots: int
    symbols: int
    runs: int
    newest_snapshot: str | None
    carried: int
    """How many requests the ledger of the replaced database had that the backup lacked."""
    blocked_until: str | None
    """When the next request may be sent, if not at once: because of `blocked_reason`."""
    blocked_reason: str | None


def restore(
    file: Path,
    database: Path,
    *,
    longest_window: timedelta,
    is_idle: bool,
    now: datetime,
    on_progress: OnProgress = no_progress,
) -> Restored:
    """Put a checked copy of a backup in the database's place.

    The replaced database's requests of the last day are carried over. If they are not known, requests are blocked for
    the plan's longest window, unless none was sent since the backup was made (`is_idle`). `on_progress` is called as
    `migrate` calls it. The caller holds the locks of the database. Raise DatabaseError if the file is no backup that
    this program can read, or is damaged, or if a file cannot be written: then the database is unchanged, or the next
    restore completes this one.
    """
    if database.is_dir() and read_marker(database) is None:
        raise is_folder(database)  # named by mistake: all that is in it would be moved aside
    was_behind = is_behind(database)
    interrupted = _interrupted(database)
    old = interrupted or (database if is_present(database) else None)
    _check_backup(file, database)
    with _file_beside(database) as partial:
        copy_database(file, partial)
        if (verdict := checked(partial, "integrity_check")) != "ok":
            raise DatabaseError(f"{file} is damaged: {verdict}", remedy="restore an earlier backup")
        migrate(partial, now=now, may_begin=False, on_progress=on_progress)
        ledger, is_known = _read_old(old, now=now, longest=LONGEST_WINDOW)
        with connect(partial, "rw") as db:
            own = read_ledger(db, now=now, longest=timedelta())
            carried = 0
            if ledger is not None:
                is_known = is_known and ledger.record == own.record and not was_behind
                carried = add_ledger(db, _without_guess(ledger) if is_idle else ledger)
            if is_known:
                db.execute("DELETE FROM in_flight")  # of a run during which the backup was made: its slots are known
            if not (is_known or is_idle):
                block_requests(db, ledger_block(LEDGER_UNKNOWN, longest_window, now=now))
            restored, last_run = _summary(db, carried, has_windows=bool(longest_window)), restored_run(db)
            leave_wal(db)  # one file again, which is renamed as one
        sync_file(partial)
        replaced = _put_in_place(partial, database, interrupted, last_run, now=now)
    _give_to_owner_of_folder(database)
    return replace(restored, replaced=replaced)


def _interrupted(database: Path) -> Path | None:
    """Return where an interrupted restore was moving the database to, after moving the rest; None if none was."""
    marker = read_marker(database)
    if marker is None or marker.set_aside is None or is_present(database):
        return None
    name = Path(marker.set_aside).name
    moved = _move_aside(database, name) if is_name_aside(database, name) else None
    return moved if moved is not None and moved.name == name else None  # not of a log alone


def _check_backup(file: Path, database: Path) -> None:
    """Raise DatabaseError unless the file is our database, of this schema or an older one, and not the target."""
    if not is_present(file):
        raise DatabaseError(f"{file} does not exist", remedy="name a file that pipeline backup made")
    if is_present(database) and file.samefile(database):
        raise DatabaseError(f"{file} is the database itself", remedy="name a backup of it")
    with connect(file, "ro") as db:
        if read_schema(db, file, shipped_migrations()) == Schema(0):
            raise DatabaseError(f"{file} is empty", remedy="name a file that pipeline backup made")


def _read_old(old: Path | None, *, now: datetime, longest: timedelta) -> tuple[KeptLedger | None, bool]:
    """Return the ledger of the database to be replaced, None if it cannot be read; and whether it is all there.

    Raise ForeignDatabase for a file of another program: that is no database to be replaced.
    """
    if old is None or foreign_log(old, wal=beside(old, "-wal"), journal=beside(old, "-journal")):
        return None, False
    try:
        with connect(old, "ro") as db:
            if check_schema(db, old, shipped_migrations()) == 0:
                return None, False
            verdict = db.execute("PRAGMA quick_check(1)").fetchone()
            return read_ledger(db, now=now, longest=longest), verdict == ("ok",)
    except ForeignDatabase:
        raise
    except DatabaseError:
        return None, False


def _without_guess(ledger: KeptLedger) -> KeptLedger:
    """Return the ledger without blocks that only stood for requests that were not known."""
    return replace(ledger, blocks=[(key, block) for key, block in ledger.blocks if block.reason is None])


@contextmanager
def _file_beside(database: Path) -> Iterator[Path]:
    """Yield an empty private file beside the database; remove it, and what SQLite left beside it, after the block."""
    partial = beside(database, ".restoring")
    try:
        _remove(partial)
        with new_file(partial):
            pass
    except OSError as error:
        raise DatabaseError(f"{partial} cannot be created: {file_reason(error)}", remedy=access_remedy(error)) from None
    try:
        yield partial
    except OSError as error:
        raise DatabaseError(f"{partial} cannot be written: {file_reason(error)}", remedy="restore again") from None
    finally:
        _remove(partial)


def _remove(partial: Path) -> None:
    for suffix in SUFFIXES:
        partial.with_name(f"{partial.name}{suffix}").unlink(missing_ok=True)


def _summary(db: sqlite3.Connection, carried: int, *, has_windows: bool) -> Restored:
    snapshots, symbols = db.execute(
        "SELECT coalesce(sum(snapshots), 0), count(*) FROM symbols WHERE snapshots > 0"
    ).fetchone()
    (runs,) = db.execute("SELECT count(*) FROM runs WHERE status <> 'missed'").fetchone()
    (newest,) = db.execute("SELECT max(observed_at) FROM snapshots").fetchone()
    blocked = "SELECT until, reason FROM blocked WHERE ? OR reason IS NULL ORDER BY until DESC"
    until, reason = db.execute(blocked, (has_windows,)).fetchone() or (None, None)
    return Restored(None, snapshots, symbols, runs, newest, carried, until, reason)


def _put_in_place(
    partial: Path, database: Path, interrupted: Path | None, last_run: LastRun, *, now: datetime
) -> Path | None:
    """Move what is left of the database aside, and rename the copy to it. Return where the old file is."""
    marker = read_marker(database) or Marker(began_at=now)
    name = free_name(database, now) if interrupted is None else interrupted.name
    write_marker(database, msgspec.structs.replace(marker, set_aside=name, last_run=None))
    replaced = _move_aside(database, name)
    try:
        partial.rename(beside(database, ""))
        sync_folder(partial.parent)
    except OSError as error:
        raise DatabaseError(f"{database} cannot be written: {file_reason(error)}", remedy="restore again") from None
    write_marker(database, Marker(began_at=marker.began_at or now, last_run=last_run))
    return replaced


def _give_to_owner_of_folder(database: Path) -> None:
    """Where root restores, let the user whose folder it is open the files."""
    if os.geteuid() == 0:
        for file in filter(is_present, database_files(database)):
            owner = file.parent.stat()
            os.chown(file, owner.st_uid, owner.st_gid, follow_symlinks=False)  # that user could plant a link


def _move_aside(database: Path, name: str) -> Path | None:
    try:
        return move_aside(database, name)
    except OSError as error:
        raise DatabaseError(f"{database} cannot be moved aside: {file_reason(error)}") from None
