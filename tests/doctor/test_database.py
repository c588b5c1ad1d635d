"""Checks of the database: missing, foreign, too new, damaged, from the future."""

import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.doctor import database as module
from pipeline.doctor.checkup import findings
from pipeline.doctor.findings import Finding, Level, exit_code
from pipeline.errors import ExitCode
from pipeline.instants import to_text
from pipeline.monitoring.checks import Kind
from pipeline.settings.environment import Environment
from pipeline.settings.load import Settings, load
from pipeline.store.backup import Backup, note_backup
from pipeline.store.marker import LastRun, Marker, write_marker
from pipeline.store.older_copy import LEDGER_BEHIND
from pipeline.store.schema import check_schema
from tests.support.checkups import KEYED, Examined, code
from tests.support.clocks import START
from tests.support.privileges import bound_by_modes


def test_an_observation_in_the_future_is_a_problem(examined: Examined, database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("INSERT INTO symbols (symbol, last_look) VALUES ('AAPL', '2026-03-14T19:30:00.000Z')")

    assert examined(now=START)[Kind.OBSERVATIONS].level is Level.PROBLEM
    assert examined(now=START + timedelta(hours=1))[Kind.OBSERVATIONS].level is Level.OK


def test_a_database_that_is_not_there_yet_is_noted(examined: Examined, database: Path) -> None:
    for path in database.parent.glob("overviews.db*"):
        path.unlink()

    found = examined()

    assert found[Kind.DATABASE].level is Level.NOTE
    assert found[Kind.DATABASE].remedy == "pipeline collect creates it"
    assert code(found) == ExitCode.DONE
    assert not database.exists()


def test_an_empty_database_is_noted(examined: Examined, database: Path) -> None:
    for path in database.parent.glob("overviews.db*"):
        path.unlink()
    database.touch(mode=0o600)

    found = examined()

    assert found[Kind.DATABASE].level is Level.NOTE
    assert "schema 0 of" in found[Kind.DATABASE].found
    assert code(found) == ExitCode.DONE


def test_a_record_that_begins_meanwhile_is_no_record_that_is_gone(
    examined: Examined, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in database.parent.glob("overviews.db*"):
        path.unlink()
    database.touch(mode=0o600)

    def then_begun(*given: Any) -> int:
        found = check_schema(*given)
        write_marker(database, Marker(began_at=START))
        return found

    monkeypatch.setattr(module, "check_schema", then_begun)

    assert examined()[Kind.DATABASE].level is Level.NOTE


def test_an_older_copy_in_its_place_is_noted(examined: Examined, database: Path) -> None:
    last = LastRun(id=7, record="of another database", state="ended")
    write_marker(database, Marker(began_at=START, last_run=last))

    found = examined()

    assert LEDGER_BEHIND in found[Kind.DATABASE].found
    assert "pipeline restore" in (found[Kind.DATABASE].remedy or "")


def test_a_file_that_is_not_a_database_ends_with_1_and_a_remedy(examined: Examined, database: Path) -> None:
    for path in database.parent.glob("overviews.db*"):
        path.unlink()
    database.write_bytes(b"not a database" * 100)

    found = examined()

    assert found[Kind.DATABASE] == Finding(
        Kind.DATABASE, Level.PROBLEM, f"{database}: not a database", "name another file, or move this one away"
    )
    assert code(found) == ExitCode.FAILED


def test_a_database_of_a_newer_version_ends_with_1_and_a_remedy(examined: Examined, database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA user_version = 999")

    found = examined()[Kind.DATABASE]

    assert found.level is Level.PROBLEM
    assert "newer" in found.found
    assert "upgrade" in str(found.remedy)


def test_a_schema_that_is_not_utf8_ends_with_1_and_a_remedy(examined: Examined, database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for path in database.parent.glob("overviews.db-*"):
        path.unlink()
    content = database.read_bytes()
    assert content.count(b"tablelookslooks") == 1
    database.write_bytes(content.replace(b"tablelookslooks", b"tablel\xff\xffksl\xff\xffks"))

    found = examined()

    assert found[Kind.INTEGRITY] == Finding(
        Kind.INTEGRITY,
        Level.PROBLEM,
        f"{database}: damaged",
        "restore a backup (pipeline restore), or keep a copy and try sqlite3's .recover",
    )
    assert code(found) == ExitCode.FAILED


def test_a_database_that_is_a_folder_ends_with_1_and_a_remedy(settings: Settings, tmp_path: Path) -> None:
    folder = load(settings.config, Environment({}), database=tmp_path)

    found = {one.check: one for one in findings(folder, KEYED, now=START, thorough=True)}

    assert found[Kind.DATABASE] == Finding(Kind.DATABASE, Level.PROBLEM, f"{tmp_path} is a folder", "name a file in it")
    assert code(found) == ExitCode.FAILED


def damage(database: Path, first: int, last: int, *, table: str = "looks") -> None:
    """Overwrite these bytes of a table's first page."""
    with closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = db.execute("PRAGMA page_size").fetchone()
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    content = bytearray(database.read_bytes())
    start = (page - 1) * size
    content[start + first : start + last] = b"\xa5" * (last - first)
    database.write_bytes(content)


@pytest.mark.parametrize("thorough", [True, False])
@pytest.mark.parametrize("key", [KEYED, Environment({})])
@pytest.mark.parametrize(("start", "end"), [(0, 4096), (5, 7)])  # the check fails, or has a line for it
def test_a_damaged_database_is_the_first_finding_with_a_count_and_ends_with_1(
    settings: Settings, database: Path, key: Environment, start: int, end: int, *, thorough: bool
) -> None:
    damage(database, start, end)

    first, *others = findings(settings, key, now=START, thorough=thorough)

    assert (first.check, first.level) == (Kind.INTEGRITY, Level.PROBLEM)
    assert re.search(r"_check: 1 error: ", first.found)
    assert "***" not in first.found, "a headline is no error"
    assert "restore a backup" in (first.remedy or "")
    assert {one.check for one in others if one.level is Level.PROBLEM} == ({Kind.KEY} if key != KEYED else set())
    assert exit_code([first, *others]) == ExitCode.FAILED


def test_many_errors_are_counted_and_a_few_are_shown(settings: Settings, database: Path) -> None:
    with closing(sqlite3.connect(database)) as db, db:  # an index that does not know of 40 rows
        db.execute("CREATE INDEX extra ON looks (at)")
        db.execute("PRAGMA writable_schema = ON")
        index = db.execute("SELECT * FROM sqlite_master WHERE name = 'extra'").fetchone()
        db.execute("DELETE FROM sqlite_master WHERE name = 'extra'")
    with closing(sqlite3.connect(database)) as db, db:
        db.executemany("INSERT INTO looks (symbol, at) VALUES (?, '2026')", [(f"S{number}",) for number in range(40)])
        db.execute("PRAGMA writable_schema = ON")
        db.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", index)

    first, *_ = findings(settings, KEYED, now=START, thorough=True)

    assert "integrity_check: 41 errors: " in first.found  # 40 rows, and their number
    assert first.found.endswith(" and 38 more")
    assert "\n" not in first.found
    assert len(first.found) < 400


def test_a_database_of_which_not_even_the_schema_can_be_read_is_the_first_finding(
    settings: Settings, database: Path
) -> None:
    damage(database, 100, 4096, table="symbols")
    content = bytearray(database.read_bytes())
    content[100:4096] = b"\xa5" * 3996
    database.write_bytes(content)

    first, *_ = findings(settings, Environment({}), now=START, thorough=False)

    assert (first.check, first.level) == (Kind.INTEGRITY, Level.PROBLEM)
    assert first.remedy


def test_the_whole_database_is_read_on_request_only(examined: Examined) -> None:
    assert examined(thorough=True)[Kind.INTEGRITY].found == "integrity_check: ok"
    assert examined(thorough=False)[Kind.INTEGRITY].found == "quick_check: ok"


def test_a_database_that_cannot_be_read_ends_with_1(examined: Examined, database: Path) -> None:
    database.chmod(0)

    with bound_by_modes():
        found = examined()

    assert found[Kind.DATABASE].level is Level.PROBLEM
    assert found[Kind.ACCESS].remedy == f"chmod u+rw {database}"


def test_a_missing_backup_is_noted_and_an_old_one_a_problem(examined: Examined, database: Path) -> None:
    assert examined()[Kind.BACKUP].level is Level.NOTE

    note_backup(database, Backup(START - timedelta(days=14), Path("/mnt/copy.db"), 1))
    recent = examined()[Kind.BACKUP]
    with closing(sqlite3.connect(database)) as db:
        db.execute("UPDATE backups SET at = ?", (to_text(START - timedelta(days=14, seconds=1)),))
        db.commit()
    old = examined()[Kind.BACKUP]

    assert (recent.level, "/mnt/copy.db" in recent.found) == (Level.OK, True)
    assert (old.level, "14 days" in old.found) == (Level.PROBLEM, True)


def test_a_backup_from_the_future_is_named_and_counts_for_nothing(examined: Examined, database: Path) -> None:
    note_backup(database, Backup(START + timedelta(days=30), Path("/mnt/ahead.db"), 1))
    alone = examined()[Kind.BACKUP]
    note_backup(database, Backup(START + timedelta(minutes=1), Path("/mnt/copy.db"), 1))
    recent = examined()[Kind.BACKUP]

    assert (alone.level, recent.level) == (Level.PROBLEM, Level.NOTE)
    assert "/mnt/copy.db" in recent.found
    assert all("in the future, 2026-04-13" in one.found for one in (alone, recent))
