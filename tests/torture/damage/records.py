"""Records to damage: folders with a database of every kind, its configuration, and files for commands to read."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline.instants import to_text
from pipeline.model.fields import CATALOGUE
from pipeline.model.outcomes import Outcome, RunStatus, Trigger
from pipeline.store.backup import backup
from pipeline.store.marker import Marker, write_marker
from pipeline.store.migrate import Progress, migrate
from pipeline.store.migration_files import FOLDER, read_migrations
from tests.support.clocks import START
from tests.support.observations import HOUR, Observed, after
from tests.support.renames import rename
from tests.support.timeline import SCHEDULE, Ended, Imported, Listed, Missed, Ran, Renamed, Step, write_steps

SYMBOLS = ("AAPL", "BRK-B", "IBM", "META", "MSFT", "SHOP")
OLD_NAME = "FB"
DATABASE = "o.db"
DAYS = 12
AT = "2026-03-20"
"""A day in the middle of each record."""
CONFIGURATION = f"""\
database = "{DATABASE}"
[symbols]
list = {json.dumps(SYMBOLS)}
file = "../symbols.txt"
[symbols.renamed]
{OLD_NAME} = {{ to = "META", on = 2026-03-17 }}
[source]
plan = "free"
[[schedule]]
cron = "30 18 * * 1-5"
timezone = "America/New_York"
"""
HEARTBEAT = (
    '{"pid":7,"started_at":"2026-03-14T18:30:00.000Z","at":"2026-03-14T18:31:00.000Z","state":"waiting","run":null,'
    '"hindrance":"another process collects","next_fire":"2026-03-15T18:30:00.000Z","continues_at":null,"last_run":3,'
    '"last_status":"partial","silent_seconds":0.5,"refused":null,"timer_restarts":2}'
)
REPORTED = (
    '{"courses":[["stale","AAPL",0,1,true],["run_failed","",1,2,false]],"events":[["crash","x"],["suspicion","y"]]}'
)
SIGNATURE = '{"pid": 7, "purpose": "collect", "since": "2026-03-14T18:30:00.000Z"}'
_OLDER = (1, 7, 11, 12, 15)
"""Versions of the schema that records are also made in."""


def make_records(folder: Path) -> dict[str, Path]:
    """Return folders by the kind of record that each holds, all of them to be copied and not to be changed."""
    made = {name: folder / name for name in ("current", "in WAL", "in a journal", "following", "empty", "gone")}
    current = made["current"]
    current.mkdir(parents=True)
    database = current / DATABASE
    migrate(database, now=START)
    _set_up(current)
    for name in ("empty", "gone"):
        shutil.copytree(current, made[name])
    (made["gone"] / DATABASE).write_bytes(b"")
    write_steps(database, _steps())
    _fill(database)
    backup(database, current / "good.db", now=START)
    for name in ("in WAL", "in a journal", "following"):
        shutil.copytree(current, made[name])
    _leave_wal(made["in WAL"])
    _leave_journal(made["in a journal"])
    with _writing(made["following"] / DATABASE) as db:
        db.execute("INSERT INTO followed (id, fleet, timeline, seq) VALUES (1, 'a fleet', 1, 7)")
    return {**made, **_older_records(current, folder)}


def _set_up(folder: Path) -> None:
    """Write what is beside a database."""
    database = folder / DATABASE
    write_marker(database, Marker(began_at=START))
    (folder / f"{DATABASE}.heartbeat.json").write_text(HEARTBEAT)
    (folder / f"{DATABASE}.told.json").write_text(REPORTED)
    for suffix in (".lock", ".daemon.lock"):
        (folder / f"{DATABASE}{suffix}").write_text(SIGNATURE)
    (folder / "config").mkdir()
    (folder / "config" / "pipeline.toml").write_text(CONFIGURATION)
    (folder / "symbols.txt").write_text("# more\nPEP\nGONE\n")
    (folder / "rows.csv").write_text("symbol,time\nAAPL,2026-03-16\nFB,2026-03-16T12:00Z\nZZZ,2026-03-20\n")
    lines = [{"symbol": "NEW", "observed_at": "2026-03-22T00:00:00Z", "document": {"Symbol": "NEW", "PERatio": "3"}}]
    (folder / "more.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (folder / "instants.txt").write_text("2026-03-16\n2026-03-20T00:00Z\n")


def _document(symbol: str, day: int) -> dict[str, object]:
    """Return a document with every known field, of which some change each day and some each quarter."""
    number = sum(map(ord, symbol))
    fields: dict[str, object] = {"Symbol": symbol}
    for place, field in enumerate(CATALOGUE[1:]):
        step = day if field.part == "daily" else day // 5
        text = f"{number + place + step}.{step}5"
        fields[field.name] = {"integer": str(number * 1000 + place + step), "real": text}.get(
            str(field.kind), f"x{place}"
        )
    quarter = "2025-12-31" if day < DAYS // 2 else "2026-03-31"
    fields |= {
        "Name": f"{symbol} & Söhne",
        "LatestQuarter": quarter,
        "DividendDate": "2026-02-01",
        "ExDividendDate": "None",
    }
    if day % 4 == 0:
        fields["Odd"] = {"new": [1, "two"]}
    return fields


def _observed(day: int) -> tuple[Observed, ...]:
    symbols = [OLD_NAME if one == "META" and day < 3 else one for one in SYMBOLS]
    seen = [Observed(one, after(24 * day + place / 60), _document(one, day)) for place, one in enumerate(symbols)]
    again = [one._replace(at=one.at + hours * HOUR) for one in seen[:3] for hours in (0.3, 0.4)]
    return (*seen, *again, Observed("GONE", after(24 * day + 0.5), None))


def _steps() -> Iterator[Step]:
    """Yield what happened: lists, renames, imports, and runs that ended in every way."""
    yield Renamed((rename(OLD_NAME, "META", after(72)),))
    yield Listed(0, (*SYMBOLS, "PEP", "GONE"))
    for day in range(DAYS):
        if day == 4:
            yield Missed(24 * day - 3, 24 * day)
        elif day == 6:
            yield Listed(24 * day, (*SYMBOLS[:-1], "GONE"))
        yield Imported(_observed(day))
        outcomes = [*Outcome]
        ended = tuple(
            Ended(
                symbol,
                24 * day + 1 + place / 60,
                outcomes[(day + place) % len(outcomes)],
                attempts=1 + place,
                detail="why",
            )
            for place, symbol in enumerate((*SYMBOLS, "GONE"))
        )
        statuses = [RunStatus.COMPLETE, RunStatus.PARTIAL, RunStatus.FAILED, RunStatus.QUOTA_EXHAUSTED]
        finished = 24 * day + 2 if day < DAYS - 1 else None
        trigger = (Trigger.SCHEDULE, Trigger.MANUAL, Trigger.ON_DEMAND)[day % 3]
        fire_time = 24.0 * day if trigger is Trigger.SCHEDULE else None
        yield Ran(24 * day + 0.9, ended, finished, statuses[day % 4], trigger, "detail", fire_time)


def _fill(database: Path) -> None:
    """Write what only other processes write: slots, a block, keys, schedules, backups."""
    with _writing(database) as db:
        for number in range(1, 30):
            at = to_text(after(24 * (number % DAYS) + 1))
            ended = to_text(after(24 * (number % DAYS) + 1.01)) if number % 7 else None
            values = (number, 1 + number % DAYS, SYMBOLS[number % 6], number % 2, at, at, ended, "stored", "key1")
            db.execute("INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        at = to_text(after(24 * DAYS))
        db.execute("INSERT INTO blocked VALUES ('', ?, ?, 'the API said so')", (at, at))
        db.execute("INSERT INTO keys VALUES ('key1', 'first')")
        db.execute("INSERT OR REPLACE INTO schedules VALUES (?, ?)", (SCHEDULE, to_text(START)))
        db.execute("INSERT INTO backups VALUES (?, 'good.db', 4096)", (at,))
        db.execute("INSERT INTO clock (id, at, boot, uptime) VALUES (1, ?, 'boot', 12.5)", (at,))
        db.execute("INSERT INTO in_flight VALUES (1, 'key1', ?, 3)", (at,))


def _leave_wal(folder: Path) -> None:
    """Leave the log behind that a killed process leaves."""
    database, kept = folder / DATABASE, folder / "kept"
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("UPDATE snapshots SET eps = eps + 1 WHERE symbol = 'IBM'")
        db.execute("UPDATE runs SET detail = 'in the log' WHERE id = 2")
        kept.mkdir()
        for suffix in ("", "-wal", "-shm"):
            shutil.copyfile(f"{database}{suffix}", kept / f"{DATABASE}{suffix}")
    for file in kept.iterdir():
        file.replace(folder / file.name)
    kept.rmdir()


def _leave_journal(folder: Path) -> None:
    """Leave the journal behind that a process leaves which is killed while a file without WAL is changed."""
    database, kept = folder / DATABASE, folder / "kept"
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA cache_size = 2")
        db.execute("BEGIN")
        db.execute("UPDATE snapshots SET eps = eps + 1")
        kept.mkdir()
        for suffix in ("", "-journal"):
            shutil.copyfile(f"{database}{suffix}", kept / f"{DATABASE}{suffix}")
        db.execute("ROLLBACK")
    for file in kept.iterdir():
        file.replace(folder / file.name)
    kept.rmdir()


def _older_records(current: Path, folder: Path) -> dict[str, Path]:
    """Return records of older versions of the schema, and one whose migration was interrupted."""
    made = {}
    for version in _OLDER:
        made[f"of schema {version}"] = older = folder / f"schema-{version}"
        _make_older(current, older, version)
    half = folder / "half"
    _make_older(current, half, 11)
    with closing(sqlite3.connect(half / DATABASE)):

        def stop(progress: Progress) -> None:
            if progress.migration.is_stepwise and not progress.is_complete:
                raise InterruptedError

        try:
            _migrate_slowly(half / DATABASE, stop)
        except InterruptedError:
            made["half migrated"] = half
    return made


def _migrate_slowly(database: Path, stop: "object") -> None:
    from pipeline.store import migrate as module  # noqa: PLC0415

    before, module.TRANSACTION_ROWS = module.TRANSACTION_ROWS, 10
    try:
        migrate(database, now=START, on_progress=stop)  # type: ignore[arg-type]
    finally:
        module.TRANSACTION_ROWS = before


def _make_older(current: Path, folder: Path, version: int) -> None:
    """Copy a record into a database of an older schema, as far as that has the tables and columns."""
    shutil.copytree(current, folder)
    old, migrations = folder / DATABASE, folder / "migrations"
    newer = old.rename(folder / "newer.db")
    migrations.mkdir()
    for migration in read_migrations(FOLDER)[:version]:
        shutil.copy(migration.path, migrations)
    migrate(old, now=START, folder=migrations)
    with closing(sqlite3.connect(old, isolation_level=None)) as db:
        db.execute("ATTACH ? AS newer", (str(newer),))
        for (table,) in db.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
            _copy_rows(db, table)
    newer.unlink()
    shutil.rmtree(migrations)


def _copy_rows(db: sqlite3.Connection, table: str) -> None:
    there = {name for _, name, *_ in db.execute(f"PRAGMA newer.table_xinfo({table})")}
    columns = ", ".join(name for _, name, *_ in db.execute(f"PRAGMA main.table_info({table})") if name in there)
    if columns and table not in ("migrations", "fields", "sqlite_sequence"):
        db.execute(f"INSERT OR IGNORE INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}")


@contextmanager
def _writing(database: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(database)) as db, db:
        yield db
