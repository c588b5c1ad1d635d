"""Checks of the database: its schema, its integrity, and when it was last written to."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from pipeline import instants
from pipeline.api.server_time import credible_until
from pipeline.doctor.dates import check_dates, check_last
from pipeline.doctor.deep import OnDeep, check_deeply
from pipeline.doctor.findings import Finding, Level
from pipeline.doctor.renames import check_renames
from pipeline.model.renames import Rename
from pipeline.model.symbols import Symbol
from pipeline.monitoring.checks import Kind, backup_ahead, old_backup, unusable_database
from pipeline.store.database import DatabaseError, command_to_collect, connect, is_damage, is_folder
from pipeline.store.marker import read_marker, record_gone
from pipeline.store.migration_files import shipped_migrations
from pipeline.store.noted_backups import read_noted_backups
from pipeline.store.older_copy import LEDGER_BEHIND, is_behind
from pipeline.store.schema import check_schema
from pipeline.store.stored_symbols import is_first_company_invented
from pipeline.store.time_limit import bounded
from pipeline.text import count, cut, few

_MOST_ERRORS, _ERRORS_SHOWN, _LONGEST_ERROR = 1_000, 3, 100
_RESTORE = "restore a backup (pipeline restore), or try sqlite3's .recover"


def check_database(
    path: Path,
    *,
    now: datetime,
    thorough: bool,
    backup_after: timedelta,
    renames: Iterable[Rename],
    symbols: Iterable[Symbol],
    on_deep: OnDeep | None = None,
) -> Iterator[Finding]:
    """Yield what is wrong with the database. `thorough` reads all of it, which takes long if it is large.

    `on_deep`: compare all of it with digests and checksums, too, and call this with how far that has come.

    Where backups are made, the last one should not be older than `backup_after`. `renames` are those configured, and
    `symbols` those that are requested.
    """
    if path.is_dir():
        folder = is_folder(path)
        yield Finding(Kind.DATABASE, Level.PROBLEM, folder.problem, folder.remedy)
        return
    was_begun = read_marker(path) is not None  # before all else: where a record is just begun, its marker comes last
    is_there = path.exists()
    if not (is_there or was_begun):
        yield _missing(path, is_deep=on_deep is not None)
        return
    try:
        if not is_there:
            raise record_gone(path)
        with connect(path, "ro") as db:
            version = check_schema(db, path, shipped_migrations())
            if not version and was_begun:
                raise record_gone(path)
            yield _migrations(path, version)
            if is_behind(path):
                yield Finding(Kind.DATABASE, Level.NOTE, f"{path}: {LEDGER_BEHIND}", _BEHIND)
            if version:
                yield _integrity(db, thorough=thorough)
                if on_deep is not None:
                    yield from _deeply(path, version, on_deep)
                is_newest = version == len(shipped_migrations())
                yield from check_dates(db, now) if is_newest else [check_last(db, now)]
            if version == len(shipped_migrations()):
                with bounded(db, path):
                    yield _backups(db, backup_after, now)
                    yield from _invented(db)
                    yield from check_renames(db, renames, symbols)
    except DatabaseError as error:
        problem = unusable_database(error)
        kind = Kind.INTEGRITY if is_damage(error.__cause__) else problem.kind
        yield Finding(kind, Level.PROBLEM, problem.text, problem.remedy or "name another file")


_BEHIND = "the next run requests nothing until the longest window has passed; put backups back with pipeline restore"


def _missing(path: Path, *, is_deep: bool) -> Finding:
    """Return that there is no database: a problem for the deep check, which was asked to compare one."""
    if is_deep:
        return Finding(Kind.DATABASE, Level.PROBLEM, f"{path} does not exist", "name the file to compare: --database")
    return Finding(Kind.DATABASE, Level.NOTE, f"{path} does not exist yet", f"{command_to_collect(path)} creates it")


def _migrations(path: Path, version: int) -> Finding:
    known = len(shipped_migrations())
    found = f"{path}, schema {version} of {known}, {count(path.stat().st_size, 'byte')}"
    if version < known:
        return Finding(
            Kind.DATABASE, Level.NOTE, found, "pipeline migrate brings it up to date, as the next pipeline collect does"
        )
    return Finding(Kind.DATABASE, Level.OK, found)


def _integrity(db: sqlite3.Connection, *, thorough: bool) -> Finding:
    name = "integrity_check" if thorough else "quick_check"
    try:
        errors = _errors(db, name)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        errors = [str(error)]
        if thorough:  # it has stopped at the first damaged page that it cannot read
            with suppress(sqlite3.DatabaseError):
                name = "quick_check"
                errors = _errors(db, name) or errors
    if not errors:
        return Finding(Kind.INTEGRITY, Level.OK, f"{name}: ok")
    more = " or more" if len(errors) >= _MOST_ERRORS else ""
    shown = few([cut(error, _LONGEST_ERROR) for error in errors], _ERRORS_SHOWN)
    return Finding(Kind.INTEGRITY, Level.PROBLEM, f"{name}: {count(len(errors), 'error')}{more}: {shown}", _RESTORE)


def _deeply(path: Path, version: int, on_deep: OnDeep) -> Iterator[Finding]:
    if version < len(shipped_migrations()):
        found = "deep: not compared: the database has an older schema"
        yield Finding(Kind.INTEGRITY, Level.NOTE, found, "pipeline migrate, then pipeline doctor --deep")
    else:
        yield from check_deeply(path, on_deep)


def _errors(db: sqlite3.Connection, check: str) -> list[str]:
    """Return what SQLite finds wrong. It puts many errors into one row, under a headline."""
    usual, db.text_factory = db.text_factory, _readable  # it repeats what may be no text
    try:
        rows = [row for (row,) in db.execute(f"PRAGMA {check}({_MOST_ERRORS})") if row != "ok"]
    finally:
        db.text_factory = usual
    return [line for row in rows for line in row.splitlines() if not line.startswith("*** in database")]


def _readable(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _backups(db: sqlite3.Connection, backup_after: timedelta, now: datetime) -> Finding:
    noted = read_noted_backups(db, until=credible_until(now))
    problem = old_backup(noted, backup_after, now=now)
    if problem is not None:
        return Finding(Kind.BACKUP, Level.PROBLEM, problem.text, problem.remedy)
    if noted.last is None:
        return Finding(Kind.BACKUP, Level.NOTE, "none was made yet", "pipeline backup FILE")
    found = f"{noted.file}, at {instants.for_people(noted.last)} UTC"
    if noted.ahead is None:
        return Finding(Kind.BACKUP, Level.OK, found)
    return Finding(Kind.BACKUP, Level.NOTE, f"{found}, besides {backup_ahead(noted.ahead)}", "it does not count")


def _invented(db: sqlite3.Connection) -> Iterator[Finding]:
    if is_first_company_invented(db):
        text = "its companies are invented by the sandbox: nothing real is collected into it"
        yield Finding(Kind.DATABASE, Level.NOTE, text, "for real data, configure another database")
