"""Install: makes the fleet's schema and Procrastinate's in a PostgreSQL database, or brings them up to date.

The tables are `schema/tables.sql`; what a later version changes in them is a numbered file in `schema/steps/`. The
functions are made again where their scripts have changed. Procrastinate keeps no version of its own: `fleet.about` has
its last migration.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg.rows import TupleRow

from pipeline.extras import installs
from pipeline.fleet.connection import FleetRefused, NoFleet, connected
from pipeline.fleet.pool import Pool, fetch

_FOLDER = Path(__file__).parent / "schema"
_FUNCTIONS = ("slots.sql", "log.sql", "runs.sql", "import.sql")
_OLDEST_SERVER = 140_000
"""As PostgreSQL numbers its versions. 13 cannot name a column's compression, and is not maintained any more."""
_LOCK = 0x666C6565
"""The advisory lock that an installation holds: "flee" in ASCII."""

Connection = psycopg.Connection[TupleRow]


@dataclass(frozen=True, slots=True)
class Installed:
    """What an installation did: the schema's version before (0: there was none) and after."""

    before: int
    after: int


def newest_version(folder: Path = _FOLDER) -> int:
    """Return the version of the schema that this program makes."""
    return max((number for number, _ in _steps(folder, after=0)), default=1)


def install(db: Connection, *, folder: Path = _FOLDER) -> Installed:
    """Make the schemas, or bring them up to date: all of it or nothing. Where they are up to date, do nothing.

    Two that install at once do it one after the other. Raise FleetRefused for a PostgreSQL that is too old, a schema
    that is newer than this program's, and Procrastinate's tables that it cannot use; psycopg.Error.
    """
    _check_server(db.info.server_version)
    with db.transaction():
        db.execute("SET LOCAL search_path = public")
        db.execute("SET LOCAL statement_timeout = 0")
        db.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        before, after = version(db), newest_version(folder)
        _refuse_newer(before, after)
        if before == 0:
            _run(db, folder / "tables.sql")
            db.execute("INSERT INTO fleet.about (version) VALUES (0)")
        for number, step in _steps(folder, after=before or 1):
            if number <= after:
                _run(db, step)
        if before != after:
            db.execute("UPDATE fleet.about SET version = %s", [after])
        _make_functions(db, folder)
        if before == 0:
            db.execute("SELECT fleet.lock_head()")
        _install_procrastinate(db)
    return Installed(before, after)


def check(db: Connection) -> None:
    """Raise NoFleet if the database has no fleet's schema, FleetRefused if it, or PostgreSQL, is of another version."""
    _check_server(db.info.server_version)
    _check_schema(version(db))


async def check_pool(pool: Pool) -> None:
    """Raise as `check`, and FleetError if PostgreSQL cannot be asked."""
    ((server, found),) = await fetch(
        pool, "SELECT current_setting('server_version_num')::int, to_regclass('fleet.about') IS NOT NULL"
    )
    _check_server(server)
    rows = await fetch(pool, "SELECT version FROM fleet.about") if found else []
    _check_schema(rows[0][0] if rows else 0)


def _check_schema(found: int) -> None:
    needed = newest_version()
    if found == 0:
        raise NoFleet("the database has no fleet's schema", remedy="make it with pipeline fleet init")
    _refuse_newer(found, needed)
    if found < needed:
        raise FleetRefused(
            f"the fleet's schema is version {found}, and this program needs {needed}",
            remedy="bring it up to date with pipeline fleet init, once the other machines have this version",
        )


@contextmanager
def open_fleet(url: str) -> Iterator[Connection]:
    """Yield a connection to the fleet at a URL. Raise FleetError if PostgreSQL cannot be reached, and as `check`."""
    with connected(url) as db:
        check(db)
        yield db


def check_fleet(url: str) -> None:
    """Raise as `open_fleet` does."""
    with open_fleet(url):
        pass


def version(db: Connection) -> int:
    """Return the version of the fleet's schema in a database, 0 where there is none."""
    if db.execute("SELECT to_regclass('fleet.about')").fetchone() == (None,):
        return 0
    row = db.execute("SELECT version FROM fleet.about").fetchone()
    return 0 if row is None else int(row[0])


def _check_server(number: int) -> None:
    if number < _OLDEST_SERVER:
        major = number // 10_000
        raise FleetRefused(f"PostgreSQL {major} is too old for a fleet", remedy="use PostgreSQL 14 or newer")


def _refuse_newer(found: int, known: int) -> None:
    if found > known:
        raise FleetRefused(
            f"the fleet's schema is version {found}, and this program knows {known}", remedy="update this machine"
        )


def _steps(folder: Path, *, after: int) -> Iterator[tuple[int, Path]]:
    """Yield the numbered changes of the tables after a version, in order: `steps/0002_what.sql` makes version 2."""
    for path in sorted((folder / "steps").glob("[0-9][0-9][0-9][0-9]_*.sql")):
        if (number := int(path.name[:4])) > after:
            yield number, path


def _run(db: Connection, script: Path) -> None:
    db.execute(script.read_bytes())


def _make_functions(db: Connection, folder: Path) -> None:
    """Drop all functions of the fleet's schema, and make this program's, unless they are there already."""
    scripts = b"".join((folder / file).read_bytes() for file in _FUNCTIONS)
    digest = blake2b(scripts, digest_size=16).hexdigest()
    if db.execute("SELECT functions FROM fleet.about").fetchone() == (digest,):
        return
    names = db.execute(
        "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
        " WHERE n.nspname = 'fleet'"
    ).fetchall()
    for (name,) in names:
        db.execute(f"DROP FUNCTION {name} CASCADE".encode())
    db.execute(scripts)
    db.execute("UPDATE fleet.about SET functions = %s", [digest])


def _install_procrastinate(db: Connection) -> None:
    """Make Procrastinate's tables and functions, or apply its migrations since the last time.

    Tables that another program's Procrastinate made are used as they are, if they have all that this one needs.
    """
    migrations = _procrastinate_migrations()
    newest = migrations[-1].name
    row = db.execute("SELECT procrastinate FROM fleet.about").fetchone()
    applied: str | None = None if row is None else row[0]
    if applied is not None:
        for migration in migrations:
            if migration.name > applied:
                _run(db, migration)
        newest = max(applied, newest)
    elif db.execute("SELECT to_regclass('public.procrastinate_jobs')").fetchone() == (None,):
        _run(db, _procrastinate_schema())
    else:
        _check_procrastinate(db)
    if applied != newest:
        db.execute("UPDATE fleet.about SET procrastinate = %s", [newest])


def _check_procrastinate(db: Connection) -> None:
    needed = set(re.findall(r"CREATE FUNCTION (\w+)", _procrastinate_schema().read_text(encoding="utf-8")))
    found = {name for (name,) in db.execute("SELECT proname FROM pg_proc WHERE proname LIKE 'procrastinate%'")}
    if missing := needed - found:
        raise FleetRefused(
            f"the database has the tables of an older Procrastinate: {min(missing)} is missing",
            remedy="apply its migrations, or give the fleet a database of its own",
        )


def _procrastinate_schema() -> Path:
    return _procrastinate_sql() / "schema.sql"


def _procrastinate_migrations() -> list[Path]:
    return sorted((_procrastinate_sql() / "migrations").glob("*.sql"))


def _procrastinate_sql() -> Path:
    """Return the folder of Procrastinate's scripts. Importing it takes 0.2 s, and they are all that is needed."""
    found = find_spec("procrastinate")
    if found is None or found.origin is None:
        raise FleetRefused("a fleet needs procrastinate", remedy=installs("fleet"))
    return Path(found.origin).parent / "sql"
