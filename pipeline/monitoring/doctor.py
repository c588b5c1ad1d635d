"""Doctor: checks Python, SQLite, settings, key, disk, clock, file modes and database, each finding with its remedy."""

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
from pipeline.monitoring.checks import Kind, unusable_database
from pipeline.settings.environment import Environment, is_setting
from pipeline.settings.errors import SettingsError
from pipeline.settings.load import Settings
from pipeline.settings.secrets import FREE_KEY, api_key, key_variable, notify_urls, ping_url
from pipeline.store.database import OLDEST_SQLITE, SAFE_SQLITE, DatabaseError, connect
from pipeline.store.lock import lock_path
from pipeline.store.migrate import check_schema, shipped_migrations
from pipeline.text import count

OLDEST_PYTHON = (3, 11)
LITTLE_DISK, NO_DISK = 1_000_000_000, 100_000_000
"""Free bytes."""
_CONFIGURED = frozenset({Kind.ENV_FILE, Kind.CONFIGURATION, Kind.KEY, Kind.NOTIFICATIONS})
"""Problems of these kinds exit with 3, the others with 1."""


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    check: Kind
    level: Level
    found: str
    remedy: str | None = None


def findings(
    settings: Settings | SettingsError, variables: Environment, *, now: datetime, thorough: bool
) -> Iterator[Finding]:
    """Yield what was found, one by one. `thorough` reads the whole database, which takes long if it is large."""
    yield _python()
    yield _sqlite()
    yield from _environment(variables)
    if isinstance(settings, SettingsError):
        remedy = settings.remedy or "fix it; pipeline config shows what is read"
        yield Finding(Kind.CONFIGURATION, Level.PROBLEM, settings.problem, remedy)
        return
    yield Finding(Kind.CONFIGURATION, Level.OK, str(settings.config or "none: defaults"))
    yield _symbols(settings)
    yield _key(variables)
    yield from _notifications(variables)
    yield _disk(settings.database)
    yield _clock(now)
    yield from _modes([settings.database, lock_path(settings.database), Path(".env")])
    yield from _database(settings.database, now=now, thorough=thorough)


def exit_code(found: Iterable[Finding]) -> int:
    """Return 0 if there is no problem, else the exit code of the first one."""
    first = next((one for one in found if one.level is Level.PROBLEM), None)
    if first is None:
        return ExitCode.DONE
    return ExitCode.REFUSED if first.check in _CONFIGURED else ExitCode.FAILED


def _python() -> Finding:
    found = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info < OLDEST_PYTHON:
        return Finding(Kind.PYTHON, Level.PROBLEM, found, "install 3.11 or newer")
    return Finding(Kind.PYTHON, Level.OK, found)


def _sqlite() -> Finding:
    found = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        return Finding(Kind.SQLITE, Level.PROBLEM, found, f"use a Python that is built with {oldest} or newer")
    if sqlite3.sqlite_version_info < SAFE_SQLITE:
        return Finding(
            Kind.SQLITE,
            Level.NOTE,
            f"{found}: before 3.51.3, two programs that write at the same time can damage a WAL file",
            "nothing to do as long as only this program writes: it takes a lock",
        )
    return Finding(Kind.SQLITE, Level.OK, found)


def _environment(variables: Environment) -> Iterator[Finding]:
    for problem in variables.problems:
        yield Finding(Kind.ENV_FILE, Level.PROBLEM, problem.problem, problem.remedy)
    for name in sorted(variables.variables):
        if name.startswith("PIPELINE_") and "__" in name and not is_setting(name):
            yield Finding(Kind.ENVIRONMENT, Level.NOTE, f"{name} sets nothing", "pipeline config lists the keys")


def _symbols(settings: Settings) -> Finding:
    if not settings.all_symbols:
        remedy = "list some in the configuration, or name them: pipeline collect AAPL"
        return Finding(Kind.SYMBOLS, Level.NOTE, "none configured", remedy)
    return Finding(Kind.SYMBOLS, Level.OK, f"{len(settings.all_symbols):,}")


def _key(variables: Environment) -> Finding:
    try:
        key = api_key(variables)
    except SettingsError as error:
        remedy = error.remedy if key_variable(variables) else f"{error.remedy} ({FREE_KEY})"
        return Finding(Kind.KEY, Level.PROBLEM, error.problem, remedy)
    return Finding(Kind.KEY, Level.OK, f"set, {len(key)} characters")


