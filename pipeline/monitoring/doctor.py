"""The doctor: what is wrong, or will be, with machine, file and configuration; each finding with its remedy."""

import platform
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from pipeline import instants
from pipeline.errors import ExitCode
from pipeline.settings.environment import Environment, is_setting
from pipeline.settings.errors import SettingsError
from pipeline.settings.load import Settings
from pipeline.settings.secrets import api_key, notify_urls, ping_url
from pipeline.store.database import OLDEST_SQLITE, SAFE_SQLITE, DatabaseError, connect
from pipeline.store.lock import lock_path
from pipeline.store.migrate import check_schema, shipped_migrations

OLDEST_PYTHON = (3, 11)
LITTLE_DISK, NO_DISK = 1_000_000_000, 100_000_000


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: what was found, and what to do about it."""

    check: str
    level: Level
    found: str
    remedy: str | None = None
    exit_code: int = ExitCode.FAILED
    """What the command ends with, if this is a problem."""


def findings(
    settings: Settings | SettingsError, variables: Environment, *, now: datetime, thorough: bool
) -> Iterator[Finding]:
    """Yield what was found, one by one. `thorough` reads the whole database, which takes a while for a large one."""
    yield _python()
    yield _sqlite()
    yield from _environment(variables)
    if isinstance(settings, SettingsError):
        yield _refused("configuration", str(settings), "mend it; pipeline config shows what is read")
        return
    yield Finding("configuration", Level.OK, str(settings.config or "none: defaults"))
    yield _symbols(settings)
    yield _key(variables)
    yield from _told(variables)
    yield _disk(settings.database)
    yield _clock(now)
    yield from _modes([settings.database, lock_path(settings.database), Path(".env")])
    yield from _database(settings.database, now=now, thorough=thorough)


def exit_code(found: Iterable[Finding]) -> int:
    """Return 0 if there is no problem, else the first one's exit code."""
    return next((one.exit_code for one in found if one.level is Level.PROBLEM), ExitCode.DONE)


def _refused(name: str, found: str, remedy: str) -> Finding:
    return Finding(name, Level.PROBLEM, found, remedy, ExitCode.REFUSED)


def _python() -> Finding:
    found = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info < OLDEST_PYTHON:
        return Finding("python", Level.PROBLEM, found, "install 3.11 or newer")
    return Finding("python", Level.OK, found)


def _sqlite() -> Finding:
    found = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        return Finding("sqlite", Level.PROBLEM, found, f"use a Python that is built with {wanted} or newer")
    if sqlite3.sqlite_version_info < SAFE_SQLITE:
        return Finding(
            "sqlite",
            Level.NOTE,
            f"{found}: before 3.51.3 two programs that write at the same time can damage a WAL file",
            "nothing, as long as only this program writes: it takes a lock",
        )
    return Finding("sqlite", Level.OK, found)


def _environment(variables: Environment) -> Iterator[Finding]:
    for problem in variables.problems:
        yield Finding(".env", Level.PROBLEM, problem, "mend the file", ExitCode.REFUSED)
    for name in sorted(variables.variables):
        if name.startswith("PIPELINE_") and "__" in name and not is_setting(name):
            yield Finding("environment", Level.NOTE, f"{name} sets nothing", "pipeline config lists the keys")


def _symbols(settings: Settings) -> Finding:
    if not settings.all_symbols:
        return Finding("symbols", Level.NOTE, "none are configured", "list some, or name them: pipeline collect AAPL")
    return Finding("symbols", Level.OK, f"{len(settings.all_symbols):,}")


def _key(variables: Environment) -> Finding:
    try:
        key = api_key(variables)
    except SettingsError as error:
        return _refused(
            "key",
            str(error).partition("; ")[0],
            "a free one is at alphavantage.co/support/#api-key; pipeline collect --sandbox needs none",
        )
    return Finding("key", Level.OK, f"set, {len(key)} characters")


def _told(variables: Environment) -> Iterator[Finding]:
    """Yield who is told of trouble, if anybody is to be, and whether that can be done."""
    try:
        urls, ping = notify_urls(variables), ping_url(variables)
    except SettingsError as error:
        yield _refused("notifications", str(error), "mend it, or take it out")
        return
    if urls and find_spec("apprise") is None:
        yield _refused("notifications", "PIPELINE_NOTIFY_URLS needs apprise", "pip install apprise")
    elif urls or ping:
        yield Finding("notifications", Level.OK, f"{len(urls)} addresses, {'a' if ping else 'no'} ping")


def _disk(database: Path) -> Finding:
    folder = next(parent for parent in database.absolute().parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:,.1f} GB free for {folder}"
    if free < NO_DISK:
        return Finding("disk", Level.PROBLEM, found, "free some space: nothing could be stored")
    if free < LITTLE_DISK:
        return Finding("disk", Level.NOTE, found, "free some space soon")
    return Finding("disk", Level.OK, found)


def _clock(now: datetime) -> Finding:
    found = f"{instants.for_people(now)} UTC"
    if now < instants.EARLIEST_PLAUSIBLE:
        return Finding("clock", Level.PROBLEM, found, "set it: snapshots are kept under the instant it tells")
    return Finding("clock", Level.OK, found)


def _modes(files: Iterable[Path]) -> Iterator[Finding]:
    for file in files:
        if file.is_file() and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            mode = stat.filemode(file.stat().st_mode)
            yield Finding("modes", Level.NOTE, f"{file} is {mode}: others can reach it", f"chmod 600 {file}")


def _database(path: Path, *, now: datetime, thorough: bool) -> Iterator[Finding]:
    if path.is_dir():
        yield Finding("database", Level.PROBLEM, f"{path} is a folder", "name a file in it")
        return
    if not path.exists():
        yield Finding("database", Level.NOTE, f"{path} is not there yet", "pipeline collect makes it")
        return
    try:
        with connect(path, "ro") as db:
            version = check_schema(db, path, shipped_migrations())
            yield _migrations(path, version)
            if version:
                yield _soundness(db, thorough=thorough)
                yield _future(db, now)
    except DatabaseError as error:
        yield Finding("database", Level.PROBLEM, error.problem, error.remedy or "name another file")


def _migrations(path: Path, version: int) -> Finding:
    known = len(shipped_migrations())
    found = f"{path}, schema {version} of {known}, {path.stat().st_size:,} bytes"
    if version < known:
        return Finding("database", Level.NOTE, found, "the next pipeline collect brings it up to date")
    return Finding("database", Level.OK, found)


def _soundness(db: sqlite3.Connection, *, thorough: bool) -> Finding:
    name = "integrity_check" if thorough else "quick_check"
    rows = [row[0] for row in db.execute(f"PRAGMA {name}")]
    if rows == ["ok"]:
        return Finding("integrity", Level.OK, f"{name}: ok")
    return Finding("integrity", Level.PROBLEM, f"{name}: {rows[0]}", "restore a backup, or try sqlite3's .recover")


def _future(db: sqlite3.Connection, now: datetime) -> Finding:
    (latest,) = db.execute("SELECT max(last_look) FROM symbols").fetchone()
    if latest is not None and instants.from_text(latest) > now + timedelta(minutes=1):
        return Finding(
            "looks", Level.PROBLEM, f"the last look is at {latest}, which is to come", "set the clock, and keep it set"
        )
    return Finding("looks", Level.OK, f"the last at {latest}" if latest else "none yet")
