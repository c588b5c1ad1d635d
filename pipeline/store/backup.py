"""Backups: copies the whole database into one file by SQLite's own means, checks the copy, and keeps the last few."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, count
from pathlib import Path

from pipeline import instants
from pipeline.errors import file_reason
from pipeline.files import PRIVATE_FILE, is_present, path_text, sync_file, sync_folder
from pipeline.partials import abandoned, partial_file, remove_if_abandoned
from pipeline.store.database import (
    DatabaseError,
    access_remedy,
    beside,
    connect,
    database_files,
    leave_wal,
    translate_errors,
    uri,
)
from pipeline.store.migration_files import shipped_migrations
from pipeline.store.reader import open_any_version
from pipeline.store.schema import Schema, check_schema, connect_checked


class FileExists(DatabaseError):
    """A file has the name of the copy."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of the database: when it was made, where, and its size."""

    at: datetime
    file: Path
    size: int
    """In bytes."""


def backup(database: Path, file: Path, *, now: datetime) -> Backup:
    """Copy the database to a new file, and check the copy. Any version of the schema is copied as it is.

    Raise NoData if there is no database, and DatabaseError if the file exists already or is one that belongs beside the
    database, its folder does not exist, or either file fails: then no file is left, or one that a power cut may undo.
    """
    _check_target(file, database)
    with open_any_version(database):
        pass  # it exists, and is ours
    try:
        with partial_file(file, PRIVATE_FILE) as partial:
            copy_database(database, partial.path)
            if (verdict := checked(partial.path)) != "ok":
                raise DatabaseError(f"{database}: the copy is damaged: {verdict}", remedy="restore an earlier backup")
            sync_file(partial.path)
            size = partial.path.stat().st_size  # under its name, another command may remove it
            _check_target(file, database)  # copying took a while
            partial.path.replace(file)
        sync_folder(file.parent)
    except OSError as error:
        raise DatabaseError(f"{file} cannot be created: {file_reason(error)}", remedy=access_remedy(error)) from None
    return Backup(now, file, size)


def backup_into(database: Path, folder: Path, *, keep: int, now: datetime) -> tuple[Backup, list[Path]]:
    """Copy the database to a new dated file in a folder, then remove all but the newest `keep` of its copies there.

    Return the backup and the files removed. Nothing is removed before the new copy is checked, and no copy of another
    database, which may have the same name. The new one is the newest, whatever the names of others say. Raise as
    `backup` does.
    """
    if not folder.is_dir():
        raise DatabaseError(
            f"{folder} is no folder", remedy=f"create it (mkdir -p {folder}), or mount what belongs there"
        )
    made = _dated_backup(database, folder, now=now)
    dated = re.compile(re.escape(database.stem) + r"-[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{6}Z\.db(\.[0-9a-f]{8}\.partial)?")
    removed = []
    try:
        copies = sorted(path for path in folder.iterdir() if dated.fullmatch(path.name) and path.is_file())
        record = _began_at(made.file)
        whole = [path for path in copies if path.suffix == ".db" and _began_at(path) == record]
        whole.sort(key=lambda path: path == made.file)  # a clock that was ahead has dated others later
        for path in whole[:-keep]:
            path.unlink(missing_ok=True)  # another command may have removed it
            removed.append(path)
        removed += [path for path in copies if path.suffix == ".partial" and remove_if_abandoned(path)]
    except OSError as error:
        raise DatabaseError(
            f"{made.file} is complete, but {folder} cannot be cleared: {file_reason(error)}",
            remedy="remove old backups by hand",
        ) from None
    return made, removed


def _dated_backup(database: Path, folder: Path, *, now: datetime) -> Backup:
    """Copy the database to a file named by the next second that no copy has yet: so names keep the order."""
    for number in count():
        with suppress(FileExists):  # perhaps made meanwhile, by another command
            at = now + timedelta(seconds=number)
            return backup(database, folder / f"{database.stem}-{at:%Y-%m-%dT%H%M%SZ}.db", now=now)
    raise AssertionError


def backup_beside(database: Path, label: str, *, now: datetime) -> Backup:
    """Copy the database to a new file beside it: its name, the label, the time. Raise as `backup` does.

    It is made to undo one change, is on the same disk and is soon removed: do not note it as a backup.
    What killed commands left half-written under this label is removed first: the dates in the names differ, so the
    next copy does not replace it.
    """
    remove_half_written(database, label)
    stem = f"{database.stem}-{label}-{now:%Y-%m-%dT%H%M%SZ}"
    names = chain([f"{stem}.db"], (f"{stem}-{number}.db" for number in count(2)))
    free = next(place for name in names if not is_present(place := database.with_name(name)))
    return backup(database, free, now=now)


def remove_half_written(database: Path, label: str) -> None:
    """Remove the copies beside a database that killed commands left half-written, of a label that begins like this."""
    for path in abandoned(database.parent):
        if path.name.startswith(f"{database.stem}-{label}"):
            remove_if_abandoned(path)


def note_backup(database: Path, made: Backup) -> None:
    """Note in the database that a backup was made. Raise DatabaseError if it cannot be written to, or is older."""
    with connect(database, "rw") as db:
        migrations = shipped_migrations()
        if check_schema(db, database, migrations) < len(migrations):
            raise DatabaseError(f"{database} has an older schema", remedy="pipeline migrate")
        db.execute(
            "INSERT INTO backups (at, file, bytes) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (instants.to_text(made.at), path_text(made.file), made.size),
        )


def copy_database(database: Path, target: Path) -> None:
    """Copy the database into an empty file, as it is: whether that is whole, `checked` tells."""
    with connect(database, "ro") as source, _connected(target) as copy:
        source.backup(copy)  # in one step: a write in between would make it start over
        leave_wal(copy)  # a copy is moved around as one file


def checked(copy: Path, check: str = "quick_check") -> str:
    """Return what one of SQLite's checks says of a copy: `ok`, or the first problem that it finds."""
    with _connected(copy) as db:
        (verdict,) = db.execute(f"PRAGMA {check}(1)").fetchone()
    return str(verdict).splitlines()[-1]  # the line before may be a headline


@contextmanager
def _connected(copy: Path) -> Iterator[sqlite3.Connection]:
    with translate_errors(copy), closing(sqlite3.connect(uri(copy, "rw"), uri=True, isolation_level=None)) as db:
        yield db


def _check_target(file: Path, database: Path) -> None:
    """Raise DatabaseError unless the file can be made."""
    try:
        if file.is_dir():
            raise DatabaseError(f"{file} is a folder", remedy="name a file in it, or use --keep N")
        if not file.parent.is_dir():
            remedy = f"create it (mkdir -p {file.parent}), or mount what belongs there"
            raise DatabaseError(f"{file}: its folder does not exist", remedy=remedy)
        if is_present(file) or file.is_symlink():
            raise FileExists(f"{file} exists", remedy="choose another name, or move it away")
        if beside(file, "") in database_files(database):
            problem = f"{file} is a name that belongs to the database itself"
            raise DatabaseError(problem, remedy="choose another name")
    except OSError as error:
        raise DatabaseError(f"{file} cannot be created: {file_reason(error)}") from None


def _began_at(file: Path) -> str | None:
    """Return when the record in a file began, by which two records can be told apart; None if it cannot be read."""
    try:
        with connect_checked(file) as (db, schema):
            if schema == Schema(0):
                return None
            (began_at,) = db.execute("SELECT min(applied_at) FROM migrations").fetchone()
    except DatabaseError:
        return None
    return str(began_at)