def _notifications(variables: Environment) -> Iterator[Finding]:
    """Yield where problems are sent to, if anywhere, and whether they can be sent."""
    try:
        urls, ping = notify_urls(variables), ping_url(variables)
    except SettingsError as error:
        remedy = error.remedy or "fix it, or remove the variable"
        yield Finding(Kind.NOTIFICATIONS, Level.PROBLEM, error.problem, remedy)
        return
    if urls and find_spec("apprise") is None:
        remedy = "pip install 'overview-pipeline[notify]'"
        yield Finding(Kind.NOTIFICATIONS, Level.PROBLEM, "PIPELINE_NOTIFY_URLS needs apprise", remedy)
    elif urls or ping:
        yield Finding(
            Kind.NOTIFICATIONS, Level.OK, f"{count(len(urls), 'address', 'addresses')}, {'a' if ping else 'no'} ping"
        )


def _disk(database: Path) -> Finding:
    folder = next(parent for parent in database.absolute().parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:,.1f} GB free for {folder}"
    if free < NO_DISK:
        return Finding(Kind.DISK, Level.PROBLEM, found, "free some space: nothing can be stored")
    if free < LITTLE_DISK:
        return Finding(Kind.DISK, Level.NOTE, found, "free some space soon")
    return Finding(Kind.DISK, Level.OK, found)


def _clock(now: datetime) -> Finding:
    found = f"{instants.for_people(now)} UTC"
    if now < instants.EARLIEST_PLAUSIBLE:
        return Finding(Kind.CLOCK, Level.PROBLEM, found, "set it: snapshots are stored under its time")
    return Finding(Kind.CLOCK, Level.OK, found)


def _modes(files: Iterable[Path]) -> Iterator[Finding]:
    for file in files:
        if file.is_file() and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            mode = stat.filemode(file.stat().st_mode)
            yield Finding(Kind.MODES, Level.NOTE, f"{file} is {mode}: other users can access it", f"chmod 600 {file}")


def _database(path: Path, *, now: datetime, thorough: bool) -> Iterator[Finding]:
    if path.is_dir():
        yield Finding(Kind.DATABASE, Level.PROBLEM, f"{path} is a folder", "name a file in it")
        return
    if not path.exists():
        yield Finding(Kind.DATABASE, Level.NOTE, f"{path} does not exist yet", "pipeline collect creates it")
        return
    try:
        with connect(path, "ro") as db:
            version = check_schema(db, path, shipped_migrations())
            yield _migrations(path, version)
            if version:
                yield _integrity(db, thorough=thorough)
                yield _future(db, now)
    except DatabaseError as error:
        problem = unusable_database(error)
        yield Finding(problem.kind, Level.PROBLEM, problem.text, problem.remedy or "name another file")


def _migrations(path: Path, version: int) -> Finding:
    known = len(shipped_migrations())
    found = f"{path}, schema {version} of {known}, {count(path.stat().st_size, 'byte')}"
    if version < known:
        return Finding(Kind.DATABASE, Level.NOTE, found, "the next pipeline collect migrates it")
    return Finding(Kind.DATABASE, Level.OK, found)


def _integrity(db: sqlite3.Connection, *, thorough: bool) -> Finding:
    name = "integrity_check" if thorough else "quick_check"
    rows = [row[0] for row in db.execute(f"PRAGMA {name}")]
    if rows == ["ok"]:
        return Finding(Kind.INTEGRITY, Level.OK, f"{name}: ok")
    remedy = "restore a backup, or try sqlite3's .recover"
    return Finding(Kind.INTEGRITY, Level.PROBLEM, f"{name}: {rows[0]}", remedy)


def _future(db: sqlite3.Connection, now: datetime) -> Finding:
    (latest,) = db.execute("SELECT max(last_look) FROM symbols").fetchone()
    if latest is not None and instants.from_text(latest) > now + timedelta(minutes=1):
        found = f"the last observation is at {latest}, in the future"
        return Finding(Kind.OBSERVATIONS, Level.PROBLEM, found, "set the clock, and keep it set")
    return Finding(Kind.OBSERVATIONS, Level.OK, f"the last one at {latest}" if latest else "none yet")
